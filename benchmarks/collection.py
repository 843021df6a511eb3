"""`python -m benchmarks.collection`: what one collection of an instance costs, on 200,000 and 1,000,000 checkpoints."""

import json
import time
from typing import Any

import psycopg

from benchmarks.report import Report
from benchmarks.sample import Sample, median, one
from checkpointstore.features.schema.access.planner import METRIC, METRICS
from checkpointstore.providers.patroni.exporter import ASKED
from tests.integration import server as servers
from tests.integration import stock, threads
from tests.integration.server import Server

SIZES = (200_000, 1_000_000)
ROUNDS = 10
THREADS = "SELECT * FROM checkpointstore.threads()"
INDEX = "CREATE INDEX checkpoints_checkpoint_id_idx ON checkpoints (checkpoint_id DESC)"
GAUGES = [query.sql for name, query in ASKED.items() if name != "checkpointstore_archive"]


def main() -> None:
    report = Report(lambda text: print(text, flush=True))
    with servers.running() as server:
        _furnish(server)
        there, blocks = 0, []
        for size in SIZES:
            with server.admin("app") as connection:
                threads.fill(connection, size - there, there + 1)
            there = size
            blocks.append(_measure(server, report, size))
        report.note("collection.threads.buffers.growth", one(blocks[1].value / blocks[0].value), "x", "<=1.5")
    print(f"\n{report.table()}")


def _furnish(server: Server) -> None:
    """What the schema Job makes, as far as it is read or stands in a statement's way."""
    with server.admin() as connection:
        connection.execute("CREATE DATABASE app TEMPLATE template0")
        connection.execute("CREATE ROLE monitoring LOGIN IN ROLE pg_monitor")
    stock.setup(server.local_uri("app"))
    with server.admin("app") as connection:
        connection.execute(INDEX)
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(METRIC.sql("metrics", owner="postgres", monitoring="monitoring", mark=METRICS))


def _measure(server: Server, report: Report, size: int) -> Sample:
    """As the exporter does, in one session, at first with nothing in PostgreSQL's memory; gives the blocks."""
    server.stop()
    server.start()
    with server.admin("app", user="monitoring") as connection:
        report.note(f"collection.threads.first.{size}", one(_seconds(connection, THREADS)), "s", "<=1")
        cost = median([_seconds(connection, THREADS) for _ in range(ROUNDS)])
        report.note(f"collection.threads.{size}", cost, "s", "<=1")
        blocks = median([_blocks(connection) for _ in range(ROUNDS)])
        report.note(f"collection.threads.buffers.{size}", blocks, "blocks")
        whole = median([_seconds(connection, *GAUGES) for _ in range(ROUNDS)])
        report.note(f"collection.all.{size}", whole, "s")
        told = [connection.execute(THREADS).fetchone() or {} for _ in range(ROUNDS)]
    with server.admin("app") as connection:
        began = time.monotonic()
        expected = threads.exact(connection)
        report.note(f"collection.exact.{size}", one(time.monotonic() - began), "s")
    for name, value in expected.items():
        errors = median([100 * abs(row[name] / value - 1) for row in told])
        report.note(f"collection.error.{name}.{size}", errors, "%")
    return blocks


def _seconds(connection: psycopg.Connection[dict[str, Any]], *queries: str) -> float:
    began = time.monotonic()
    for query in queries:
        connection.execute(query).fetchall()
    return time.monotonic() - began


def _blocks(connection: psycopg.Connection[dict[str, Any]]) -> float:
    """Blocks of 8 KB that the question looks at, each time that it does."""
    row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {THREADS}").fetchone()
    assert row is not None
    (found,) = row["QUERY PLAN"] if isinstance(row["QUERY PLAN"], list) else json.loads(row["QUERY PLAN"])
    return float(found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"])


if __name__ == "__main__":
    main()
