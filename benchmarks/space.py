"""`python -m benchmarks.space`: what a rewrite gives back to the volume, how long it takes, what puts feel of it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint

from benchmarks.report import Report
from benchmarks.sample import at, one
from checkpointstore.adapters.space import Space
from tests.integration import server as servers
from tests.integration import threads, trixie
from tests.integration.job import Job
from tests.integration.pruning import Store
from tests.integration.server import Server
from tests.integration.standby import following

ROWS, REST = 200_000, 15.0
MB = 1_000_000
SERVER = """
wal_compression = lz4
shared_buffers = 512MB
max_wal_size = 1GB
"""
# As the operator's servers are: what is committed is on the disk.
SAFE = ("fsync", "full_page_writes")
# 4 kB each that no compression makes smaller.
BLOBS = """CREATE EXTENSION pgcrypto; TRUNCATE checkpoint_blobs;
INSERT INTO checkpoint_blobs (thread_id, channel, version, type, blob)
  SELECT thread_id, 'm', checkpoint ->> 'id', 'msgpack', gen_random_bytes(1000) || gen_random_bytes(1000) ||
         gen_random_bytes(1000) || gen_random_bytes(1000) FROM checkpoints;
DROP EXTENSION pgcrypto"""
REMOVE = """DELETE FROM checkpoints WHERE (checkpoint ->> 'id')::int % 5 > 0;
DELETE FROM checkpoint_blobs WHERE version::int % 5 > 0;
DELETE FROM checkpoint_writes AS w WHERE NOT EXISTS (SELECT FROM checkpoints AS c WHERE c.thread_id = w.thread_id
  AND c.checkpoint_ns = w.checkpoint_ns AND c.checkpoint_id = w.checkpoint_id)"""
SIZE = "SELECT sum(pg_total_relation_size(t::regclass))::bigint AS bytes FROM unnest(%s::text[]) AS t"
VACUUM = f"VACUUM (TRUNCATE off) {', '.join(threads.TABLES)}"


def main() -> None:
    report = Report(lambda text: print(text, flush=True))
    with servers.running(trixie.root(), trixie.CONFIGURATION + SERVER) as server:
        where = {"host": "localhost", "port": server.port, "database": "app"}
        asked = {"store": "shop/agents", "provider": "Patroni", **where, "modules": ["LangGraph"]}
        assert Job({**asked, "patienceSeconds": 15}, server.secrets).run().code == 0
        with server.admin("app") as connection:
            threads.fill(connection, ROWS)
            connection.execute(BLOBS)
            report.note("space.before", one(_size(connection) / MB), "MB")
            connection.execute(REMOVE)
            connection.execute(VACUUM)
        with server.admin() as connection:
            for name in SAFE:
                connection.execute(f"ALTER SYSTEM SET {name} = on")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("ALTER DATABASE app RENAME TO template_app")
        _measure(server, report, "alone")
        with following(server, synchronous=True):
            _measure(server, report, "synchronous")
    print(f"\n{report.table()}")


def _measure(server: Server, report: Report, name: str) -> None:
    """Puts at rest, and while the tables are rewritten."""
    store = Store(server)
    with server.admin() as connection:
        connection.execute("DROP DATABASE IF EXISTS app WITH (FORCE)")
        connection.execute("CREATE DATABASE app TEMPLATE template_app OWNER app_owner STRATEGY file_copy")
    with server.admin("app") as connection:
        space, looked = Space(connection, "app_owner", dry=True), time.perf_counter()
        space.tables()
        report.note(f"space.{name}.look", one(time.perf_counter() - looked), "s")
    puts = Puts(store)
    with ThreadPoolExecutor(1) as pool, server.admin("app") as connection:
        removed = _size(connection)
        writing = pool.submit(puts.write)
        try:
            time.sleep(REST)
            began = puts.mark()
            outcome = store.prune(keepLast=0, deleteAfter=86400.0 * 365, spare=1 << 40, share=1)
            ended = puts.mark()
        finally:
            puts.ended.set()
        writing.result()
        report.note(f"space.{name}.after_removal", one(removed / MB), "MB")
        report.note(f"space.{name}.after_rewrite", one(_size(connection) / MB), "MB")
    report.note(f"space.{name}.share_of_before_removal", one(outcome.returned / removed), "x", ">=0.5")
    report.note(f"space.{name}.seconds", one(outcome.seconds), "s")
    rest, busy = puts.took[10:began], puts.took[began:ended]
    for told, share in (("p50", 0.5), ("p99", 0.99)):
        report.note(f"space.{name}.put.{told}.rest", at([took * 1000 for took in rest], share), "ms")
        report.note(f"space.{name}.put.{told}.rewriting", at([took * 1000 for took in busy], share), "ms")
    report.note(f"space.{name}.put.longest.rest", one(max(rest)), "s")
    report.note(f"space.{name}.put.longest.rewriting", one(max(busy)), "s", "<=1.5")
    assert puts.missing() == 0


class Puts:
    """A stock saver that puts 4 kB again and again, into one thread after another."""

    def __init__(self, store: Store) -> None:
        self.store, self.ended = store, threading.Event()
        self.took: list[float] = []
        self.ids: list[str] = []

    def mark(self) -> int:
        return len(self.took)

    def write(self) -> None:
        with self.store.saver() as saver:
            while not self.ended.is_set():
                config: RunnableConfig = {
                    "configurable": {"thread_id": f"put-{len(self.took) // 50}", "checkpoint_ns": ""}
                }
                version = f"{len(self.took) + 1:032}.0"
                values: dict[str, Any] = {"messages": ["x" * 4000]}
                versions: dict[str, str | int | float] = {"messages": version}
                checkpoint: Checkpoint = {
                    **empty_checkpoint(),
                    "v": 4,
                    "channel_values": values,
                    "channel_versions": versions,
                }
                began = time.perf_counter()
                saver.put(config, checkpoint, {"source": "loop", "step": 1}, versions)
                self.took.append(time.perf_counter() - began)
                self.ids.append(checkpoint["id"])

    def missing(self) -> int:
        """Of the puts that were acknowledged."""
        with self.store.server.admin("app") as connection:
            [row] = connection.execute(
                "SELECT count(*) AS found FROM checkpoints WHERE checkpoint_id = ANY (%s)", [self.ids]
            ).fetchall()
        return len(self.ids) - int(row["found"])


def _size(connection: psycopg.Connection[dict[str, Any]]) -> int:
    [row] = connection.execute(SIZE, [list(threads.TABLES)]).fetchall()
    return int(row["bytes"])


if __name__ == "__main__":
    main()
