"""Room inside the tables goes back to the volume by a real pg_squeeze, where it is much and nothing is in the way."""

import json
import time
from typing import Any

import psycopg
import pytest

from checkpointstore.adapters.space import Space
from checkpointstore.features.retention.request import Outcome
from checkpointstore.jobs import retention
from tests.integration import graphs, threads
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS, Job
from tests.integration.pruning import Store
from tests.integration.roomy import ASKED, GIB, NOTHING, forgotten, left, sizes, total, tries, vacuum
from tests.integration.server import Server

SEGMENT = "SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()"
ARCHIVED = "SELECT FROM pg_stat_archiver WHERE last_archived_time > last_failed_time"


@pytest.fixture
def store(roomy_store: Store) -> Store:
    return roomy_store


def test_room_comes_back_and_every_row_stays(store: Store) -> None:
    before, rows = sizes(store), store.rows()
    outcome = store.prune(**ASKED)
    after = sizes(store)
    print(before, after, outcome)
    assert outcome.kept == ""
    assert outcome.returned == pytest.approx(total(before) - total(after), rel=0.02), "but for maps and an index"
    assert outcome.returned > total(before) // 2
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        assert after[table]["heap"] < before[table]["heap"] / 4
        assert after[table]["indexes"] < before[table]["indexes"]
    assert after["checkpoint_blobs"]["toast"] < before["checkpoint_blobs"]["toast"] / 4
    assert outcome.reusable is not None
    assert outcome.reusable < outcome.returned / 10
    assert store.rows() == rows
    assert left(store) == NOTHING
    assert tries(store) == []
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "new", 2)
        assert graph.get_state(config("new")).values["turns"] == 2
    again = store.prune(**ASKED)
    assert (again.returned, again.kept) == (0, "")


def test_a_dry_run_says_what_would_come_back_and_leaves_nothing(store: Store) -> None:
    before = sizes(store)
    outcome = store.prune(**ASKED, dryRun=True)
    assert outcome.returned == outcome.reusable
    assert outcome.returned > total(before) // 3
    assert sizes(store) == before
    with store.server.admin("app") as connection:
        assert connection.execute("SELECT FROM pg_roles WHERE rolname = 'squeezer'").fetchone() is None
        assert connection.execute("SELECT FROM pg_namespace WHERE nspname = 'squeeze'").fetchone() is None


def test_what_is_little_stays(store: Store) -> None:
    before = sizes(store)
    few = store.prune(**{**ASKED, "least": GIB})
    assert (few.returned, few.kept, sizes(store)) == (0, "", before)
    with store.server.admin("app") as connection:
        threads.fill(connection, 16_000, first=30_000)
        connection.execute("DELETE FROM checkpoint_blobs WHERE mod(version::int, 20) = 0")
    vacuum(store)
    before = sizes(store)
    outcome = store.prune(**{**ASKED, "keepLast": 0, "deleteAfter": 86400.0, "least": 1})
    print(outcome)
    assert outcome.reusable is not None
    assert outcome.reusable > 1024**2
    changed = [name for name, table in sizes(store).items() if table != before[name]]
    assert changed == ["checkpoint_blobs"], "of the others less than half is free"


def kept(store: Store, words: str, **asked: Any) -> Outcome:
    before, rows = sizes(store), store.rows()
    outcome = store.prune(**{**ASKED, **asked})
    assert words in outcome.kept
    assert outcome.returned == 0
    assert (sizes(store), store.rows()) == (before, rows)
    return outcome


def test_where_the_volume_has_no_room_for_the_copy(store: Store) -> None:
    outcome = kept(store, "a volume cannot be seen", spare=0)
    assert outcome.reusable is not None
    assert outcome.reusable > 1024**2
    kept(store, "rewriting checkpoint_blobs takes", spare=1024**2)
    kept(store, "before less than a quarter is free", spare=1024**2, dryRun=True)


def test_a_table_is_tried_once_a_day(store: Store) -> None:
    assert store.prune(**ASKED).returned > 0
    with store.server.admin("app") as connection:
        threads.fill(connection, 20_000, first=30_000)
    store.prune(keepLast=1)
    vacuum(store)
    kept(store, "was rewritten within the last day")
    forgotten(store)
    assert store.prune(**ASKED).returned > 0


