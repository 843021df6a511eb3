"""Tiers by age: each object is in the one that its threads are old enough for, of its class, and nothing is lost."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from checkpointstore.adapters import cold
from checkpointstore.adapters.compaction import Objects
from checkpointstore.features.tiering import compaction
from checkpointstore.features.tiering.request import Holding
from checkpointstore.jobs import tiering
from tests.integration import graphs
from tests.integration.pruning import Read, shifted
from tests.integration.tiering import SMALL, WHOLE, Store, all_back

AFTER = {"cold": 1000, "colder": 1300, "coldest": 1800}
"""Hours."""
CLASSES = {"cold": "STANDARD_IA", "colder": "GLACIER_IR", "coldest": None}
AGES = {"young": 1050, "old": 1350, "older": 1850}


def tiers(*names: str, passed: int = 0) -> dict[str, Any]:
    """What to ask for these tiers, or all, after so many hours: threads have become older by so much."""
    each = [
        {"name": name, "after": 3600 * (AFTER[name] - passed), "storageClass": CLASSES[name]}
        for name in names or tuple(AFTER)
    ]
    return {"tiers": each, **WHOLE}


def talked(store: Store, ages: dict[str, int]) -> dict[str, Read]:
    """Threads that were last written to so many hours ago."""
    with store.saver() as saver:
        for thread, hours in ages.items():
            graphs.talk(graphs.remembering(saver), thread, 3)
            _age(store, thread, hours)
    return {thread: store.read(thread) for thread in ages}


def _age(store: Store, thread: str, hours: int) -> None:
    with store.server.admin("app") as connection:
        found = "SELECT DISTINCT checkpoint_id AS id FROM checkpoints WHERE thread_id = %s"
        for row in connection.execute(found, [thread]).fetchall():
            ids = {"old": row["id"], "new": shifted(row["id"], hours), "thread": thread}
            connection.execute(
                "UPDATE checkpoints SET checkpoint_id = replace(checkpoint_id, %(old)s, %(new)s), "
                "parent_checkpoint_id = replace(parent_checkpoint_id, %(old)s, %(new)s), "
                "checkpoint = replace(checkpoint::text, %(old)s, %(new)s)::jsonb, "
                "metadata = replace(metadata::text, %(old)s, %(new)s)::jsonb WHERE thread_id = %(thread)s",
                ids,
            )
            connection.execute(
                "UPDATE checkpoint_writes SET checkpoint_id = %(new)s "
                "WHERE thread_id = %(thread)s AND checkpoint_id = %(old)s",
                ids,
            )


def where(store: Store) -> dict[str, str]:
    """The tier of each cold thread, as the catalog says; each of its objects was asked for with the tier's class."""
    found = store.catalog(
        "SELECT t.thread_id, o.tier, o.key, o.storage_class "
        "FROM checkpointstore.cold_threads AS t JOIN checkpointstore.cold_objects AS o ON o.key = t.key"
    )
    for _, tier, key, class_ in found:
        [put] = [headers for method, path, headers in store.bucket.seen if method == "PUT" and path.endswith(key)]
        assert put.get("x-amz-storage-class") == class_ == CLASSES[tier]
        [manifest] = [item for item in store.bucket.manifests() if item.get("object") == key]
        assert (manifest["tier"], manifest["storageClass"]) == (tier, class_)
    return {thread: tier for thread, tier, _, _ in found}


def came_back(store: Store, read: dict[str, Read]) -> None:
    store.recall(*read)
    assert {thread: store.read(thread) for thread in read} == read


