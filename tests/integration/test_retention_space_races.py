"""Tables are rewritten beside applications that write, under standbys, and killed in the middle."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from checkpointstore.adapters.space import Space
from checkpointstore.features.retention.request import Outcome
from checkpointstore.kernel.errors import StoreError
from tests.integration import graphs, objectstore, pruning, threads
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS
from tests.integration.pruning import Store
from tests.integration.roomy import ASKED, GIB, NOTHING, forgotten, left, rested, sizes, total, tries
from tests.integration.standby import following


@pytest.fixture
def store(roomy_store: Store) -> Store:
    return roomy_store


def test_a_transaction_that_lasts_is_not_waited_for_and_keeps_nobody_waiting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkpointstore.jobs.space.LIMIT", 30.0)
    uri = store.server.uri("app_a", PASSWORDS["app_a"])
    with psycopg.connect(uri) as reader, store.saver() as saver:
        reader.execute("SELECT count(*) FROM checkpoint_blobs")
        longest, ended = 0.0, threading.Event()

        def writes() -> None:
            nonlocal longest
            graph, turn = graphs.chat(saver), 0
            while not ended.is_set():
                began = time.monotonic()
                graphs.talk(graph, "busy", 1, first=turn)
                turn, longest = turn + 1, max(longest, time.monotonic() - began)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(writes)
            outcome = store.prune(**{**ASKED, "least": 10 * 1024**2})
            reader.rollback()
            ended.set()
            writing.result()
    print(outcome, f"longest turn {longest:.2f} s")
    assert "lock timeout" in outcome.kept
    assert longest < 20
    assert left(store) == NOTHING
    assert tries(store)[0] == "begun by the retention Job"


class Crowd:
    """Savers that write as fast as they can, each to its own thread."""

    def __init__(self, store: Store) -> None:
        self.store, self.ended = store, threading.Event()
        self.turns: dict[str, int] = {}
        self.longest = 0.0

    def talks(self, thread: str) -> None:
        with self.store.saver() as saver:
            graph = graphs.chat(saver)
            while not self.ended.is_set():
                began = time.monotonic()
                graphs.talk(graph, thread, 1, first=self.turns.get(thread, 0))
                self.turns[thread] = self.turns.get(thread, 0) + 1
                self.longest = max(self.longest, time.monotonic() - began)

    def check(self) -> None:
        with self.store.saver() as saver:
            graph = graphs.chat(saver)
            for thread, turns in self.turns.items():
                state = graph.get_state(config(thread)).values
                assert (state["turns"], len(state["said"])) == (turns, 2 * turns)


def test_writers_see_no_error_and_lose_nothing(store: Store, soak: bool) -> None:
    crowd, rows, done, refused = Crowd(store), store.rows(), 0, 0
    with ThreadPoolExecutor(4) as pool, store.server.admin("app") as connection:
        writing = [pool.submit(crowd.talks, f"chat-{number}") for number in range(4)]
        try:
            for _ in range(10):
                outcome = store.prune(**{**ASKED, "keepLast": 0, "deleteAfter": 86400.0})
                if outcome.returned:
                    break
                # A writer that is paused in a transaction is not waited for.
                forgotten(store)
            space = Space(connection, "app_owner", dry=False)
            for table in threads.TABLES * (30 if soak else 4):
                try:
                    # However little is free.
                    space.rewrite(table, 60)
                    done += 1
                except StoreError as error:
                    print(error.message)
                    refused += 1
            objectstore.until(lambda: len(crowd.turns) == 4 and min(crowd.turns.values()) > 3)
        finally:
            crowd.ended.set()
        for ended in writing:
            ended.result()
    print(f"turns {crowd.turns}, longest {crowd.longest:.2f} s, {done} rewrites, {refused} refused")
    assert outcome.returned > 0
    assert done > refused
    assert min(crowd.turns.values()) > 3
    crowd.check()
    after = store.rows()
    assert all(rows[table] <= after[table] for table in rows)
    assert store.loose() == []
    assert left(store) == NOTHING


def orphans(store: Store) -> int:
    """Bytes of a copy that was never committed: PostgreSQL forgets such files when it crashes."""
    with store.server.admin("app") as connection:
        [row] = connection.execute(
            "SELECT coalesce(sum((pg_stat_file('base/' || d.oid || '/' || f)).size), 0)::bigint AS bytes "
            "FROM pg_database AS d, pg_ls_dir('base/' || d.oid) AS f WHERE d.datname = current_database() "
            "AND f ~ '^[0-9]+' AND pg_filenode_relation(0, substring(f FROM '^[0-9]+')::oid) IS NULL"
        ).fetchall()
        return int(row["bytes"])


def working(store: Store) -> int:
    """The process of a rewrite, once it goes on."""
    end = time.monotonic() + 30
    with store.server.admin("app") as connection:
        while time.monotonic() < end:
            found = connection.execute(
                "SELECT active_pid AS pid FROM pg_replication_slots WHERE plugin = 'pg_squeeze' AND active_pid > 0"
            ).fetchone()
            if found:
                return int(found["pid"])
    raise AssertionError("no rewrite began")


PATIENT = f"""
from checkpointstore.adapters import space
from checkpointstore.features.schema.script import Script
role = space.QUERIES.blocks["shape_role"].replace("500ms", "30s")
space.QUERIES = Script({{**space.QUERIES.blocks, "shape_role": role}})
{pruning.PROGRAM}
"""
"""A Job whose rewrite waits for its lock until it is killed, however long the test takes to do so."""


def test_the_job_is_killed_in_the_middle(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PROGRAM", PATIENT)
    rows, before = store.rows(), sizes(store)
    with store.server.admin("app") as reader:
        reader.execute("BEGIN; SELECT count(*) FROM checkpoint_blobs")
        job = store.start(tmp_path / "result", **ASKED)
        working(store)
        job.send_signal(signal.SIGKILL)
        job.wait()
    rested(store)
    assert left(store) == NOTHING, "what was begun ends by itself"
    assert store.rows() == rows
    store.prune(**ASKED)
    assert total(sizes(store)) < total(before) / 2
    assert store.rows() == rows


def asked_until_it_ends(connection: psycopg.Connection[Any]) -> None:
    """A server that crashes takes its other sessions along, a moment later."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        connection.execute("SELECT")
        time.sleep(0.05)


