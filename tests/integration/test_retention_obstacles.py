"""What stands in the retention Job's way: tables that somebody else made, threads that the server will not let go."""

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver

from checkpointstore.adapters import retention as adapter
from checkpointstore.adapters.retention import Busy, Tables
from checkpointstore.features.schema.script import Script
from checkpointstore.jobs import retention
from tests.integration import graphs
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS, Job
from tests.integration.pruning import Store
from tests.integration.server import Server, running

POLICY: dict[str, Any] = {"keepLast": 2}
CLIMB = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE 'RESET ROLE';
  EXECUTE 'ALTER ROLE app_a SUPERUSER';
  RETURN coalesce(NEW, OLD);
END $$
"""
SQUAT = """
CREATE TABLE public.checkpointstore_retention_blobs (
  thread_id text, checkpoint_ns text, channel text, version text, at timestamptz,
  PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
CREATE TABLE public.checkpointstore_retention_cursor (thread_id text);
GRANT ALL ON public.checkpointstore_retention_blobs, public.checkpointstore_retention_cursor TO PUBLIC;
CREATE TRIGGER climb BEFORE INSERT ON public.checkpointstore_retention_blobs FOR EACH ROW EXECUTE FUNCTION climb();
ALTER TABLE public.checkpointstore_retention_blobs ENABLE ALWAYS TRIGGER climb
"""
# A DBA's, so that it runs whatever the session's role in replication is.
OBSTACLE = """
CREATE FUNCTION public.obstacle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF OLD.thread_id IN ('b', 'c') THEN {act}; END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER obstacle BEFORE DELETE ON public.{table} FOR EACH ROW EXECUTE FUNCTION public.obstacle();
ALTER TABLE public.{table} ENABLE ALWAYS TRIGGER obstacle
"""
RAISE = "RAISE 'not this one' USING ERRCODE = '{}'"


@pytest.fixture
def store(patroni: Job, server: Server) -> Store:
    assert patroni.run().code == 0
    return Store(server)


@pytest.fixture
def application(store: Store) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        yield connection


def talk(store: Store, *threads: str) -> None:
    with store.saver() as saver:
        for thread in threads:
            graphs.talk(graphs.chat(saver), thread, 3)


def count(store: Store, thread: str) -> int:
    return len(store.read(thread))


def superusers(store: Store) -> list[str]:
    with store.server.admin("app") as connection:
        return [row["rolname"] for row in connection.execute("SELECT rolname FROM pg_roles WHERE rolsuper")]


def refused(store: Store, words: str) -> None:
    outcome, code = retention.conclude(store.environ(**POLICY))
    assert (code, outcome.reason) == (64, "InsufficientPrivilege")
    assert words in outcome.message


def test_tables_that_the_application_made_are_refused_by_name(
    store: Store, application: psycopg.Connection[Any]
) -> None:
    talk(store, "a")
    application.execute(CLIMB.format(name="climb"))
    application.execute(SQUAT)
    before = store.rows()
    refused(store, "public.checkpointstore_retention_blobs is not a plain table of app_owner; public.checkpoints")
    assert superusers(store) == ["postgres"]
    assert store.rows() == before
    application.execute("DROP TABLE checkpointstore_retention_blobs, checkpointstore_retention_cursor")
    assert store.prune(**POLICY).removed.checkpoints > 0


FUNCTION = "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
ODD = {
    "is not a plain table": "DROP TABLE {0}; CREATE VIEW {0} AS SELECT ''; ALTER VIEW {0} OWNER TO app_owner",
    "has a rule": "CREATE RULE other AS ON DELETE TO {0} DO ALSO NOTIFY other",
    "has a table that inherits": "CREATE TABLE child () INHERITS ({0})",
    "has row security": "ALTER TABLE {0} FORCE ROW LEVEL SECURITY",
    "has a trigger": f"GRANT TRIGGER ON {{0}} TO app; SET ROLE app; {FUNCTION}; "
    "CREATE TRIGGER other BEFORE DELETE ON {0} FOR EACH ROW EXECUTE FUNCTION other()",
    "has an index": "CREATE FUNCTION other(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'; "
    "CREATE INDEX odd ON {0} (thread_id) WHERE other('')",
    "has a foreign key": "ALTER TABLE {0} ADD CONSTRAINT single UNIQUE (thread_id); "
    "CREATE TABLE child (id text REFERENCES {0} (thread_id))",
}


@pytest.mark.parametrize("words", ODD)
@pytest.mark.parametrize("table", ["checkpointstore_retention_cursor", "checkpoints"])
def test_whatever_runs_code_of_others_is_refused(store: Store, words: str, table: str) -> None:
    store.prune(**POLICY)
    with store.server.admin("app") as connection:
        connection.execute(ODD[words].format(f"public.{table}"))
    refused(store, f"public.{table} {words}")


def test_a_trigger_that_came_meanwhile_does_not_run_as_superuser(store: Store) -> None:
    talk(store, "a")
    with store.server.admin("app") as connection:
        connection.execute("GRANT TRIGGER ON checkpoints TO app")
        tables = Tables(connection, "app_owner", "app", dry=False)
        assert tables.prepare()
        with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as application:
            application.execute(CLIMB.format(name="climb"))
            application.execute(
                "CREATE TRIGGER climb BEFORE DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION climb()"
            )
        assert tables.expire("a", "ffffffff") is not None
    assert superusers(store) == ["postgres"]


def test_the_session_is_the_owners_whatever_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.server.admin("app") as connection:
        tables = Tables(connection, "app_owner", "app", dry=False)
        assert tables.lag() == 0
        monkeypatch.setattr(adapter, "QUERIES", Script({"lag": "SELECT 1 / 0 AS bytes"}))
        with pytest.raises(Busy, match="division by zero"):
            tables.lag()
        assert connection.execute("SELECT current_user AS name").fetchall() == [{"name": "app_owner"}]


@pytest.mark.parametrize("code", ["P0001", "23503", "XX001", "XX000", "54000", "42501", "22P02", "57014"])
def test_a_thread_that_the_server_will_not_let_go_stops_no_other(store: Store, code: str) -> None:
    talk(store, "a", "b", "c", "d")
    with store.server.admin("app") as connection:
        connection.execute(OBSTACLE.format(act=RAISE.format(code), table="checkpoints"))
    outcome = store.prune(**POLICY)
    assert (outcome.threads, outcome.busy, outcome.busy_reason) == (4, 2, "not this one")
    assert [count(store, thread) for thread in "abcd"] == [2, 9, 9, 2]


def test_blobs_of_busy_threads_stop_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(store, "a", "b", "c", "d")
    store.prune(**POLICY, grace=3600)
    with store.server.admin("app") as connection:
        connection.execute(OBSTACLE.format(act=RAISE.format("P0001"), table="checkpoint_blobs"))
        connection.execute(
            "UPDATE checkpointstore_retention_blobs SET at = at - CASE WHEN thread_id IN ('b', 'c') "
            "THEN interval '2 hours' ELSE interval '1 hour' END"
        )
    due = adapter.QUERIES.sql("due").replace("1000", "2")
    monkeypatch.setattr(adapter, "QUERIES", Script({**adapter.QUERIES.blocks, "due": due}))
    outcome = store.prune(**POLICY)
    assert outcome.busy == 2
    assert {blob["thread_id"] for blob in store.loose()} == {"b", "c"}


def test_a_lost_connection_ends_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(store, "a", "b")
    cut = Tables.cuts

    def gone(self: Tables, thread: str, floor: str, aged: bool) -> Any:
        with store.server.admin() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = "
                "'client backend' AND application_name LIKE 'checkpointstore retention%'"
            )
        return cut(self, thread, floor, aged)

    monkeypatch.setattr(Tables, "cuts", gone)
    outcome, code = retention.conclude(store.environ(**POLICY))
    assert (code, outcome.reason) == (1, "Unavailable")


def test_values_that_are_due_go_before_anything_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(store, "a")
    store.prune(**POLICY, grace=3600)
    assert store.loose()
    monkeypatch.setattr(Tables, "looks", lambda *_: pytest.fail("too late") if store.loose() else [])
    store.prune(**POLICY)


@pytest.mark.parametrize("versions", ["null", "[]", "7"])
def test_a_checkpoint_without_versions_goes_like_others(store: Store, versions: str) -> None:
    talk(store, "a")
    with store.server.admin("app") as connection:
        place = "'{channel_versions}'"
        oldest = "(SELECT min(checkpoint_id) FROM checkpoints)"
        newest = "(SELECT max(checkpoint_id) FROM checkpoints)"
        connection.execute(
            f"UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, {place}, '{versions}') "
            f"WHERE checkpoint_id IN ({oldest}, {newest})"
        )
    told = store.prune(**POLICY, dryRun=True)
    done = store.prune(**POLICY)
    assert (told.busy, done.busy, done.removed.checkpoints) == (0, 0, 7)
    assert told.removed == done.removed
    assert store.prune(deleteAfter=0.0).removed.threads == 1


def test_a_thread_without_a_name_is_one(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "a", 3)
    with store.server.admin("app") as connection:
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            connection.execute(f"UPDATE {table} SET thread_id = ''")
    talk(store, "a")
    outcome = store.prune(**POLICY)
    assert (outcome.threads, outcome.removed.checkpoints) == (2, 14)
    assert (count(store, ""), count(store, "a")) == (2, 2)


def test_a_run_that_ends_early_goes_on_with_the_next_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(store, "a", "b", "c", "d")
    worked, seen = retention.Work._thread, []

    def late(self: retention.Work, look: adapter.Look, fresh: str | None) -> None:
        seen.append(look.thread)
        if look.thread == "b":
            raise retention.Late
        worked(self, look, fresh)

    monkeypatch.setattr(retention.Work, "_thread", late)
    assert not store.prune(**POLICY).complete
    assert not store.prune(**POLICY).complete
    assert seen == ["a", "b", "b"], "what was begun late gets a run of its own"
    assert store.prune(**POLICY).complete
    assert seen[3:] == ["c", "d"], "and then keeps no other waiting"


def test_a_whole_thread_may_take_longer_than_other_acts(store: Store) -> None:
    talk(store, "b")
    with store.server.admin("app") as connection:
        connection.execute(OBSTACLE.format(act="PERFORM pg_sleep(0.2)", table="checkpoints"))
        tables = Tables(connection, "app_owner", "app", dry=False)
        assert tables.prepare()
        connection.execute("SET statement_timeout = '1s'")
        assert tables.expire("b", "ffffffff") is not None


def test_on_somebody_elses_server_tables_are_looked_at_too(external: Job, server: Server) -> None:
    assert external.run().code == 0
    with PostgresSaver.from_conn_string(server.uri("app_a", PASSWORDS["app_a"])) as saver:
        graphs.talk(graphs.chat(saver), "thread", 3)
        assert saver.get_tuple(config("thread"))
    with psycopg.connect(server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as application:
        application.execute("CREATE TABLE public.checkpointstore_retention_cursor (thread_id text)")
    request = {"store": "shop/agents", "provider": "External", "share": 1, **POLICY}
    request |= {"owner": "shop_agents_owner", "group": "shop_agents"}
    environ = {"CHECKPOINTSTORE_JOB": json.dumps(request), "CHECKPOINTSTORE_ADMIN_DIR": str(external.admin)}
    outcome, code = retention.conclude(environ)
    assert (code, outcome.reason) == (64, "InsufficientPrivilege")
    assert "checkpointstore_retention_cursor is not a plain table of shop_agents_owner" in outcome.message


def until(connection: psycopg.Connection[Any], words: str) -> None:
    """Wait for what is true of somebody who reads the write-ahead log."""
    # A subscriber tells every ten seconds.
    for _ in range(300):
        if connection.execute(f"SELECT FROM pg_stat_replication WHERE state = 'streaming' AND {words}").fetchall():
            return
        time.sleep(0.1)
    pytest.fail(words)


def test_a_subscriber_is_no_standby() -> None:
    with running() as server:
        with server.admin() as connection:
            for setting in ("wal_level = logical", "max_wal_senders = 2"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("CREATE DATABASE other")
        server.stop()
        server.start()
        with server.admin() as connection, server.admin("other") as other:
            connection.execute("CREATE ROLE app_owner")
            connection.execute("CREATE TABLE said (word text)")
            connection.execute("CREATE PUBLICATION words FOR TABLE said")
            connection.execute("SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")
            other.execute("CREATE TABLE said (word text)")
            where = f"host={server.data} port={server.port} user=postgres dbname=postgres"
            options = "create_slot = false, slot_name = reader, copy_data = false"
            other.execute(f"CREATE SUBSCRIPTION reader CONNECTION '{where}' PUBLICATION words WITH ({options})")
            until(connection, "replay_lsn IS NOT NULL")
            with other.transaction():
                other.execute("LOCK TABLE said")
                connection.execute("INSERT INTO said SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
                until(connection, "pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > 1000000")
                assert Tables(connection, "app_owner", "app", dry=True).lag() == 0
            other.execute("ALTER SUBSCRIPTION reader DISABLE")