def test_wal_that_cannot_be_archived_is_not_made_more(store: Store) -> None:
    with store.server.admin() as connection:
        connection.execute("ALTER SYSTEM SET archive_command = '/bin/false'")
        connection.execute("SELECT pg_reload_conf()")
        while connection.execute("SELECT FROM pg_stat_archiver WHERE failed_count > 0").fetchone() is None:
            connection.execute(SEGMENT)
            time.sleep(0.1)
        try:
            kept(store, "WAL cannot be archived")
        finally:
            connection.execute("ALTER SYSTEM RESET archive_command")
            connection.execute("SELECT pg_reload_conf()")
        while connection.execute(ARCHIVED).fetchone() is None:
            connection.execute(SEGMENT)
            time.sleep(0.1)


def test_a_schema_of_that_name_is_not_taken_for_the_extensions(store: Store) -> None:
    with store.server.admin("app") as connection:
        connection.execute("GRANT CREATE ON DATABASE app TO app")
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as application:
        application.execute("CREATE SCHEMA squeeze")
        outcome = store.prune(**ASKED)
        assert (outcome.reusable, outcome.returned) == (None, 0)
        assert "may create in the schema squeeze" in outcome.kept
        application.execute("DROP SCHEMA squeeze")
        assert store.prune(**ASKED).returned > 0
        for call in ("SELECT squeeze.squeeze_table('public', 'checkpoints')", "SELECT FROM squeeze.log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                application.execute(call)
    with store.server.admin("app") as connection:
        connection.execute("GRANT CREATE, USAGE ON SCHEMA squeeze TO app")
    assert "may create in the schema squeeze" in store.prune(**ASKED).kept


def test_a_role_of_that_name_is_not_taken_for_ours(store: Store) -> None:
    with store.server.admin("app") as connection:
        connection.execute("CREATE ROLE squeezer")
    kept(store, "the role squeezer exists and is somebody else's")


CODE = """
CREATE TABLE ran (who text, superuser text);
CREATE FUNCTION told() RETURNS void LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.ran VALUES (session_user, current_setting('is_superuser')); END $$;
CREATE FUNCTION code(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN PERFORM public.told(); RETURN $1; END $$;
GRANT INSERT ON ran TO PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC
"""


def test_code_in_an_index_is_refused_and_would_not_run_as_superuser(store: Store) -> None:
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as application:
        application.execute(CODE)
    with store.server.admin("app") as connection:
        space = Space(connection, "app_owner", dry=False)
        assert space.strange("checkpoint_writes") == ""
        connection.execute("CREATE INDEX odd ON public.checkpoint_writes (public.code(task_id))")
        connection.execute("DELETE FROM public.ran")
        assert "has an index on what PostgreSQL does not bring along" in space.strange("checkpoint_writes")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert space.tables()
        assert connection.execute("SELECT FROM public.ran").fetchone() is None
        space.rewrite("checkpoint_writes", 60)
        ran = connection.execute("SELECT DISTINCT who, superuser FROM public.ran").fetchall()
    assert ran == [{"who": "squeezer", "superuser": "off"}]


def test_the_role_can_do_no_more_than_the_worker_needs(store: Store) -> None:
    assert store.prune(**ASKED).returned > 0
    with store.server.admin("app") as connection:
        [role] = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, rolpassword IS NULL AS silent, "
            "(SELECT count(*) FROM pg_auth_members WHERE member = a.oid OR roleid = a.oid) AS groups "
            "FROM pg_authid AS a WHERE rolname = 'squeezer'"
        ).fetchall()
        assert role == {
            "rolsuper": False,
            "rolcreaterole": False,
            "rolcreatedb": False,
            "rolbypassrls": False,
            "rolreplication": True,
            "silent": True,
            "groups": 0,
        }
        connection.execute("SET ROLE squeezer")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM public.checkpoints")


def test_without_pg_squeeze_nothing_is_known_and_nothing_fails(patroni: Job, server: Server) -> None:
    assert patroni.run().code == 0
    outcome = Store(server).prune(**ASKED)
    assert outcome.complete
    assert (outcome.reusable, outcome.returned, outcome.kept) == (None, 0, "pg_squeeze is not loaded in this server")


def test_without_a_superuser_nothing_is_known_and_nothing_fails(external: Job) -> None:
    assert external.run().code == 0
    asked = {"store": "shop/agents", "provider": "External", "owner": "shop_agents_owner", "group": "shop_agents"}
    environ = {
        "CHECKPOINTSTORE_JOB": json.dumps({**asked, "keepLast": 1}),
        "CHECKPOINTSTORE_ADMIN_DIR": str(external.admin),
    }
    outcome, code = retention.conclude(environ)
    assert (code, outcome.complete, outcome.reusable) == (0, True, None)
    assert outcome.kept == "the login is no superuser, which pg_squeeze asks for"
