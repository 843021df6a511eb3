"""What an instance's exporter is told: right, to nobody else, and never which thread it was."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver

from checkpointstore.adapters import archiver, exposition
from checkpointstore.features.schema.access.planner import METRIC, METRICS
from checkpointstore.providers.patroni.exporter import ASKED
from tests.integration import exporter, objectstore, stock, threads
from tests.integration import server as servers
from tests.integration.job import PASSWORDS, Job
from tests.integration.server import Server, free_port

ALWAYS = {"checkpointstore", "checkpointstore_archive"}
"""Told whatever there is in the database."""
FUNCTIONS = ("threads", "index_bloat", "statement_times")
CALLED = {f"checkpointstore.{name}()" for name in FUNCTIONS}
KNOWN: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "1"}}
NEWEST: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
PUT: Checkpoint = {**empty_checkpoint(), "v": 4, "channel_values": {"words": ["one"]}}
ASKS: list[tuple[str, Callable[[PostgresSaver], object]]] = [
    ("put", lambda saver: saver.put(KNOWN, PUT, {}, {"words": "1"})),
    ("put_writes", lambda saver: saver.put_writes(KNOWN, [("words", "x")], "task")),
    ("put_writes", lambda saver: saver.put_writes(KNOWN, [("__error__", "x")], "task")),
    ("get", lambda saver: saver.get_tuple(NEWEST)),
    ("get", lambda saver: saver.get_tuple(KNOWN)),
    ("list", lambda saver: list(saver.list(NEWEST))),
    ("list", lambda saver: list(saver.list(NEWEST, limit=1))),
    ("list", lambda saver: list(saver.list(None, filter={"source": "loop"}, before=KNOWN, limit=1))),
    ("delete", lambda saver: saver.delete_thread("t")),
]
# Of the exporter's own, those that docs/metrics.md names and that a server without standbys has.
DEFAULTS = (
    "pg_stat_user_tables_n_tup_ins",
    "pg_stat_user_tables_n_tup_upd",
    "pg_stat_user_tables_n_tup_del",
    "pg_stat_user_tables_n_live_tup",
    "pg_stat_user_tables_n_dead_tup",
    "pg_stat_user_tables_size_bytes",
    "pg_stat_database_blks_hit",
    "pg_stat_database_blks_read",
    "pg_stat_database_blk_read_time",
    "pg_database_size_bytes",
    "pg_up",
    "pg_database_wraparound_age_datfrozenxid_seconds",
    "pg_settings_autovacuum_freeze_max_age",
    "pg_stat_activity_count",
    "pg_settings_max_connections",
    "pg_stat_activity_max_tx_duration",
)
# In 200 draws from such a store no figure was further off than 0.27. A machine that is busy draws less.
CLOSE = 0.35
TRIES = 20
"""A server that is busy looks at fewer threads in its half second."""
SKEWED = 60_000


@pytest.fixture
def store(patroni: Job, server: Server) -> Server:
    """A store that the schema Job has made."""
    assert patroni.run().code == 0
    return server


def told(connection: psycopg.Connection[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """What the exporter gets when it asks."""
    return connection.execute(ASKED[f"checkpointstore_{name}"].sql).fetchall()


def ours() -> Iterator[str]:
    return (name.removeprefix("checkpointstore_") for name in ASKED if name not in ALWAYS)


def put(server: Server, thread: str, words: list[str]) -> None:
    stock.remember(server.uri("app_a", PASSWORDS["app_a"]), thread, words)


def age(connection: psycopg.Connection[Any], thread: str, days: float) -> None:
    """Make a thread's checkpoint as old as that."""
    made = threads.identifier(datetime.now(UTC) - timedelta(days=days))
    connection.execute("UPDATE checkpoints SET checkpoint_id = %s WHERE thread_id = %s", [made, thread])


