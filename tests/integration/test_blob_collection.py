"""Values outside that no row refers to go, hot rows and cold ones counted, and never one that a row may still need."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from checkpointstore.adapters.blobs import References
from checkpointstore.client import BlobSerializer, BlobStore, open_saver
from checkpointstore.features.blobs.request import Outcome
from checkpointstore.features.blobs.tag import TIME
from checkpointstore.jobs import blobs, life
from tests.integration import graphs, outside
from tests.integration.job import PASSWORDS
from tests.integration.tiering import WHOLE, Store

ROOT, FOLDER = "blobs", "shop/agents/uid"
DAY = 86400
OLD, YOUNG = timedelta(days=-3), timedelta(hours=1)
PROGRAM = "from checkpointstore.jobs.blobs import run; raise SystemExit(run())"


def asked(store: Store, **more: Any) -> dict[str, str]:
    where = {"host": "localhost", "port": store.server.port, "database": "app", **store.bucket.place()}
    request = {"store": "shop/agents", "provider": "Patroni", **where, "root": ROOT, "folder": FOLDER, "grace": DAY}
    return {**store.asked(), "CHECKPOINTSTORE_JOB": json.dumps({**request, **more})}


def collect(store: Store, **more: Any) -> Outcome:
    outcome, code = blobs.conclude(asked(store, **more))
    assert (code, outcome.reason) == (0, ""), outcome
    return outcome


def put(store: Store, content: str, until: timedelta = OLD, folder: str = FOLDER) -> str:
    """An object; its key, as rows have it."""
    name = hashlib.sha256(content.encode()).hexdigest()
    key = f"{folder}/{datetime.now(UTC) + until:{TIME}}/{name}"
    store.account().put(f"{ROOT}/{key}", content.encode())
    return key


def row(store: Store, thread: str, type_: str, table: str = "checkpoint_blobs") -> None:
    columns = {
        "checkpoint_blobs": "(thread_id, channel, version, type, blob) VALUES (%s, 'words', '1', %s, '7')",
        "checkpoint_writes": "(thread_id, checkpoint_id, task_id, idx, channel, type, blob) "
        "VALUES (%s, '1', 't', 0, 'words', %s, '7')",
    }
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"])) as connection:
        connection.execute(f"INSERT INTO {table} {columns[table]}", [thread, type_])


def there(store: Store) -> set[str]:
    return {key.removeprefix(f"{ROOT}/") for key, _ in store.account().keys(f"{ROOT}/")}


def test_what_no_row_refers_to_goes(store: Store) -> None:
    used = [put(store, "of a value"), put(store, "of a write"), put(store, "encrypted"), put(store, "one of two")]
    other = put(store, "two of two")
    row(store, "a", f"blob:{used[0]}:msgpack")
    row(store, "b", f"blob:{used[1]}:msgpack", "checkpoint_writes")
    row(store, "c", f"blob:{used[2]}:msgpack+aes")
    row(store, "d", f"blobs:{used[3]},{other}:msgpack")
    gone = [put(store, "nobody's"), put(store, "nobody's either")]
    young = put(store, "whose row is on its way", YOUNG)
    elsewhere = put(store, "of another store", folder="shop/agents/another")
    strange = f"{FOLDER}/readme"
    store.account().put(f"{ROOT}/{strange}", b"somebody's")

    first = collect(store, dryRun=True)
    assert (first.removed, first.removed_bytes, first.dry_run) == (2, len("nobody's") + len("nobody's either"), True)
    assert there(store) == {*used, other, *gone, young, elsewhere, strange}
    done = collect(store)
    assert there(store) == {*used, other, young, elsewhere, strange}
    assert (done.objects, done.removed, done.unused, done.missing, done.elsewhere) == (7, 2, 0, 0, 0)
    assert collect(store).removed == 0


def test_without_tables_nothing_goes(store: Store) -> None:
    with store.server.admin("app") as connection:
        connection.execute("DROP TABLE checkpoints, checkpoint_blobs, checkpoint_writes CASCADE")
    key = put(store, "a value")
    assert collect(store).removed == 0
    assert there(store) == {key}


def test_what_a_recovery_may_need_stays_for_its_window(store: Store) -> None:
    key = put(store, "a value")
    assert (collect(store, keep=7 * DAY).unused, there(store)) == (1, {key})
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore_unused_blobs SET since = now() - interval '6 days'")
    assert collect(store, keep=7 * DAY).unused == 1
    # A row refers to it again, as a recovery would have it: the time begins anew.
    row(store, "a", f"blob:{key}:msgpack")
    assert collect(store, keep=7 * DAY).unused == 0
    with store.server.admin("app") as connection:
        connection.execute("DELETE FROM checkpoint_blobs")
    assert collect(store, keep=7 * DAY).unused == 1
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore_unused_blobs SET since = now() - interval '8 days'")
    assert (collect(store, keep=7 * DAY).removed, there(store)) == (1, set())
    assert collect(store, keep=7 * DAY).unused == 0


@pytest.mark.parametrize("how", [{}, WHOLE], ids=["latest stays", "whole"])
def test_values_of_cold_threads_stay_until_the_thread_is_deleted(store: Store, how: dict[str, Any]) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "model", 4)
    with store.server.admin("app") as connection:
        connection.execute(
            "DELETE FROM checkpoint_writes WHERE checkpoint_id = (SELECT max(checkpoint_id) FROM checkpoints)"
        )
        oldest = connection.execute("SELECT min(checkpoint_id) AS id FROM checkpoint_writes").fetchone()
        assert oldest is not None
    keys = [put(store, "a write"), put(store, "a value")]
    with store.server.admin("app") as connection:
        write = [f"blob:{keys[0]}:msgpack", oldest["id"]]
        connection.execute("UPDATE checkpoint_writes SET type = %s WHERE checkpoint_id = %s", write)
        value = [f"blobs:{keys[1]}:msgpack", oldest["id"]]
        connection.execute(
            "UPDATE checkpoint_blobs AS b SET type = %s FROM checkpoints AS c, "
            "jsonb_each_text(c.checkpoint -> 'channel_versions') AS v "
            "WHERE c.checkpoint_id = %s AND b.channel = v.key AND b.version = v.value",
            value,
        )
    assert store.tier(**how).moved.threads == 1
    # What moved is swept an hour later.
    store.tier(**how)
    found = store.catalog("SELECT unnest(blobs) FROM checkpointstore.cold_threads")
    assert {key for (key,) in found} == set(keys)
    assert (collect(store).removed, there(store)) == (0, set(keys) | cold(store))
    store.recall("model")
    assert (collect(store).removed, collect(store).missing) == (0, 0)
    store.tier(**how)
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute("SELECT checkpointstore.delete_thread('model')")
    assert collect(store).removed == 2


def cold(store: Store) -> set[str]:
    return {key for key in there(store) if not key.startswith(FOLDER)}


def test_what_rows_refer_to_and_is_not_there_is_told(store: Store) -> None:
    lost = put(store, "lost")
    store.account().delete([f"{ROOT}/{lost}"])
    fresh = put(store, "on its way", YOUNG)
    store.account().delete([f"{ROOT}/{fresh}"])
    row(store, "a", f"blob:{lost}:msgpack")
    row(store, "b", f"blob:{fresh}:msgpack")
    row(store, "c", f"blob:{put(store, 'of another', folder='shop/old/uid')}:msgpack")
    done = collect(store)
    assert (done.missing, done.example, done.elsewhere) == (1, lost, 1)


def test_what_is_not_there_any_more_in_another_store_s_folder_is_told(store: Store) -> None:
    """This one was recovered from its backup, and it lives on and collects."""
    kept, lost = (put(store, text, folder="shop/old/uid") for text in ("kept", "lost"))
    row(store, "a", f"blob:{kept}:msgpack")
    row(store, "b", f"blob:{lost}:msgpack", "checkpoint_writes")
    assert (collect(store).missing, collect(store).elsewhere) == (0, 2)
    store.account().delete([f"{ROOT}/{lost}"])
    done = collect(store)
    assert (done.missing, done.example, done.elsewhere) == (1, lost, 2)
    assert there(store) == {kept}


def test_keys_that_tell_no_time_are_left(store: Store) -> None:
    strange = f"{FOLDER}/20260230T000000Z/{'0' * 64}"
    store.account().put(f"{ROOT}/{strange}", b"a value")
    row(store, "a", f"blob:{strange.replace('0' * 64, '1' * 64)}:msgpack")
    done = collect(store)
    assert (done.removed, done.missing, there(store)) == (0, 0, {strange})


def test_threads_that_change_places_while_they_are_looked_at_are_seen(store: Store) -> None:
    """One is hot and the other cold, and they change places after the first answer."""
    keys = {thread: put(store, f"value of {thread}") for thread in ("hot", "cold")}
    with store.saver() as saver:
        for thread, key in keys.items():
            graphs.talk(graphs.remembering(saver), thread, 3)
            with store.server.admin("app") as connection:
                value = [f"blob:{key}:msgpack", thread]
                connection.execute("UPDATE checkpoint_writes SET type = %s WHERE thread_id = %s", value)
    store.tier(**WHOLE)
    store.recall("hot")
    with store.server.admin("app") as connection:
        references = References(connection, "app_owner", "app")
        assert references.prepare()
        seen = references.referred()
        found = {next(seen)}
        with store.server.admin("app") as other:
            other.execute("DELETE FROM checkpointstore.recalls")
        store.tier(**WHOLE)
        store.recall("cold")
        assert found | set(seen) == set(keys.values())


def test_a_catalog_of_somebody_else_s_is_refused(store: Store) -> None:
    with store.server.admin("app") as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS checkpointstore")
        connection.execute("DROP TABLE IF EXISTS checkpointstore.cold_threads CASCADE")
        connection.execute("CREATE VIEW checkpointstore.cold_threads AS SELECT ARRAY[current_user::text] AS blobs")
        connection.execute("GRANT USAGE ON SCHEMA checkpointstore TO PUBLIC")
        connection.execute("GRANT SELECT ON checkpointstore.cold_threads TO PUBLIC")
    outcome, code = blobs.conclude(asked(store))
    assert (code, outcome.reason) == (64, "InsufficientPrivilege")
    assert "checkpointstore.cold_threads" in outcome.message


def test_a_value_that_comes_back_by_a_copy_is_seen(store: Store) -> None:
    """Threads are copied and deleted all the time, and the Job runs all the time: nothing that is needed goes."""
    keys = [put(store, f"value {number}") for number in range(20)]
    for number, key in enumerate(keys):
        row(store, f"t{number}-0", f"blob:{key}:msgpack")
    stop = threading.Event()

    def rename() -> None:
        with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
            turn = 0
            while not stop.is_set():
                turn += 1
                for number in range(20):
                    with connection.transaction():
                        connection.execute(
                            "INSERT INTO checkpoint_blobs SELECT %s, checkpoint_ns, channel, version, type, blob "
                            "FROM checkpoint_blobs WHERE thread_id = %s",
                            [f"t{number}-{turn}", f"t{number}-{turn - 1}"],
                        )
                        connection.execute(
                            "DELETE FROM checkpoint_blobs WHERE thread_id = %s", [f"t{number}-{turn - 1}"]
                        )

    writer = threading.Thread(target=rename)
    writer.start()
    try:
        end = time.monotonic() + 5
        runs = 0
        while time.monotonic() < end or runs <= 3:
            done = collect(store)
            assert (done.removed, done.missing) == (0, 0)
            runs += 1
    finally:
        stop.set()
        writer.join()
    assert runs > 3
    assert there(store) == set(keys)


def test_killed_anywhere_the_next_run_does_the_rest(store: Store, tmp_path: Path) -> None:
    used = put(store, "of a value")
    row(store, "a", f"blob:{used}:msgpack")
    for number in range(40):
        put(store, f"nobody's {number}")
    for number in range(6):
        environ = {**os.environ, **asked(store), "CHECKPOINTSTORE_RESULT_FILE": str(tmp_path / "result")}
        run = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environ, stderr=subprocess.DEVNULL)
        time.sleep(0.4 + 0.1 * number)
        run.kill()
        run.wait()
        assert used in there(store)
    collect(store)
    assert there(store) == {used}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_object_store_that_fails_is_told_and_nothing_is_lost(store: Store, method: str) -> None:
    used = put(store, "of a value")
    row(store, "a", f"blob:{used}:msgpack")
    put(store, "nobody's")
    store.bucket.fault = lambda seen, path: "refuse" if seen == method else ""
    outcome, code = blobs.conclude(asked(store))
    assert (code, outcome.reason) == (1, "Unavailable")
    store.bucket.fault = lambda seen, path: ""
    assert collect(store).removed == 1
    assert there(store) == {used}


def test_another_run_at_work_is_waited_for_and_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "PATIENCE", 0.3)
    with store.server.admin("app") as connection:
        connection.execute(f"SELECT pg_advisory_lock({int.from_bytes(b'blobs')})")
        outcome, code = blobs.conclude(asked(store))
    assert (code, outcome.reason, outcome.message) == (1, "Unavailable", "another blobs Job is at work")


def test_a_table_that_would_run_somebody_else_s_code_is_refused(store: Store) -> None:
    with store.server.admin("app") as connection:
        connection.execute("CREATE VIEW checkpointstore_unused_blobs AS SELECT 'x' AS key, now() AS since")
    try:
        outcome, code = blobs.conclude(asked(store))
        assert (code, outcome.reason) == (64, "InsufficientPrivilege")
        assert "checkpointstore_unused_blobs" in outcome.message
    finally:
        with store.server.admin("app") as connection:
            connection.execute("DROP VIEW checkpointstore_unused_blobs")


def test_a_document_lives_as_long_as_its_thread_wherever_that_is(store: Store, tmp_path: Path) -> None:
    """Our saver, the tier and the collector, on values that were written two days ago."""
    secret = outside.mount(store.bucket, tmp_path / "agents-blobs", above=1024)
    uri = store.server.uri("app_a", PASSWORDS["app_a"])
    serde = BlobSerializer(BlobStore(secret, clock=lambda: time.time() - 2 * DAY))
    start = {"document": outside.document(100_000), "pages": [outside.document(100) for _ in range(100)]}
    with open_saver(uri, serde=serde) as saver:
        for thread in ("one", "two"):
            outside.reader(saver).invoke(start, graphs.config(thread))
    written = there(store)
    assert len(written) == 3, "of both threads: the text, the list, and the input that they came in"
    assert (collect(store).removed, collect(store).missing) == (0, 0)
    assert store.tier(**WHOLE).moved.threads == 2
    store.tier(**WHOLE)
    assert store.catalog("SELECT count(*) FROM checkpoint_blobs") == [(0,)]
    assert (collect(store).removed, collect(store).missing) == (0, 0)
    with open_saver(uri, serde=BlobSerializer(BlobStore(secret))) as saver, store.recaller():
        saver.delete_thread("one")
        assert collect(store).removed == 0
        state = outside.reader(saver).get_state(graphs.config("two"))
        assert state.values == {**start, "turns": 1}
        saver.delete_thread("two")
    done = collect(store)
    assert (done.removed, done.objects, there(store) & written) == (3, 0, set())
