"""`python -m benchmarks.memory [GB GB]`: the Job's memory, however much moves, and a recaller's."""

import json
import os
import sys
import time
from pathlib import Path

from benchmarks.report import Report
from benchmarks.sample import one
from benchmarks.tiering import ID, SIZES, TABLES, fill, held
from checkpointstore.adapters.part import KINDS
from tests.integration import objectstore
from tests.integration import server as servers
from tests.integration.job import Job
from tests.integration.objectstore import until
from tests.integration.tiering import WHOLE, Store

GB = 1_000_000_000
AMOUNTS = 1.0, 10.0
# Threads of a GB in PostgreSQL: of each size a third.
MIX = {"50kB": 5200, "1MB": 440, "20MB": 22}
# Values are copied as they are compressed. By their names the copies of a thread get into objects far from each other.
COPY = """
INSERT INTO {table} (thread_id, {columns}) SELECT 'copy-{number}-' || thread_id, {columns} FROM {table}
 WHERE thread_id NOT LIKE 'copy-%'"""
SERVER = """
shared_buffers = 512MB
max_wal_size = 4GB
synchronous_commit = off
log_statement = none
"""


def main() -> None:
    amounts = tuple(map(float, sys.argv[1:])) or AMOUNTS
    report, peaks = Report(lambda text: print(text, flush=True)), []
    for amount in amounts:
        with servers.running(more=SERVER) as server, objectstore.running() as bucket:
            bucket.endpoint = bucket.direct
            request = {"store": "shop/agents", "provider": "Patroni", "host": "localhost", "port": server.port}
            assert Job(request, server.secrets).run().code == 0
            with server.admin("app") as connection:
                connection.execute(ID)
            peaks.append(_measure(Store(server, bucket), report, amount))
    report.note("memory.most_per_least", one(peaks[-1] / peaks[0]), "x", "<=1.2")
    print(f"\n{report.table()}")


def _measure(store: Store, report: Report, amount: float) -> float:
    """MiB at the peak of a Job that moves so many GB, whole and without a rest."""
    threads = _fill(store, amount)
    with store.server.admin() as connection:
        # Only what is filled may be lost.
        for setting in ("fsync = on", "synchronous_commit = on"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CHECKPOINT")
    hot, rows = held(store)
    result = store.bucket.folder / "result"
    began = time.monotonic()
    process = store.begin(result, limit=36_000, **WHOLE)
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    assert status == 0, result.read_text()
    outcome = json.loads(result.read_text())
    assert (outcome["complete"], outcome["moved"]["threads"]) == (True, threads), outcome
    peak = used.ru_maxrss / 1024
    told = f"memory.{amount:g}GB"
    report.note(f"{told}.hot", one(hot / GB), "GB")
    report.note(f"{told}.rows_per_second", one(rows / took), "rows/s")
    report.note(f"{told}.job", one(peak), "MiB")
    report.note(f"{told}.recaller", one(_back(store, "20MB-1")), "MiB")
    return peak


def _fill(store: Store, amount: float) -> int:
    """One GB at most, and copies of it: how many threads."""
    mix = {name: max(1, round(each * min(1, amount))) for name, each in MIX.items()}
    for name, threads in mix.items():
        fill(store, name, threads, *SIZES[name])
    copies = max(0, round(amount) - 1)
    with store.server.admin("app") as connection:
        for number in range(copies):
            for kind in KINDS.values():
                columns = ", ".join(kind.columns)
                connection.execute(COPY.format(table=kind.table, columns=columns, number=number))
        connection.execute("VACUUM ANALYZE " + ", ".join(TABLES))
    return sum(mix.values()) * (1 + copies)


def _back(store: Store, thread: str) -> float:
    """MiB at the peak of a recaller that brings one thread back."""
    with store.recaller() as process:
        until(lambda: store.ask(thread) == "Hot")
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
