"""Tables that were there before the store: adopted when a stock saver made them, refused and untouched otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver

from tests.integration import catalog, stock
from tests.integration.job import PASSWORDS, Job
from tests.integration.server import Server

LEGACY = "legacy-Zx8vB3nM5qW1"
WORDS = ["kept"]


@contextmanager
def legacy(server: Server, granted_to: str = "") -> Iterator[str]:
    """The URI of a role of the past that may create tables; `granted_to` may act for it."""
    with server.admin("app") as connection:
        connection.execute("SET log_statement = none")
        connection.execute(f"CREATE ROLE legacy LOGIN PASSWORD '{LEGACY}'")
        connection.execute("GRANT USAGE, CREATE ON SCHEMA public TO legacy")
        if granted_to:
            connection.execute(f"GRANT legacy TO {granted_to}")
    yield server.uri("legacy", LEGACY)


def snapshot(server: Server) -> catalog.Facts:
    with server.admin("app") as connection:
        return catalog.facts(connection) | catalog.access(connection)


def assert_adopted(server: Server, stock_facts: catalog.Facts, owner: str) -> None:
    with server.admin("app") as connection:
        facts = catalog.facts(connection)
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) AS name FROM pg_class WHERE relname ~ '^checkpoint'"
        ).fetchall()
    assert facts - stock_facts == catalog.extras()
    assert stock_facts - facts == catalog.replaced()
    assert [row["name"] for row in owners] == [owner]


def test_patroni_takes_over_what_the_superuser_made(patroni: Job, server: Server, stock_facts: catalog.Facts) -> None:
    with server.admin() as connection:
        connection.execute("CREATE DATABASE app TEMPLATE template0 LOCALE 'C.UTF-8'")
    stock.setup(server.local_uri("app"))
    stock.remember(server.local_uri("app"), "thread", WORDS)
    result = patroni.run()
    assert result.code == 0, result.log
    assert_adopted(server, stock_facts, "app_owner")
    assert stock.recall(server.uri("app_a", PASSWORDS["app_a"]), "thread") == stock.recalled(WORDS)


def test_external_takes_over_and_the_former_owner_goes_on(
    external: Job, server: Server, stock_facts: catalog.Facts
) -> None:
    with legacy(server, granted_to="dba") as uri:
        stock.setup(uri)
        stock.remember(uri, "thread", WORDS)
        result = external.run()
        assert result.code == 0, result.log
        assert_adopted(server, stock_facts, "shop_agents_owner")
        stock.setup(uri)
        stock.remember(uri, "later", WORDS)
        ours = server.uri("app_a", PASSWORDS["app_a"])
        assert stock.recall(ours, "thread") == stock.recall(ours, "later") == stock.recalled(WORDS)


def test_external_says_what_to_grant_when_the_tables_are_not_its_to_take(external: Job, server: Server) -> None:
    with legacy(server) as uri:
        stock.setup(uri)
        result = external.run()
    print(result.outcome["message"])
    assert (result.code, result.outcome["reason"]) == (64, "InsufficientPrivilege")
    assert 'GRANT "legacy" TO "dba"' in result.outcome["message"]


@pytest.mark.parametrize("version", range(len(PostgresSaver.MIGRATIONS) - 1))
def test_every_older_version_is_brought_up_to_ours(
    external: Job, server: Server, stock_facts: catalog.Facts, version: int
) -> None:
    with psycopg.connect(server.local_uri("app"), autocommit=True) as connection:
        for number, migration in enumerate(PostgresSaver.MIGRATIONS[: version + 1]):
            connection.execute(migration)
            connection.execute("INSERT INTO checkpoint_migrations VALUES (%s)", [number])
        if 2 <= version < 4:
            connection.execute("ALTER TABLE checkpoint_blobs ALTER COLUMN blob SET NOT NULL")
        connection.execute(
            "DO $$ DECLARE t name; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
            "LOOP EXECUTE format('ALTER TABLE %I OWNER TO dba', t); END LOOP; END $$"
        )
    result = external.run()
    assert result.code == 0, result.log
    assert_adopted(server, stock_facts, "shop_agents_owner")


def test_a_shallow_savers_tables_are_refused_and_untouched(external: Job, server: Server) -> None:
    with legacy(server, granted_to="dba") as uri:
        stock.setup_shallow(uri)
        before = snapshot(server)
        result = external.run()
    print(result.outcome["message"])
    assert (result.code, result.outcome["reason"]) == (64, "ShallowSchema")
    assert snapshot(server) == before


def test_a_newer_schema_is_refused_and_untouched(external: Job, server: Server) -> None:
    with legacy(server, granted_to="dba") as uri:
        stock.setup(uri)
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("ALTER TABLE checkpoints ADD COLUMN newer TEXT")
            connection.execute("INSERT INTO checkpoint_migrations VALUES (10)")
        before = snapshot(server)
        result = external.run()
    print(result.outcome["message"])
    assert (result.code, result.outcome["reason"]) == (64, "NewerSchema")
    assert snapshot(server) == before


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE checkpoints DROP COLUMN metadata",
        "ALTER TABLE checkpoint_writes ALTER COLUMN idx TYPE bigint",
        "ALTER TABLE checkpoint_blobs ADD COLUMN tenant text NOT NULL",
        "ALTER TABLE checkpoint_writes DROP CONSTRAINT checkpoint_writes_pkey",
        "DROP INDEX checkpoints_thread_id_idx; "
        "CREATE INDEX checkpoints_thread_id_idx ON checkpoints(parent_checkpoint_id)",
        "DROP TABLE checkpoint_blobs; CREATE VIEW checkpoint_blobs AS SELECT * FROM checkpoints",
    ],
)
def test_an_unknown_shape_is_refused_and_untouched(external: Job, server: Server, change: str) -> None:
    with legacy(server, granted_to="dba") as uri:
        stock.setup(uri)
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(change)
        before = snapshot(server)
        result = external.run()
    print(result.outcome["message"])
    assert (result.code, result.outcome["reason"]) == (64, "UnknownSchema")
    assert snapshot(server) == before


def test_columns_that_do_no_harm_are_kept(external: Job, server: Server, tmp_path: Path) -> None:
    with legacy(server, granted_to="dba") as uri:
        stock.setup(uri)
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("ALTER TABLE checkpoints ADD COLUMN made timestamptz NOT NULL DEFAULT now()")
        assert external.run().code == 0
        stock.remember(server.uri("app_a", PASSWORDS["app_a"]), "thread", WORDS)
    with server.admin("app") as connection:
        assert connection.execute("SELECT made FROM checkpoints").fetchone()