def test_the_server_crashes_in_the_middle(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PROGRAM", PATIENT)
    rows, before = store.rows(), sizes(store)
    with store.server.admin("app") as connection:
        # Its copy is made and waits to take the table's place.
        connection.execute("BEGIN; SELECT count(*) FROM checkpoint_blobs")
        job = store.start(tmp_path / "result", **ASKED)
        pid = working(store)
        time.sleep(0.25)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            asked_until_it_ends(connection)
    assert job.wait() == 0, "what was removed was removed"
    outcome = Outcome.model_validate_json((tmp_path / "result").read_text())
    assert outcome.kept
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            found = left(store)
            break
        except psycopg.OperationalError:
            time.sleep(0.1)
    print(outcome, found, f"{orphans(store)} bytes in files of no table")
    assert sizes(store) == before
    assert store.rows() == rows
    assert "begun by the retention Job" in tries(store)
    store.prune(**{**ASKED, "least": GIB})
    assert left(store)["slots"] == 0, "what would keep WAL goes with the next run, though it rewrites nothing"
    forgotten(store)
    assert store.prune(**ASKED).kept == ""
    assert total(sizes(store)) < total(before) / 2
    assert store.rows() == rows
    assert left(store) == NOTHING


def test_a_rewrite_is_ended_by_who_watches_it(store: Store) -> None:
    rows, before = store.rows(), sizes(store)
    with store.server.admin("app") as connection, store.server.admin("app") as reader:
        space = Space(connection, "app_owner", dry=False)
        space.tables()
        # A rewrite that waits for its lock cannot be done before it is ended.
        reader.execute("BEGIN; SELECT count(*) FROM checkpoint_blobs")
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(space.rewrite, "checkpoint_blobs", 60)
            working(store)
            space.cancel()
            assert "canceling statement" in str(done.exception())
        rested(store)
    assert left(store) == NOTHING
    assert (sizes(store), store.rows()) == (before, rows)


def test_a_snapshot_from_before_finds_the_table_empty_as_the_docs_say(store: Store) -> None:
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"])) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM pg_class")
        assert store.prune(**ASKED).returned > 0
        assert reader.execute("SELECT count(*) FROM checkpoint_blobs").fetchone() == (0,)
        reader.rollback()
        assert reader.execute("SELECT count(*) FROM checkpoint_blobs").fetchone() == (1001,)


def written(store: Store, megabytes: int) -> None:
    """So much write-ahead log."""
    with store.server.admin("app") as connection:
        message = "SELECT pg_logical_emit_message(false, '', repeat('x', 1000000)) FROM generate_series(1, %s)"
        connection.execute(message, [megabytes])


def test_a_standby_gets_it_all_and_one_that_falls_behind_ends_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checkpointstore.jobs.space.WAIT", 0.02)
    rows, before, cancel, cancelled = store.rows(), sizes(store), Space.cancel, []

    def counted(self: Space) -> None:
        cancelled.append(True)
        cancel(self)

    monkeypatch.setattr(Space, "cancel", counted)
    with following(store.server, synchronous=True) as standby:
        with standby.admin("app") as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
        written(store, 62)
        with store.server.admin("app") as connection, ThreadPoolExecutor(1) as pool:
            connection.execute("BEGIN; SELECT count(*) FROM checkpoint_blobs")
            running = pool.submit(store.prune, **ASKED)
            working(store)
            # It waits for its lock half a second, in which this machine may not write enough to be behind.
            with monkeypatch.context() as patched:
                patched.setattr("checkpointstore.features.retention.space.MOST_BEHIND", 32 * 1024**2)
                outcome = running.result()
            written(store, 10)
            connection.execute("COMMIT")
        assert "the rewrite of checkpoint_blobs was ended: a standby is" in outcome.kept
        assert cancelled
        rested(store)
        forgotten(store)
        outcome = store.prune(**ASKED)
        assert outcome.kept.startswith("a standby is"), "and it begins none"
        assert (sizes(store), outcome.returned) == (before, 0)
        with standby.admin("app") as connection:
            connection.execute("SELECT pg_wal_replay_resume()")
        end = time.monotonic() + 30
        while not (outcome := store.prune(**ASKED)).returned and time.monotonic() < end:
            time.sleep(0.5)
        assert outcome.returned > 0
        with store.server.admin("app") as connection:
            [row] = connection.execute("SELECT pg_current_wal_lsn() AS at").fetchall()
        with standby.admin("app") as connection:
            while connection.execute("SELECT 1 WHERE pg_last_wal_replay_lsn() < %s", [row["at"]]).fetchone():
                time.sleep(0.1)
    assert store.rows() == rows