def test_nothing_is_told_and_nothing_fails_before_there_are_tables(patroni: Job, server: Server) -> None:
    """In a database of nothing, in one where only functions are, and in the one of pods of former releases."""
    with server.admin() as connection:
        connection.execute("CREATE DATABASE app TEMPLATE template0")
    with server.admin("app") as connection:
        assert [told(connection, name) for name in ours()] == [[]] * 6
    assert patroni.run().code == 0
    with server.admin("postgres", user="monitoring") as connection:
        assert [told(connection, name) for name in ours()] == [[]] * 6
        assert len(connection.execute(ASKED["checkpointstore_archive"].sql).fetchall()) == 1
    with server.admin("app") as connection:
        connection.execute("DROP TABLE checkpoint_writes")
        connection.execute("DROP EXTENSION pg_stat_statements")
    with server.admin("app", user="monitoring") as connection:
        assert [told(connection, name) for name in ("thread", "index_bloat", "statement")] == [[]] * 3
        assert len(connection.execute(ASKED["checkpointstore_archive"].sql).fetchall()) == 1


def test_an_empty_store_has_no_threads(store: Server) -> None:
    with store.admin("app", user="monitoring") as connection:
        (row,) = told(connection, "thread")
    assert set(row.values()) == {0}


def test_a_small_store_is_told_exactly(store: Server) -> None:
    for number in range(120):
        put(store, f"canary-{number}", ["word" * number, "é" * 7000 if number == 7 else ""])
    with store.admin("app") as connection:
        for number, days in enumerate((0.9 / 24, 1.1 / 24, 0.9, 1.1, 6.9, 7.1, 29, 31)):
            age(connection, f"canary-{number}", days)
        connection.execute("UPDATE checkpoints SET checkpoint_id = 'mine' WHERE thread_id = 'canary-8'")
        connection.execute("DELETE FROM checkpoints WHERE thread_id = 'canary-9'")
        connection.execute("DELETE FROM checkpoint_blobs WHERE thread_id = 'canary-9'")
        connection.execute("DELETE FROM checkpoint_writes WHERE thread_id = 'canary-9'")
        expected = threads.exact(connection)
    with store.admin("app", user="monitoring") as connection:
        for _ in range(TRIES):
            (row,) = told(connection, "thread")
            if row["sampled"] == 119:
                break
    assert {name: row[name] for name in expected} == expected
    active = [row[f"active_{span}"] for span in ("hour", "day", "week", "month")]
    assert (row["sampled"], active) == (119, [111, 113, 115, 117])


def test_large_values_count_as_they_are_stored(store: Server) -> None:
    with store.admin("app") as connection:
        connection.execute(
            "INSERT INTO checkpoint_blobs (thread_id, channel, version, type, blob) "
            "SELECT 'one', 'm', i, 'bytes', string_agg(sha512((i + n)::text::bytea), '') "
            "FROM generate_series(1, 20) AS i, generate_series(100, 3200) AS n GROUP BY i"
        )
        connection.execute("INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('one', '1', '{}')")
        size = connection.execute("SELECT pg_table_size('checkpoint_blobs') AS bytes").fetchone()
    assert size is not None
    with store.admin("app", user="monitoring") as connection:
        (row,) = told(connection, "thread")
    assert 20 * 64 * 3101 < row["bytes_max"] <= size["bytes"]
    assert row["bytes_max"] / size["bytes"] > 0.9


def test_a_large_store_is_told_closely_and_its_largest_thread_is_found(store: Server) -> None:
    with store.admin("app") as connection:
        threads.fill(connection, SKEWED)
        # Its one checkpoint is hardly met.
        connection.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('canary-wide', %s, '{}')",
            [threads.identifier(datetime.now(UTC))],
        )
        connection.execute(
            "INSERT INTO checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, type, blob) "
            "SELECT 'canary-wide', '1', i, 0, 'm', 'bytes', decode(repeat(md5(i::text), 30), 'hex') "
            "FROM generate_series(1, 12000) AS i"
        )
        connection.execute("ANALYZE checkpoint_writes")
        expected = threads.exact(connection)
    with store.admin("app", user="monitoring") as connection:
        for _ in range(TRIES):
            connection.execute("SELECT setseed(0.25)")
            (row,) = told(connection, "thread")
            if row["sampled"] > 100:
                break
    assert 100 < row["sampled"] <= 300 < expected["count"]
    error = {name: abs(row[name] / value - 1) for name, value in expected.items()}
    print(row, expected, error)
    assert error.pop("bytes_max") < 0.05
    assert max(error.values()) < CLOSE, error
    assert row["active_hour"] == row["active_month"] == row["count"]