@pytest.mark.parametrize("many", [False, True])
def test_threads_of_three_ages_are_in_three_tiers(store: Store, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each has more rows than an object."""
    if many:
        monkeypatch.setattr(tiering, "OBJECT", 1)
        monkeypatch.setattr(cold, "ROWS", 10)
    read, before = talked(store, AGES), store.rows()
    outcome = store.tier(**tiers())
    assert where(store) == {"young": "cold", "old": "colder", "older": "coldest"}
    assert (outcome.moved.threads, outcome.cold.threads, outcome.busy) == (3, 3, 0)
    told = {(tier.name, tier.storage_class): (tier.objects, tier.threads, tier.bytes) for tier in outcome.cold.tiers}
    assert dict(told.keys()) == CLASSES
    assert [threads for _, threads, _ in told.values()] == [1, 1, 1]
    assert sum(objects for objects, _, _ in told.values()) == outcome.cold.objects
    assert (outcome.cold.objects > 3) is many
    assert sum(size for _, _, size in told.values()) == outcome.cold.bytes
    store.tier(**tiers())
    assert not any(store.rows().values())
    came_back(store, {"older": read["older"]})
    came_back(store, {thread: read[thread] for thread in ("young", "old")})
    assert store.rows() == before


def test_a_thread_goes_down_as_time_goes_by(store: Store) -> None:
    read = talked(store, {"one": 1050})
    before = store.rows()
    for _ in range(2):
        store.tier(grace=3600, **tiers())
    assert where(store) == {"one": "cold"}
    assert store.tier(grace=3600, **tiers(passed=240)).rewritten == 0
    for passed, tier in ((260, "colder"), (760, "coldest")):
        outcome = store.tier(grace=3600, **tiers(passed=passed))
        assert (outcome.rewritten, where(store)) == (1, {"one": tier})
        outcome = store.tier(grace=3600, **tiers(passed=passed))
        assert (outcome.rewritten, outcome.collected) == (0, 0), "what a recovered database may refer to stays"
    assert [held.objects for held in outcome.cold.tiers] == [1, 1, 1]
    outcome = store.tier(**tiers(passed=760))
    assert (outcome.collected, [held.name for held in outcome.cold.tiers]) == (2, ["coldest"])
    came_back(store, read)
    assert store.rows() == before


def test_an_object_goes_down_once_all_its_threads_are_old_enough(store: Store) -> None:
    read = talked(store, {"one": 1050, "two": 1250, "three": 1200})
    store.tier(**tiers())
    store.tier(**tiers())
    assert len(store.bucket.objects()) == 1
    assert store.tier(**tiers(passed=150)).rewritten == 0, "two are old enough"
    store.recall("one")
    assert store.tier(**tiers(passed=150)).rewritten == 1, "what came back keeps nothing waiting"
    assert where(store) == {"two": "colder", "three": "colder"}
    assert store.read("one") == read["one"]
    came_back(store, {thread: read[thread] for thread in ("two", "three")})


def test_objects_of_two_tiers_go_down_together_and_never_into_two(store: Store) -> None:
    read: dict[str, Read] = {}
    for thread, hours in (("one", 1050), ("two", 1060), ("three", 1350), ("four", 1050)):
        read |= talked(store, {thread: hours})
        for _ in range(2):
            store.tier(**tiers())
    assert where(store) == {"one": "cold", "two": "cold", "three": "colder", "four": "cold"}
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.cold_threads SET newest = %s WHERE thread_id = 'four'", ["f" * 36])
    assert store.tier(**tiers(passed=760)).rewritten == 3
    assert where(store) == {"one": "coldest", "two": "coldest", "three": "coldest", "four": "cold"}
    assert len(store.bucket.objects()) == 2 + 3, "the old ones stay until the next run"
    came_back(store, read)


def test_parts_of_one_thread_go_down_one_after_the_other(store: Store) -> None:
    hot = {"keepLatestHot": True}
    talked(store, {"one": 1060})
    store.tier(**tiers() | hot)
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "one", 2, first=3)
        _age(store, "one", 1050)
    read = store.read("one")
    store.tier(**tiers() | hot)
    assert len(store.bucket.objects()) == 2
    assert [store.tier(**tiers(passed=260) | hot).rewritten for _ in range(3)] == [1, 1, 0]
    assert where(store) == {"one": "colder"}
    store.recall("one")
    after = store.read("one")
    assert {place: after[place] for place in read} == read
    assert len(after) > len(read)


def test_what_is_written_anew_in_a_lower_tier_stays_there(store: Store) -> None:
    read: dict[str, Read] = {}
    for number in range(compaction.MANY):
        read |= talked(store, {f"old-{number}": 1350, f"young-{number}": 1050} if number else {"old-0": 1350})
        for _ in range(2):
            store.tier(grace=3600, **tiers())
    assert store.tier(grace=3600, **tiers()).rewritten == 0
    assert store.tier(**tiers()).rewritten == compaction.MANY, "seven of the first tier are not many"
    expected = {thread: "colder" if thread.startswith("old") else "cold" for thread in read}
    assert where(store) == expected
    with store.server.admin("app") as connection:
        connection.execute("SELECT checkpointstore.delete_thread('old-3')")
    del read["old-3"], expected["old-3"]
    assert store.tier(**tiers()).rewritten == 1
    assert where(store) == expected
    came_back(store, read)


@pytest.mark.parametrize("name", AFTER)
def test_tiers_that_are_taken_away_lose_nothing_and_move_nothing(store: Store, name: str) -> None:
    read = talked(store, AGES)
    for _ in range(2):
        store.tier(**tiers())
    placed = where(store)
    outcome = store.tier(**tiers(name))
    assert (outcome.rewritten, where(store)) == (0, placed)
    assert len(outcome.cold.tiers) == 3
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.cold_objects SET rows = 3 * rows")
    assert store.tier(**tiers(name)).rewritten == 3
    assert where(store) == placed, "also when it is written anew"
    assert store.tier(**tiers(name)).rewritten == 0
    came_back(store, read)


def test_a_tier_that_was_renamed_keeps_what_is_in_it(store: Store) -> None:
    read = talked(store, {"one": 1050})
    for _ in range(2):
        store.tier(**tiers("cold", "colder"))
    asked = tiers("cold", "colder", passed=10)
    asked["tiers"][0]["name"] = "icy"
    assert store.tier(**asked).rewritten == 0
    assert where(store) == {"one": "cold"}
    asked = tiers("cold", "colder", passed=260)
    asked["tiers"][0]["name"] = "icy"
    assert store.tier(**asked).rewritten == 1
    assert where(store) == {"one": "colder"}
    came_back(store, read)


def test_a_catalog_of_before_there_were_tiers(store: Store) -> None:
    """Its objects are of the first tier, and go down from there."""
    read = talked(store, {"one": 1050})
    for _ in range(2):
        store.tier(**tiers("cold"))
    with store.server.admin("app") as connection:
        connection.execute(
            "ALTER TABLE checkpointstore.cold_objects DROP COLUMN tier, DROP COLUMN after, DROP COLUMN storage_class"
        )
        connection.execute("COMMENT ON FUNCTION checkpointstore.recall(text) IS 'checkpointstore recall 5'")
    outcome = store.tier(**tiers())
    assert (outcome.rewritten, where(store)) == (0, {"one": "cold"})
    assert outcome.cold.tiers == (
        Holding(name="cold", storage_class="STANDARD_IA", objects=1, bytes=outcome.cold.bytes, threads=1),
    )
    assert store.tier(**tiers(passed=260)).rewritten == 1
    assert where(store) == {"one": "colder"}
    came_back(store, read)


@pytest.mark.parametrize("pointed", [False, True])
def test_killed_around_the_pointing_nothing_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, pointed: bool
) -> None:
    read = talked(store, {"one": 1050, "two": 1050})
    before = store.rows()
    for _ in range(2):
        store.tier(**tiers())
    done = Objects.point

    def killed(self: Objects, *given: Any) -> int:
        if pointed:
            done(self, *given)
        raise KeyboardInterrupt

    monkeypatch.setattr(Objects, "point", killed)
    with pytest.raises(KeyboardInterrupt):
        tiering.conclude(store.asked(**tiers(passed=260)))
    assert where(store) == dict.fromkeys(read, "colder" if pointed else "cold")
    assert len(store.bucket.objects()) == 2
    monkeypatch.setattr(Objects, "point", done)
    came_back(store, {"one": read["one"]})
    for _ in range(2):
        store.tier(**tiers(passed=260))
    assert where(store) == {"two": "colder"}
    assert len(store.bucket.objects()) == 1, "what nothing refers to goes"
    came_back(store, {"two": read["two"]})
    assert store.rows() == before


def test_it_may_be_killed_anywhere(store: Store, tmp_path: Path, rounds: int) -> None:
    chance = random.Random(11)
    for number in range(rounds):
        ages = {f"{number}-{name}": hours for name, hours in AGES.items()}
        read = talked(store, ages)
        for passed in (0, 460):
            process = store.begin(tmp_path / "result", SMALL, **tiers(passed=passed))
            time.sleep(chance.uniform(0.3, 1.5))
            process.kill()
            process.wait()
        for _ in range(3):
            store.tier(**tiers(passed=460))
        assert where(store) == {thread: "colder" if thread.endswith("young") else "coldest" for thread in ages}
        came_back(store, read)
        with store.server.admin("app") as connection:
            for thread in ages:
                connection.execute("SELECT checkpointstore.delete_thread(%s)", [thread])
        store.tier(**tiers())


def test_a_lower_tier_that_cannot_be_written_stops_nothing_else(store: Store) -> None:
    read = talked(store, {"one": 1050})
    for _ in range(2):
        store.tier(**tiers())
    store.bucket.fault = lambda method, path: "500" if method == "PUT" else ""
    outcome, code = tiering.conclude(store.asked(**tiers(passed=260)))
    assert (code, outcome.reason) == (1, "Unavailable")
    assert where(store) == {"one": "cold"}
    store.bucket.fault = lambda method, path: ""
    assert store.tier(**tiers(passed=260)).rewritten == 1
    all_back(store)
    assert store.read("one") == read["one"]
