"""Objects are written anew: what was deleted leaves the bucket, small ones become one, and nothing else changes."""

import random
import threading
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from checkpointstore.adapters import cold
from checkpointstore.features.tiering import compaction
from checkpointstore.jobs import tiering as job
from tests.integration import graphs
from tests.integration.pruning import Read
from tests.integration.tiering import SMALL, WHOLE, Store


def filled(store: Store, *threads: str) -> dict[str, Read]:
    """Threads that are read and then moved whole; values follow, so that nothing of them is hot."""
    with store.saver() as saver:
        for thread in threads:
            graphs.talk(graphs.chat(saver), thread, 3)
    read = {thread: store.read(thread) for thread in threads}
    store.tier(grace=3600, **WHOLE)
    store.tier(grace=3600, **WHOLE)
    return read


def found(store: Store, thread: str) -> int:
    """Rows of a thread in all objects of the bucket, and places of its name in what else is there."""
    objects = store.bucket.objects()
    rows = sum(
        duckdb.execute(f"SELECT count(*) FROM '{file}' WHERE thread_id = '{thread}'").fetchall()[0][0]
        for file in objects
    )
    return int(rows) + sum(thread.encode() in file.read_bytes() for file in store.bucket.objects(""))


def delete(store: Store, thread: str) -> None:
    with store.server.admin("app") as connection:
        connection.execute("SELECT checkpointstore.delete_thread(%s)", [thread])


def came_back(store: Store, read: dict[str, Read]) -> None:
    """Each of these threads is recalled, and is as it was."""
    store.recall(*read)
    for thread, before in read.items():
        assert store.read(thread) == before


def test_a_deleted_thread_leaves_the_bucket(store: Store) -> None:
    read = filled(store, "kept", "secret", "other")
    assert found(store, "secret") > 0
    delete(store, "secret")
    outcome = store.tier(grace=3600)
    assert (outcome.rewritten, outcome.cold.deleted) == (0, 1), "deletions of a day are taken together"
    outcome = store.tier()
    assert (outcome.rewritten, outcome.cold.threads) == (1, 2)
    assert found(store, "secret") > 0, "what a restored database may need stays for a while"
    outcome = store.tier()
    assert (outcome.collected, outcome.cold.deleted, outcome.cold.objects) == (1, 0, 1)
    assert found(store, "secret") == 0
    assert store.catalog("SELECT FROM checkpointstore.cold_traces") == []
    came_back(store, {thread: read[thread] for thread in ("kept", "other")})


def test_a_thread_that_came_back_before_it_was_deleted_leaves_it_too(store: Store) -> None:
    filled(store, "kept", "secret", "more", "others")
    store.recall("secret")
    delete(store, "secret")
    assert found(store, "secret") > 0
    store.tier()
    store.tier()
    assert found(store, "secret") == 0
    assert store.cold() == {"kept", "more", "others"}


def test_small_objects_become_one(store: Store) -> None:
    read: dict[str, Read] = {}
    for number in range(compaction.MANY):
        read |= filled(store, f"thread-{number}")
    assert len(store.bucket.objects()) == compaction.MANY
    outcome = store.tier(storageClass="STANDARD_IA")
    assert (outcome.rewritten, outcome.cold.objects) == (compaction.MANY, compaction.MANY + 1)
    store.tier()
    [kept] = store.bucket.objects()
    assert [manifest["threads"] for manifest in store.bucket.manifests()] == [compaction.MANY]
    [put] = [headers for method, path, headers in store.bucket.seen if method == "PUT" and path.endswith(kept.name)]
    assert put["x-amz-storage-class"] == "STANDARD_IA"
    came_back(store, read)


@pytest.mark.parametrize(("few", "level"), [(job.FEW, cold.DENSE), (0, cold.LEVEL)])
def test_what_nobody_waits_for_is_as_small_as_can_be_unless_there_is_much_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, few: int, level: int
) -> None:
    monkeypatch.setattr(job, "FEW", few)
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "kept", 30)
        graphs.talk(graphs.chat(saver), "secret", 1)
    store.tier(grace=3600, **WHOLE)
    store.tier(grace=3600, **WHOLE)
    delete(store, "secret")
    store.tier()
    store.tier()
    [kept] = store.bucket.objects()
    lengths = {each: len(written(kept, each)) for each in (cold.LEVEL, cold.DENSE)}
    assert lengths[cold.DENSE] < lengths[cold.LEVEL]
    assert len(kept.read_bytes()) == lengths[level]


def written(file: Path, level: int) -> bytes:
    """An object's rows once more, at a level."""
    read = pq.read_table(file)
    told = {
        name.decode().removeprefix("checkpointstore."): value.decode() for name, value in read.schema.metadata.items()
    }
    writer = cold.Writer({name: value for name, value in told.items() if name in ("store", "tier")}, level)
    for row in zip(*(column.to_pylist() for column in read.select(cold.SCHEMA.names).columns), strict=True):
        writer.add(row)
    return writer.close().content


def test_threads_have_their_turn_however_much_is_to_be_written_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SIZE", 1)
    for number in range(3):
        filled(store, f"kept-{number}", f"secret-{number}")
        delete(store, f"secret-{number}")
    monkeypatch.setattr(job, "ANEW", 0)
    assert [store.tier().rewritten for _ in range(2)] == [1, 1]
    monkeypatch.undo()
    assert store.tier().rewritten == 1
    assert store.cold() == {"kept-0", "kept-1", "kept-2"}


