"""Stock savers as the application: setup() does nothing, putting and getting works, a rotation is not noticed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver

from tests.integration import catalog, stock
from tests.integration.job import PASSWORDS, Job
from tests.integration.server import Server

WORDS = ["one", "two", "é" * 5000]
# 2,000 threads of 50 checkpoints, with a metadata key that all of them share.
THREADS = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)
SELECT i % 2000, '', lpad(i::text, 8, '0'), '{}', jsonb_build_object('source', 'loop', 'step', i, 'run', md5(i::text))
  FROM generate_series(1, 100000) AS i
"""
# 1,000 threads of 30 checkpoints and one of 3,000, each with one value.
LONG = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)
SELECT t, {namespace}, lpad(i::text, 8, '0'),
       jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('said', i::text)), '{{}}'
  FROM generate_series(1, 33000) AS i,
       LATERAL (SELECT CASE WHEN i <= 3000 THEN 'long' ELSE 'short ' || i % 1000 END) AS thread (t);
INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
SELECT thread_id, checkpoint_ns, 'said', checkpoint -> 'channel_versions' ->> 'said', 'msgpack', '' FROM checkpoints
"""
NEWER = {
    "a column": "ALTER TABLE checkpoint_writes ADD COLUMN IF NOT EXISTS attempt INT NOT NULL DEFAULT 0",
    "an index": "CREATE INDEX CONCURRENTLY IF NOT EXISTS newer_idx ON checkpoints(parent_checkpoint_id)",
    "a table": "CREATE TABLE IF NOT EXISTS checkpoint_heads (thread_id TEXT PRIMARY KEY)",
}


@pytest.fixture(params=["Patroni", "External"])
def job(request: pytest.FixtureRequest) -> Job:
    name: str = request.param.lower()
    job: Job = request.getfixturevalue(name)
    return job


def test_stock_setup_as_the_application_does_nothing(job: Job, server: Server) -> None:
    assert job.run().code == 0
    with server.admin("app") as connection:
        before = catalog.facts(connection) | catalog.access(connection)
    stock.setup(server.uri("app_a", PASSWORDS["app_a"]))
    with server.admin("app") as connection:
        assert catalog.facts(connection) | catalog.access(connection) == before


@pytest.mark.parametrize(
    ("remember", "recall"),
    [(stock.remember, stock.recall), (stock.remember_async, stock.recall_async)],
    ids=["sync", "async"],
)
def test_what_app_a_put_app_b_gets(
    job: Job,
    server: Server,
    remember: Callable[[str, str, list[str]], None],
    recall: Callable[[str, str], list[Any]],
) -> None:
    assert job.run().code == 0
    first, second = (server.uri(name, PASSWORDS[name]) for name in ("app_a", "app_b"))
    remember(first, "thread", WORDS)
    assert recall(first, "thread") == stock.recalled(WORDS)

    rotated = replace(job, username="app_b", password=PASSWORDS["app_b"])
    assert rotated.run().code == 0
    assert recall(first, "thread") == recall(second, "thread") == stock.recalled(WORDS)
    remember(second, "other", WORDS)
    assert recall(first, "other") == stock.recalled(WORDS)

    retired = replace(rotated, request={**job.request, "retire": ["app_a"]}).run()
    assert (retired.code, "retire app_a" in retired.steps) == (0, True)
    with pytest.raises(psycopg.OperationalError, match="app_a"):
        recall(first, "thread")
    assert recall(second, "thread") == stock.recalled(WORDS)

    with server.admin() as connection:
        row = connection.execute("SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'app_a'")
        assert row.fetchone() == {"rolcanlogin": False, "rolpassword": None}
    assert job.run().code == 0, "and back to app_a"
    assert recall(first, "thread") == stock.recalled(WORDS)


def test_a_filter_inside_a_thread_reads_the_thread_only(job: Job, server: Server) -> None:
    """Whatever was asked before: a prepared statement must not end with a plan that is made for every value."""
    assert job.run().code == 0
    with psycopg.connect(server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute(THREADS)
        with server.admin("app") as admin:
            admin.execute("ANALYZE checkpoints")
        connection.execute(
            "PREPARE listed (text, jsonb) AS SELECT * FROM checkpoints WHERE thread_id = $1 AND metadata @> $2 LIMIT 10"
        )
        for number in range(12):
            connection.execute(f"""EXECUTE listed ('{number}', '{{"source": "loop"}}')""")
        rows = connection.execute("""EXPLAIN EXECUTE listed ('7', '{"source": "loop"}')""").fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "thread_id" in plan
    assert "metadata_idx" not in plan


@pytest.mark.parametrize(
    "namespace",
    ["''", "CASE WHEN i <= 3000 OR i % 3 = 0 THEN '' ELSE 'sub:' || md5(t || i / 3000) END"],
    ids=["plain", "subgraphs"],
)
def test_a_long_thread_among_short_ones_is_not_read_whole(namespace: str, patroni: Job, server: Server) -> None:
    """What it costs to read a checkpoint must not grow with the thread's history."""
    assert patroni.run().code == 0
    with psycopg.connect(server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute(LONG.format(namespace=namespace))
        with server.admin("app") as admin:
            admin.execute("ANALYZE")
        newest = "WHERE thread_id = 'long' AND checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1"
        rows = connection.execute(f"EXPLAIN (ANALYZE) {PostgresSaver.SELECT_SQL} {newest}").fetchall()
    values = "\n".join(row[0] for row in rows if "on checkpoint_blobs" in row[0])
    assert "using checkpoint_blobs_pkey" in values
    assert "rows=1 loops=1" in values


def test_whoever_chose_another_way_to_plan_keeps_it(patroni: Job, server: Server) -> None:
    assert patroni.run().code == 0
    with server.admin() as connection:
        connection.execute("ALTER ROLE app_a SET plan_cache_mode = auto")
    assert patroni.run().steps == []
    with psycopg.connect(server.uri("app_a", PASSWORDS["app_a"])) as connection:
        row = connection.execute("SHOW plan_cache_mode").fetchone()
    assert row == ("auto",)


@pytest.mark.parametrize("change", NEWER)
def test_a_newer_saver_is_told_no_and_leaves_the_version_alone(
    patroni: Job, server: Server, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patroni.run()
    uri = server.uri("app_a", PASSWORDS["app_a"])
    monkeypatch.setattr(PostgresSaver, "MIGRATIONS", [*PostgresSaver.MIGRATIONS, NEWER[change]])
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
        stock.setup(uri)
    print(error.value)
    monkeypatch.undo()
    stock.remember(uri, "thread", WORDS)
    assert stock.recall(uri, "thread") == stock.recalled(WORDS)
    again = patroni.run()
    assert (again.code, again.steps, again.outcome["modules"]) == (0, [], [{"name": "LangGraph", "version": 9}])


def test_tables_of_an_application_belong_to_its_group(patroni: Job, server: Server) -> None:
    patroni.run()
    replace(patroni, username="app_b", password=PASSWORDS["app_b"]).run()
    with psycopg.connect(server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (text text)")
    with psycopg.connect(server.uri("app_b", PASSWORDS["app_b"]), autocommit=True) as connection:
        connection.execute("ALTER TABLE notes ADD COLUMN more text")
        connection.execute("INSERT INTO notes VALUES ('a', 'b')")


def test_tables_of_the_owner_can_be_written_by_the_application(patroni: Job, server: Server) -> None:
    patroni.run()
    with server.admin("app") as connection:
        connection.execute("SET ROLE app_owner")
        connection.execute("CREATE TABLE later (text text)")
    with psycopg.connect(server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute("INSERT INTO later VALUES ('a')")
        connection.execute("UPDATE later SET text = 'b'")
        connection.execute("DELETE FROM later")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE later")