def test_nobody_but_monitoring_is_told_and_monitoring_reads_no_checkpoint(store: Server) -> None:
    put(store, "canary-1", ["word"])
    with store.admin("app") as connection:
        rows = connection.execute(
            "SELECT r.rolname, f.oid::regprocedure::text AS function FROM pg_roles AS r, pg_proc AS f "
            "WHERE f.pronamespace = 'checkpointstore'::regnamespace AND r.rolname !~ '^pg_' AND NOT r.rolsuper "
            "AND has_function_privilege(r.oid, f.oid, 'EXECUTE')"
        ).fetchall()
        owners = connection.execute(
            "SELECT pg_get_userbyid(proowner) AS owner FROM pg_proc "
            "WHERE pronamespace = 'checkpointstore'::regnamespace AND prosecdef AND proname <> 'archiving'"
        ).fetchall()
    assert {row["function"] for row in rows if row["rolname"] == "monitoring"} == {
        *CALLED,
        "checkpointstore.archiving()",
    }
    assert {row["rolname"] for row in rows} == {"monitoring", "app_owner"}
    assert {row["owner"] for row in owners} == {"app_owner"}, "no superuser reads tables for others"
    with store.admin("app", user="monitoring") as connection:
        tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
        inside = "checkpointstore.thread('canary-1', 1, now())"
        for refused in (*(f"public.{table}" for table in tables), inside):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {refused}")


