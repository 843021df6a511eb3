"""Deletions are told in the bucket, and a database that is brought back deletes the same threads again."""

import hashlib
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkpointstore.features.tiering.request import Repeated
from checkpointstore.jobs import deletions, ledger
from tests.integration import graphs, objectstore
from tests.integration.pruning import TABLES
from tests.integration.tiering import PREFIX, WHOLE, Store

CATALOG = ("cold_threads", "cold_objects", "cold_traces", "deletions", "recalls")


def delete(store: Store, *threads: str) -> None:
    with store.server.admin("app") as connection:
        for thread in threads:
            connection.execute("SELECT checkpointstore.delete_thread(%s)", [thread])


def repeat(store: Store, **asked: Any) -> Repeated:
    outcome, code = deletions.conclude(store.asked(origin=PREFIX, **asked))
    assert (code, outcome.reason) == (0, ""), outcome
    return outcome


class Snapshot:
    """All rows of threads and catalog, as a backup has them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        names = [*(f"public.{name}" for name in TABLES), *(f"checkpointstore.{name}" for name in CATALOG)]
        with store.server.admin("app") as connection:
            self._rows = {
                name: connection.execute(f"SELECT to_jsonb(r)::text AS row FROM {name} AS r").fetchall()
                for name in names
            }

    def restore(self) -> None:
        with self._store.server.admin("app") as connection, connection.transaction():
            for name, rows in self._rows.items():
                connection.execute(f"TRUNCATE {name}")
                for row in rows:
                    connection.execute(
                        f"INSERT INTO {name} SELECT (jsonb_populate_record(NULL::{name}, %s::jsonb)).*", [row["row"]]
                    )


def talked(store: Store, *threads: str) -> None:
    with store.saver() as saver:
        for thread in threads:
            graphs.talk(graphs.chat(saver), thread, 2)


def there(store: Store) -> set[str]:
    """Threads that are hot or cold."""
    with store.server.admin("app") as connection:
        return {
            row["thread_id"]
            for row in connection.execute(
                "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM checkpointstore.cold_threads"
            )
        }


def test_what_was_deleted_after_the_backup_is_deleted_again(store: Store) -> None:
    talked(store, "cold", "cold-secret")
    store.tier(**WHOLE)
    talked(store, "hot", "hot-secret")
    backup = Snapshot(store)
    delete(store, "hot-secret", "cold-secret")
    store.tier(after=3600, grace=3600)
    [told] = [json.loads(file.read_text()) for file in store.bucket.objects(".json") if "ledger" in str(file)]
    assert {entry["thread"] for entry in told["deletions"]} == {
        hashlib.sha256(name.encode()).hexdigest() for name in ("hot-secret", "cold-secret")
    }
    assert "secret" not in json.dumps(told), "no ids of people who wanted to be forgotten"
    backup.restore()
    assert there(store) == {"cold", "cold-secret", "hot", "hot-secret"}
    outcome = repeat(store)
    assert (outcome.entries, outcome.deleted, outcome.unclear) == (2, 2, 0)
    assert there(store) == {"cold", "hot"}
    assert repeat(store).deleted == 0
    # The recovered store tells them too, should it be recovered itself.
    store.tier(after=3600, grace=3600, prefix="cold-data/shop/agents/next")
    with store.server.admin("app"):
        assert len(ledger.read(store.account(), "cold-data/shop/agents/next")) == 2


def test_a_thread_that_was_made_anew_after_its_deletion_stays(store: Store) -> None:
    talked(store, "one", "two")
    store.tier(after=3600)
    delete(store, "one", "two")
    talked(store, "one")
    store.tier(after=3600)
    backup = Snapshot(store)
    delete(store, "one")
    talked(store, "one")
    store.tier(after=3600)
    backup.restore()
    talked(store, "two")
    assert repeat(store).deleted == 1
    assert there(store) == {"two"}


def test_ids_that_tell_no_time_are_left_and_counted(store: Store) -> None:
    talked(store, "one")
    store.tier(after=3600)
    backup = Snapshot(store)
    delete(store, "one")
    store.tier(after=3600)
    backup.restore()
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpoints SET checkpoint_id = 'zzz' || checkpoint_id")
    outcome = repeat(store)
    assert (outcome.deleted, outcome.unclear) == (0, 1)


def test_a_database_without_tables_or_ledger_has_nothing_to_repeat(store: Store) -> None:
    outcome = repeat(store)
    assert (outcome.entries, outcome.deleted) == (0, 0)
    with store.server.admin("app") as connection:
        connection.execute("DROP TABLE checkpoints, checkpoint_blobs, checkpoint_writes")
    assert repeat(store).entries == 0


def test_what_is_in_the_way_is_told(store: Store) -> None:
    talked(store, "one")
    store.tier(after=3600)
    delete(store, "one")
    store.tier(after=3600)
    [file] = [file for file in store.bucket.objects(".json") if "ledger" in str(file)]
    file.write_text('{"deletions": [{"at": "soon"}]}')
    outcome, code = deletions.conclude(store.asked(origin=PREFIX))
    assert (code, outcome.reason) == (1, "Unavailable")
    assert f"{file.name} is no ledger of deletions" in outcome.message
    outcome, code = deletions.conclude(store.asked(origin=PREFIX, bucket="nowhere"))
    assert (code, outcome.reason) == (64, "BucketMissing")


def test_a_deletion_is_told_once_and_forgotten_when_no_backup_has_it(store: Store) -> None:
    talked(store, "one")
    store.tier(after=3600)
    delete(store, "one")
    store.tier(after=3600)
    store.tier(after=3600)
    objects = [file for file in store.bucket.objects(".json") if "ledger" in str(file)]
    assert len(objects) == 1
    with store.archive() as archive:
        ledger.forget(archive.deletions, store.account(), PREFIX, 0)
        assert len(store.catalog("SELECT FROM checkpointstore.deletions")) == 1
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.deletions SET at = at - interval '31 days'")
    with store.archive() as archive:
        ledger.forget(archive.deletions, store.account(), PREFIX, 86400)
        assert len(store.catalog("SELECT FROM checkpointstore.deletions")) == 1, "the window counts twice"
        ledger.forget(archive.deletions, store.account(), PREFIX, 0)
    assert store.catalog("SELECT FROM checkpointstore.deletions") == []
    assert objects[0].exists(), "it is young in the bucket"
    assert datetime.now(UTC) - timedelta(days=1) < datetime.fromtimestamp(objects[0].stat().st_mtime, UTC)


def deletions_told(store: Store) -> int:
    return len(store.catalog("SELECT FROM checkpointstore.deletions"))


@pytest.mark.parametrize("how", ["delete_thread", "prune"])
def test_a_stock_saver_deletes_what_is_cold_of_a_thread_too(store: Store, how: str) -> None:
    talked(store, "one", "two")
    assert store.tier(grace=3600).moved.threads == 2
    with store.saver() as saver:
        if how == "prune":
            saver.prune(["one"], strategy="delete")
        else:
            saver.delete_thread("one")
        assert (store.cold(), deletions_told(store)) == ({"two"}, 1)
        assert store.ask("one") == "Hot"
        store.drain(store.asked())
        assert saver.get_tuple(graphs.config("one")) is None
        saver.prune(["two"])
    assert (store.cold(), deletions_told(store)) == ({"two"}, 1), "a thread that is pruned is still there"
    store.recall("two")
    assert len(store.read("two")) == 6
    assert not any("one" in row for rows in store.rows().values() for row in rows)


def test_what_jobs_remove_is_no_deletion(store: Store) -> None:
    talked(store, "one", "two")
    store.tier(grace=3600, **WHOLE)
    assert (store.cold(), deletions_told(store)) == ({"one", "two"}, 0)
    talked(store, "three")
    assert store.prune(deleteAfter=0).removed.threads == 1
    assert (there(store), deletions_told(store)) == ({"one", "two"}, 0)


def test_a_stock_saver_deletes_a_thread_while_it_comes_back(store: Store) -> None:
    talked(store, "one")
    store.tier(grace=3600)
    assert store.ask("one") == "Queued"
    asked, goes = threading.Event(), threading.Event()

    def held(method: str, path: str) -> str:
        asked.set()
        goes.wait(10)
        return ""

    store.bucket.fault = held
    bringing = threading.Thread(target=store.drain, args=[store.asked()])
    bringing.start()
    assert asked.wait(10)
    with store.saver() as saver:
        saver.delete_thread("one")
    goes.set()
    bringing.join()
    assert (there(store), any(store.rows().values())) == (set(), False)


def test_a_stock_saver_deletes_a_thread_that_is_just_back(store: Store) -> None:
    """It came back after the statement began that deletes it, and before it ends."""
    talked(store, "one")
    store.tier(grace=3600)
    with store.saver() as saver, store.server.admin("app") as connection:
        deleting = threading.Thread(target=saver.delete_thread, args=["one"])
        with connection.transaction():
            connection.execute(
                "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('one', '1', '{}')"
            )
            connection.execute("DELETE FROM checkpointstore.cold_threads")
            deleting.start()
            waits = "SELECT FROM pg_stat_activity WHERE usename = 'app_a' AND wait_event_type = 'Lock'"
            objectstore.until(lambda: store.catalog(waits) != [])
        deleting.join()
    assert (there(store), any(store.rows().values())) == (set(), False)


def test_what_is_in_the_folder_of_another_store_is_told(store: Store) -> None:
    """A recovered store refers to objects that it may not remove."""
    talked(store, "one", "two")
    store.tier(prefix=f"{PREFIX}-before", grace=3600, **WHOLE)
    talked(store, "mine")
    store.tier(grace=3600, **WHOLE)
    delete(store, "one", "mine")
    cold = store.tier(grace=3600).cold
    assert (cold.deleted, cold.deleted_elsewhere) == (2, 1)
    for _ in range(2):
        cold = store.tier().cold
    assert (cold.deleted, cold.deleted_elsewhere) == (1, 1)
    assert len([file for file in store.bucket.objects() if f"{PREFIX}-before" in str(file)]) == 1
