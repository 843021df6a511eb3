"""A store whose tables are mostly free inside, on a server with pg_squeeze, and what they take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration import server as servers
from tests.integration import threads, trixie
from tests.integration.job import Job
from tests.integration.pruning import Store
from tests.integration.server import Server

GIB = 1024**3
ASKED: dict[str, Any] = {"keepLast": 1, "spare": 10 * GIB, "least": 1024**2}
LARGE = """UPDATE checkpoint_blobs SET blob = (SELECT decode(string_agg(md5(version || i), ''), 'hex')
  FROM generate_series(1, 500) AS i WHERE version <> '') WHERE mod(version::int, 20) = 0"""
SIZES = """SELECT relname AS name, pg_relation_size(oid) AS heap, pg_relation_size(reltoastrelid) AS toast,
  pg_indexes_size(oid) AS indexes FROM pg_class WHERE oid = ANY (%s::regclass[])"""


@contextmanager
def squeezing() -> Iterator[Server]:
    """With a store of 20,000 checkpoints, of which one a thread is left; what went is free inside the tables."""
    with servers.running(trixie.root(), trixie.CONFIGURATION) as server:
        where = {"host": "localhost", "port": server.port, "database": "app"}
        asked = {"store": "shop/agents", "provider": "Patroni", **where, "modules": ["LangGraph"]}
        assert Job({**asked, "patienceSeconds": 15}, server.secrets).run().code == 0
        store = Store(server)
        with server.admin("app") as connection:
            threads.fill(connection, 20_000)
            connection.execute(LARGE)
        assert store.prune(keepLast=1).removed.checkpoints > 18_000
        vacuum(store)
        with server.admin("app") as connection:
            connection.execute("DROP SCHEMA squeeze CASCADE")
        with server.admin() as connection:
            connection.execute("ALTER DATABASE app RENAME TO template_space")
        yield server


@contextmanager
def copy(squeezing: Server) -> Iterator[Store]:
    with squeezing.admin() as connection:
        connection.execute("CREATE DATABASE app TEMPLATE template_space OWNER app_owner STRATEGY file_copy")
        connection.execute("REVOKE ALL ON DATABASE app FROM PUBLIC")
        connection.execute("GRANT CONNECT ON DATABASE app TO app")
    yield Store(squeezing)
    with squeezing.admin() as connection:
        connection.execute("DROP DATABASE app WITH (FORCE)")
        connection.execute("DROP ROLE IF EXISTS squeezer")


def vacuum(store: Store) -> None:
    """What autovacuum does in time; without giving back the end of a table, as where something new is written there."""
    with store.server.admin("app") as connection:
        connection.execute(f"VACUUM (TRUNCATE off, PROCESS_TOAST) {', '.join(threads.TABLES)}")


def sizes(store: Store) -> dict[str, dict[str, int]]:
    with store.server.admin("app") as connection:
        rows = connection.execute(SIZES, [list(threads.TABLES)]).fetchall()
        return {row.pop("name"): row for row in rows}


def total(found: dict[str, dict[str, int]]) -> int:
    return sum(sum(table.values()) for table in found.values())


def left(store: Store) -> dict[str, int]:
    """What pg_squeeze may leave behind."""
    with store.server.admin("app") as connection:
        [row] = connection.execute(
            "SELECT (SELECT count(*) FROM pg_replication_slots) AS slots, "
            "(SELECT count(*) FROM pg_replication_origin) AS origins, "
            "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'squeeze worker') AS workers, "
            "(SELECT count(*) FROM pg_class WHERE relname LIKE 'tmp%') AS tables"
        ).fetchall()
        return row


NOTHING = {"slots": 0, "origins": 0, "workers": 0, "tables": 0}


def rested(store: Store) -> None:
    """Wait until no rewrite goes on."""
    end = time.monotonic() + 30
    while left(store)["workers"] and time.monotonic() < end:
        time.sleep(0.1)


def forgotten(store: Store) -> None:
    """As if the last try was days ago."""
    with store.server.admin("app") as connection:
        connection.execute("UPDATE squeeze.errors SET occurred = occurred - interval '2 days'")
        connection.execute("UPDATE squeeze.log SET finished = finished - interval '2 days'")


def tries(store: Store) -> list[str]:
    with store.server.admin("app") as connection:
        return [str(row["err_msg"]) for row in connection.execute("SELECT err_msg FROM squeeze.errors ORDER BY id")]