def test_who_is_told_cannot_be_led_astray(store: Server) -> None:
    """What an application makes in its own schemas is never run by another role."""
    put(store, "canary-1", ["word"])
    with psycopg.connect(store.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute("CREATE FUNCTION public.pg_column_size(text) RETURNS int LANGUAGE sql AS 'SELECT 1 / 0'")
        connection.execute("CREATE FUNCTION public.count(bigint) RETURNS int LANGUAGE sql AS 'SELECT 1 / 0'")
        connection.execute("CREATE TABLE public.pg_stats (x int)")
    with store.admin("app", user="monitoring") as connection:
        connection.execute("SET search_path = public, pg_catalog")
        for name in FUNCTIONS:
            connection.execute(f"SELECT * FROM checkpointstore.{name}()")


def test_sizes_add_up(store: Server) -> None:
    for number in range(30):
        put(store, f"canary-{number}", ["é" * 9000])
    with store.admin("app", user="monitoring") as connection:
        tables, indexes = told(connection, "table"), told(connection, "index")
        whole = connection.execute(
            "SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class WHERE relname = ANY (%s)",
            [list(threads.TABLES)],
        ).fetchall()
    for row in whole:
        parts = [part for part in (*tables, *indexes) if part["relname"] == row["relname"]]
        assert sum(part["bytes"] for part in parts) == row["bytes"], row
    assert {(row["relname"], row["part"]) for row in tables} == {
        (table, part) for table in threads.TABLES for part in ("heap", "toast")
    }
    assert {"checkpoints_metadata_idx", "checkpoint_writes_pkey"} <= {row["indexrelname"] for row in indexes}


def test_bloat_is_told_and_goes_with_it(store: Server) -> None:
    def index_bloat() -> dict[str, float]:
        with store.admin("app", user="monitoring") as connection:
            return {row["indexrelname"]: row["ratio"] for row in told(connection, "index_bloat")}

    with store.admin("app") as connection:
        threads.fill(connection, 20_000)
        connection.execute("REINDEX TABLE checkpoints")
        fresh = index_bloat()
        connection.execute("DELETE FROM checkpoints WHERE hashtext(thread_id) % 3 <> 0")
        connection.execute("SELECT pg_stat_force_next_flush()")
        with store.admin("app", user="monitoring") as other:
            dead = {(row["relname"], row["part"]): row["dead_ratio"] for row in told(other, "table")}
        connection.execute("VACUUM ANALYZE checkpoints")
        full = index_bloat()
    assert set(fresh) == {f"{table}_pkey" for table in threads.TABLES}
    # Widths are averages, and entries are made up to 8 bytes.
    assert fresh["checkpoints_pkey"] < 0.15
    assert full["checkpoints_pkey"] == pytest.approx(2 / 3, abs=0.1)
    assert dead["checkpoints", "heap"] == pytest.approx(2 / 3, abs=0.1)
    assert dead["checkpoint_blobs", "heap"] == 0


def test_statements_are_told_by_what_a_saver_does_with_them(store: Server) -> None:
    uri = store.uri("app_a", PASSWORDS["app_a"])
    for kind, ask in ASKS:
        with store.admin("app") as connection:
            connection.execute("SELECT pg_stat_statements_reset()")
        with PostgresSaver.from_conn_string(uri) as saver:
            ask(saver)
            ask(saver)
        with store.admin("app", user="monitoring") as connection:
            rows = told(connection, "statement")
        assert {row["kind"] for row in rows} == {kind}
        for row in rows:
            assert row["calls_total"] >= 2
            assert row["seconds_total"] == pytest.approx(row["mean_seconds"] * row["calls_total"])
            least = row["seconds_total"] ** 2 / row["calls_total"]
            assert least * 0.999 <= row["square_seconds_total"] <= row["seconds_total"] ** 2 * 1.001


def test_of_many_statements_the_slowest_are_told(store: Server) -> None:
    with psycopg.connect(store.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute("SELECT pg_sleep(0.1) FROM (SELECT count(*) FROM checkpoints) AS slow")
        for number in range(5):
            for _ in range(150):
                columns = ", ".join(["pg_sleep(0.001)"] + ["1"] * number)
                connection.execute(f"SELECT {columns} FROM (SELECT count(*) FROM checkpoint_blobs) AS often")
        for number in range(1, 20):
            connection.execute(f"SELECT {', '.join(['1'] * number)} FROM checkpoint_writes")
        connection.execute("SELECT pg_sleep(1)")
    with store.admin("app", user="monitoring") as connection:
        rows = told(connection, "statement")
    assert 5 <= len(rows) <= 10
    assert len({row["queryid"] for row in rows}) == len(rows)
    assert 0.1 <= max(row["mean_seconds"] for row in rows) < 1, "and not of what reads no checkpoint"
    assert sum(row["calls_total"] == 150 for row in rows) >= 4


def test_a_standby_repeats_nothing_and_the_primary_tells_how_far_it_is_behind() -> None:
    with servers.running() as primary, following(primary) as standby:
        with primary.admin() as connection:
            connection.execute("CREATE ROLE monitoring LOGIN IN ROLE pg_monitor")
            connection.execute(METRIC.sql("metrics", owner="postgres", monitoring="monitoring", mark=METRICS))
            connection.execute("CREATE EXTENSION pg_stat_statements")
        stock.setup(primary.local_uri("postgres"))
        with primary.admin() as connection, standby.admin() as other:
            connection.execute("CREATE ROLE reader; GRANT SELECT ON checkpoints TO reader")
            threads.fill(connection, 20_000)
            until_replayed(connection, other)
            # It tells the primary a moment after it has replayed.
            objectstore.until(lambda: any(row["lag_seconds"] < 1 for row in told(connection, "replication")))
            (near,) = told(connection, "replication")
            assert near["standby"] == "agents-1"
            alone = ("thread", "table", "index", "index_bloat")
            assert all(told(connection, name) for name in alone)
            assert [told(other, name) for name in alone] == [[]] * 4
            assert told(other, "statement") == []
            # What the tables' owner does, as our Jobs, does not count.
            for who in ("postgres", "reader"):
                other.execute(f"SET ROLE {who}; SELECT count(*) FROM checkpoints; RESET ROLE")
            assert [row["calls_total"] for row in told(other, "statement")] == [1]
            other.execute("SELECT pg_wal_replay_pause()")
            began = time.monotonic()
            while (behind := told(connection, "replication")[0])["lag_seconds"] <= 1:
                assert time.monotonic() - began < 60
                connection.execute("INSERT INTO checkpoint_migrations (v) SELECT max(v) + 1 FROM checkpoint_migrations")
                time.sleep(0.05)
            assert 1 < behind["lag_seconds"] < 60


def test_the_exporter_serves_it_from_the_start_and_names_no_thread(patroni: Job, server: Server) -> None:
    with exporter.running(server) as found:
        assert [sample.value for sample in found.samples("pg_up")] == [0]
        assert patroni.run().code == 0
        for number in range(5):
            put(server, f"canary-{number}", ["word"])
        before = len(found.log.splitlines())
        page = found.page()
        put(server, "canary-5", ["word"])
        again = found.page()
        complaints = [line for line in found.log.splitlines()[before:] if "err=" in line]
        default = DEFAULTS if found.knows("--collector.database_wraparound") else ()
    values = {sample.name: sample.value for sample in exposition.samples(page, "checkpointstore_")}
    columns = {
        f"{name}_{column}"
        for name, query in ASKED.items()
        for column, (use, _) in query.columns.items()
        if use != "LABEL"
    }
    # Nothing is large enough for bloat, and nobody follows.
    assert columns - set(values) == {"checkpointstore_index_bloat_ratio", "checkpointstore_replication_lag_seconds"}
    assert set(values) <= columns
    assert values["checkpointstore_thread_count"] == 5
    assert "checkpointstore_thread_count{" in again
    assert {sample.value for sample in exposition.samples(again, "checkpointstore_thread_count")} == {5}, "kept"
    assert [name for name in default if f"\n{name}" not in page] == []
    assert "canary" not in page + again
    assert {sample.value for sample in exposition.samples(again, "pg_exporter_last_scrape_error")} == {0}
    assert complaints == []
    assert archiver.read(page) is not None


def test_an_exporter_of_the_release_before_still_tells_of_archiving(store: Server) -> None:
    with exporter.running(store, "postgres") as found:
        page = found.page()
    assert archiver.read(page) is not None
    assert {sample.value for sample in exposition.samples(page, "pg_exporter_last_scrape_error")} == {0}
    assert {sample.name.split("_")[1] for sample in exposition.samples(page, "checkpointstore_")} == {
        "archive",
        "configuration",
    }


@contextmanager
def following(primary: Server) -> Iterator[Server]:
    """A standby of it, beside it, that calls itself agents-1."""
    with primary.admin() as connection:
        connection.execute("ALTER SYSTEM SET max_wal_senders = 2")
    with (primary.data / "pg_hba.conf").open("a") as file:
        file.write("local replication all trust\n")
    primary.stop()
    primary.start()
    standby = replace(primary, data=primary.data.with_name("standby"), port=free_port())
    standby.call(
        "pg_basebackup", "-h", str(primary.data), "-p", str(primary.port), "-U", "postgres", "-R", "-c", "fast"
    )
    with (standby.data / "postgresql.auto.conf").open("a") as file:
        file.write(f"port = {standby.port}\nunix_socket_directories = '{standby.data}'\ncluster_name = 'agents-1'\n")
    standby.start()
    try:
        yield standby
    finally:
        standby.stop("immediate")


def until_replayed(primary: psycopg.Connection[dict[str, Any]], standby: psycopg.Connection[dict[str, Any]]) -> None:
    (now,) = primary.execute("SELECT pg_current_wal_lsn()::text AS lsn").fetchall()
    deadline = time.monotonic() + 20
    while standby.execute("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn AS behind", [now["lsn"]]).fetchone() == {
        "behind": True
    }:
        assert time.monotonic() < deadline
        time.sleep(0.05)