def test_parts_of_one_thread_stay_in_the_order_in_which_they_went(store: Store) -> None:
    """Two objects that have the same thread do not become one; what went last wins when it comes back."""
    for _ in range(compaction.MANY):
        with store.saver() as saver:
            graphs.talk(graphs.chat(saver), "one", 1)
            graphs.talk(graphs.chat(saver), "two", 1)
            last = store.read("one")
        store.tier(grace=3600)
    objects = len(store.bucket.objects())
    assert objects == compaction.MANY
    assert store.tier().rewritten == 0, "nothing would come of it"
    store.recall("one")
    after = store.read("one")
    assert {place: after[place] for place in last} == last
    assert len(after) == 3 * compaction.MANY


def test_rubbish_that_outweighs_the_rest_is_left_behind(store: Store) -> None:
    read = filled(store, "one", "two", "three")
    store.recall("one", "two")
    assert store.tier(after=3600).rewritten == 1
    assert store.tier(after=3600).collected == 1
    came_back(store, {"three": read["three"]})


@pytest.mark.parametrize("deleted", [True, False])
def test_a_thread_that_goes_while_its_object_is_written_anew(store: Store, deleted: bool) -> None:
    read = filled(store, "kept", "gone", "secret", "more")
    delete(store, "secret")

    def meanwhile(method: str, path: str) -> str:
        if method == "PUT" and path.endswith(".json"):
            store.bucket.fault = lambda *_: ""
            if deleted:
                delete(store, "gone")
            else:
                store.recall("gone")
        return ""

    store.bucket.fault = meanwhile
    assert store.tier(after=3600).rewritten == 1
    assert store.cold() == {"kept", "more"}
    if not deleted:
        assert store.read("gone") == read["gone"]
        delete(store, "gone")
    for _ in range(3):
        store.tier(after=3600)
    assert found(store, "gone") == 0
    assert found(store, "secret") == 0
    came_back(store, {thread: read[thread] for thread in ("kept", "more")})


def test_a_damaged_object_is_told_and_stops_nothing_else(store: Store) -> None:
    filled(store, "kept", "secret")
    delete(store, "secret")
    [file] = store.bucket.objects()
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "another", 1)
    outcome, code = job.conclude(store.asked(**WHOLE))
    assert (code, outcome.reason) == (1, "Unavailable")
    assert f"{file.name} is not what was written" in outcome.message
    assert store.cold() == {"kept", "another"}


def test_what_is_sound_is_written_anew_beside_what_is_damaged(store: Store) -> None:
    filled(store, "kept", "secret")
    [file] = store.bucket.objects()
    read = filled(store, "sound", "second")
    for thread in ("secret", "second"):
        delete(store, thread)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)
    for _ in range(2):
        outcome, _ = job.conclude(store.asked(**WHOLE))
        assert f"{file.name} is not what was written" in outcome.message
    file.unlink()
    assert found(store, "second") == 0
    came_back(store, {"sound": read["sound"]})


def test_it_may_be_killed_anywhere(store: Store, tmp_path: Path, rounds: int) -> None:
    """Whatever was done when it was killed: all threads that were not deleted come back as they were."""
    chance = random.Random(7)
    for number in range(rounds):
        names = [f"{number}-{kind}" for kind in ("one", "two", "three", "four")]
        read = filled(store, *names)
        delete(store, names[1])
        begun = time.monotonic()
        process = store.begin(tmp_path / "result", SMALL, after=3600)
        time.sleep(chance.uniform(0.3, 1.5))
        process.kill()
        process.wait()
        assert time.monotonic() - begun < 10
        store.tier(after=3600)
        store.tier(after=3600)
        assert found(store, names[1]) == 0
        came_back(store, {name: read[name] for name in (names[0], *names[2:])})
        for name in (names[0], *names[2:]):
            delete(store, name)
        store.tier()


def test_writers_and_recalls_beside_it(store: Store, soak: bool) -> None:
    """Threads come and go all the time while objects are rewritten; each is always as its writer left it."""
    ended = threading.Event()
    failures: list[str] = []

    def lives(name: str) -> None:
        with store.saver() as saver:
            agent = graphs.chat(saver)
            for turn in range(200 if soak else 12):
                graphs.talk(agent, name, 1, first=turn)
                for _ in range(600):
                    if store.ask(name) == "Hot":
                        break
                    time.sleep(0.05)
                states = agent.get_state(graphs.config(name)).values
                if states.get("turns") != turn + 1:
                    failures.append(f"{name} has {states.get('turns')} turns after {turn + 1}")

    def moves() -> None:
        while not ended.is_set():
            with store.server.admin("app") as connection:
                connection.execute("DELETE FROM checkpointstore.recalls WHERE done IS NOT NULL")
            store.tier()

    with store.recaller():
        store.tier()
        mover = threading.Thread(target=moves)
        mover.start()
        writers = [threading.Thread(target=lives, args=[f"thread-{number}"]) for number in range(3)]
        act(writers)
        ended.set()
        mover.join()
    assert failures == []


def act(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
