"""Whatever stops a Job or somebody's index build, the next run ends with the catalog that an undisturbed one makes."""

import time
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.integration import catalog, stock
from tests.integration.job import Job
from tests.integration.server import Server

INDEXES = ["checkpoints_metadata_idx", "checkpoints_checkpoint_id_idx", "checkpoints_thread_id_idx"]


def snapshot(server: Server) -> catalog.Facts:
    with server.admin("app") as connection:
        return catalog.facts(connection) | catalog.access(connection)


@pytest.fixture
def undisturbed(patroni: Job, server: Server) -> catalog.Facts:
    assert patroni.run().code == 0
    facts = snapshot(server)
    server.reset()
    return facts


def test_killed_at_every_statement_in_turn(patroni: Job, server: Server, undisturbed: catalog.Facts) -> None:
    """Each run dies at the first statement that it sends, so one after the other every statement is the last."""
    runs = 0
    while (result := patroni.run(kill_at=1)).code == -9:
        runs += 1
        assert runs < 100, result.log
    print(f"{runs} Jobs killed")
    assert (result.code, snapshot(server)) == (0, undisturbed)
    assert runs > 30


def test_killed_once_and_run_again(patroni: Job, server: Server, undisturbed: catalog.Facts, soak: bool) -> None:
    """The second run finishes what the first left at its n-th statement, for every n (every third when in haste)."""
    rounds = 0
    for statement in count(1, 1 if soak else 3):
        server.reset()
        if patroni.run(kill_at=statement).code == 0:
            break
        rounds += 1
        assert (patroni.run().code, snapshot(server)) == (0, undisturbed), f"killed at statement {statement}"
    print(f"{rounds} Jobs killed, each followed by one that finished")
    assert rounds > 10


@pytest.mark.parametrize("index", INDEXES)
def test_an_index_whose_build_was_cut_off_is_built_again(
    external: Job, server: Server, stock_facts: catalog.Facts, index: str
) -> None:
    assert external.run().code == 0
    with server.admin("app") as connection:
        definition = connection.execute("SELECT pg_get_indexdef(%s::regclass) AS sql", [index]).fetchone()
        connection.execute(f"DROP INDEX {index}")
        assert definition
        cut_off(server, definition["sql"].replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY"))
        row = connection.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [index]).fetchone()
    assert row == {"indisvalid": False}
    result = external.run()
    assert (result.code, f"drop invalid index {index}" in result.steps) == (0, True), result.log
    with server.admin("app") as connection:
        facts = catalog.facts(connection)
    assert facts - stock_facts == catalog.extras()
    assert stock_facts - facts == catalog.replaced()


def test_an_index_that_somebody_still_builds_is_waited_for(external: Job, server: Server) -> None:
    stock.setup(server.local_uri("app"))
    with server.admin("app") as connection:
        connection.execute("DROP INDEX checkpoints_thread_id_idx")
        for table in catalog.TABLES:
            connection.execute(f"ALTER TABLE {table} OWNER TO dba")
    with server.admin("app") as holder, server.admin("app") as watcher:
        builder = started(
            server, holder, "CREATE INDEX CONCURRENTLY checkpoints_thread_id_idx ON checkpoints(thread_id)"
        )
        oid = watcher.execute("SELECT 'checkpoints_thread_id_idx'::regclass::oid AS oid").fetchone()
        running = external.start()
        logged(running.folder, "another session builds")
        holder.execute("ROLLBACK")
        result = running.wait()
        builder.close()
        after = watcher.execute("SELECT 'checkpoints_thread_id_idx'::regclass::oid AS oid").fetchone()
    assert (result.code, after) == (0, oid), result.log


def test_a_table_that_is_in_use_is_not_queued_for_longer_than_its_readers_can_bear(
    external: Job, server: Server, stock_facts: catalog.Facts
) -> None:
    stock.setup(server.local_uri("app"))
    with server.admin("app") as holder, server.admin("app") as reader:
        for table in catalog.TABLES:
            holder.execute(f"ALTER TABLE {table} OWNER TO dba")
        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM checkpoints")
        running = external.start()
        logged(running.folder, "lock timeout")
        started_at = time.monotonic()
        reader.execute("SELECT count(*) FROM checkpoints")
        assert time.monotonic() - started_at < 10
        holder.execute("ROLLBACK")
    result = running.wait()
    assert result.code == 0, result.log
    with server.admin("app") as connection:
        assert catalog.facts(connection) - stock_facts == catalog.extras()


def logged(folder: Path, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in (folder / "log").read_text():
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)


def cut_off(server: Server, build: str) -> None:
    """Terminate the build while it waits for an older transaction, as a failover would."""
    with server.admin("app") as holder, server.admin("app") as watcher:
        builder = started(server, holder, build)
        watcher.execute("SELECT pg_terminate_backend(%s)", [builder.info.backend_pid])
        holder.execute("ROLLBACK")
        deadline = time.monotonic() + 10
        alive = "SELECT count(*) AS n FROM pg_stat_activity WHERE pid = %s"
        while watcher.execute(alive, [builder.info.backend_pid]).fetchone() != {"n": 0}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        builder.close()


def started(
    server: Server, holder: psycopg.Connection[dict[str, object]], build: str
) -> psycopg.Connection[dict[str, object]]:
    """A session that builds the index and cannot finish before `holder` ends its transaction."""
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE checkpoints IN ROW EXCLUSIVE MODE")
    builder = server.admin("app")
    builder.pgconn.send_query(build.encode())
    while builder.pgconn.flush():
        pass
    deadline = time.monotonic() + 10
    waits = "SELECT count(*) AS n FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
    with server.admin("app") as watcher:
        while watcher.execute(waits).fetchone() != {"n": 1}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return builder
