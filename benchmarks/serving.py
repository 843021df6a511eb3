"""`python -m benchmarks.serving [PAIRS]`: what stock savers feel of a tiering Job that is held to half a core."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver

from benchmarks.report import Report
from benchmarks.sample import at, interval, median, one, ratio
from benchmarks.tiering import ID, SIZES, fill
from checkpointstore.features.tiering.request import Request
from localcluster import cgroup
from tests.integration import objectstore
from tests.integration import server as servers
from tests.integration.job import PASSWORDS, Job
from tests.integration.objectstore import until
from tests.integration.tiering import Store

PAIRS, WINDOW = 8, 20.0
CLIENTS, RATE = 4, 8
"""Savers, and rounds a second of each: put, put_writes, get_tuple."""
KINDS = {"whole": False, "keep_latest": True}
FIRST = 300
"""Threads of 30 rows each that the first run moves; each further one so many that it takes about a window."""
CALLS = ("put", "get_tuple")
GROUP = "checkpointstore-benchmark"
PERIOD, QUOTA = 100_000, 50_000
"""Microseconds; as Kubernetes does it for `cpu: 500m`."""
# As the operator's servers are: what is committed is on the disk. Dead rows go between the windows.
SERVER = """
fsync = on
full_page_writes = on
wal_compression = lz4
shared_buffers = 512MB
max_wal_size = 4GB
checkpoint_timeout = 30min
log_statement = none
"""
DEFAULTS: dict[str, Any] = {name: Request.model_fields[name].default for name in ("share", "limit", "grace")}
PROGRAM = (sys.executable, "-m", "checkpointstore", "job", "tiering")
Calls = Sequence[tuple[str, float, float]]
"""Which, when it began, in seconds, and how long it took, in milliseconds."""


@dataclass(frozen=True)
class Window:
    """From when to when, and what the Job said of it, if there was one."""

    began: float
    ended: float
    moved: int = 0
    processor: float = 0.0
    """Seconds of the Job."""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def of(self, calls: Calls, name: str) -> list[float]:
        """How long its calls took."""
        return [took for call, began, took in calls if call == name and self.began <= began < self.ended]


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    report = Report(lambda text: print(text, flush=True))
    with half_a_core() as group, servers.running(more=SERVER) as server, objectstore.running() as bucket:
        bucket.endpoint = bucket.direct
        request = {"store": "shop/agents", "provider": "Patroni", "host": "localhost", "port": server.port}
        for kind in KINDS:
            server.reset()
            bucket.empty()
            assert Job(request, server.secrets).run().code == 0
            with server.admin("app") as connection:
                connection.execute(ID)
            _measure(Store(server, bucket), report, kind, pairs, group)
    print(f"\n{report.table()}")


def _measure(store: Store, report: Report, kind: str, pairs: int, group: Path) -> None:
    """Windows with a run of the Job and windows without, one after the other, which first changes with each pair."""
    windows: dict[bool, list[Window]] = {True: [], False: []}
    threads = FIRST
    with Clients(store.server.uri("app_a", PASSWORDS["app_a"])) as clients:
        for pair in range(pairs + 1):
            _prepare(store, f"{kind}-{pair}", threads)
            both = {}
            for on in (True, False) if pair % 2 else (False, True):
                both[on] = _run(store, KINDS[kind], threads, group) if on else _none()
            threads = max(FIRST // 3, round(threads * WINDOW / both[True].seconds))
            # The first pair makes the catalog and warms caches up.
            for on in both if pair else ():
                windows[on].append(both[on])
        calls = clients.end()
    for call in CALLS:
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            told = f"serving.{kind}.{call}.{name}"
            busy, calm = ([at(each.of(calls, call), share).value for each in windows[on]] for on in (True, False))
            report.note(told, ratio(busy, calm), "x", "<=1.15" if name == "p50" else "")
            low, high = interval([a / b for a, b in zip(busy, calm, strict=True)])
            report.note(f"{told}.interval95_low", one(low), "x")
            report.note(f"{told}.interval95_high", one(high), "x")
            report.note(f"{told}.with", median(busy), "ms")
            report.note(f"{told}.without", median(calm), "ms")
    runs = windows[True]
    report.note(f"serving.{kind}.run", median([run.seconds for run in runs]), "s")
    report.note(f"serving.{kind}.rows_per_second", median([run.moved / run.seconds for run in runs]), "rows/s")
    report.note(f"serving.{kind}.job_processor", median([run.processor / run.seconds for run in runs]), "cores")


def _prepare(store: Store, name: str, threads: int) -> None:
    """Threads for a run, and nothing left to write of those before it."""
    fill(store, name, threads, *SIZES["50kB"])
    with store.server.admin() as connection:
        connection.execute("CHECKPOINT")
    os.sync()
    time.sleep(1)


def _none() -> Window:
    began = time.perf_counter()
    time.sleep(WINDOW)
    return Window(began, time.perf_counter())


def _run(store: Store, keep: bool, threads: int, group: Path) -> Window:
    """The Job with the operator's defaults, but that values go in the same run, as each does it with those before."""
    result = store.bucket.folder / "result"
    asked = store.asked(keepLatestHot=keep, after=86400, wait=0, **DEFAULTS)
    environ = {**os.environ, **asked, "CHECKPOINTSTORE_RESULT_FILE": str(result)}
    entering = ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs"))
    began, before = time.perf_counter(), _used()
    ended = subprocess.run([*entering, *PROGRAM], env=environ, stderr=subprocess.DEVNULL, check=False)
    after, used = time.perf_counter(), _used() - before
    assert ended.returncode == 0, result.read_text()
    outcome = json.loads(result.read_text())
    moved = outcome["moved"]
    assert (outcome["complete"], moved["threads"]) == (True, threads), outcome
    rows = moved["checkpoints"] + moved["writes"] + moved["blobs"]
    return Window(began, after, rows, used)


def _used() -> float:
    """Seconds of the processor, of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def half_a_core() -> Iterator[Path]:
    """A control group whose processes get half a core together; as root, and gone afterwards."""
    tree = cgroup.ROOT if cgroup.is_unified() else cgroup.ROOT / "cpu"
    group = tree / GROUP
    if cgroup.is_unified():
        cgroup.delegate(tree)
    group.mkdir(exist_ok=True)
    try:
        if cgroup.is_unified():
            (group / "cpu.max").write_text(f"{QUOTA} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(QUOTA))
        yield group
    finally:
        until(lambda: not (group / "cgroup.procs").read_text(), 10)
        group.rmdir()


class Clients:
    """Savers in a process of their own, each with a connection, at a rate that does not depend on the answers."""

    def __init__(self, uri: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ended, (self._told, self._tell) = spawn.Event(), spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_clients, args=(uri, self._ended, self._tell), daemon=True)

    def __enter__(self) -> "Clients":
        self._process.start()
        # Or one that fails would be waited for.
        self._tell.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def end(self) -> Calls:
        """All that they called."""
        self._ended.set()
        calls: Calls = self._told.recv()
        return calls


def _clients(uri: str, ended: threading.Event, told: Connection) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        called = [pool.submit(_client, uri, number, ended) for number in range(CLIENTS)]
        told.send([call for each in called for call in each.result()])


def _client(uri: str, number: int, ended: threading.Event) -> Calls:
    """One saver; what it reads is what it put."""
    calls: list[tuple[str, float, float]] = []
    due, step = time.perf_counter() + number / CLIENTS / RATE, 0
    with PostgresSaver.from_conn_string(uri) as saver:
        while not ended.is_set():
            time.sleep(max(0.0, due - time.perf_counter()))
            due = max(due + 1 / RATE, time.perf_counter() - 1)
            place = {"thread_id": f"client-{number}-{step // 50}", "checkpoint_ns": ""}
            config: RunnableConfig = {"configurable": place}
            step += 1
            versions: dict[str, str | int | float] = {"messages": f"{step:032}.0"}
            values: dict[str, Any] = {"messages": [os.urandom(2000).hex()]}
            checkpoint: Checkpoint = {
                **empty_checkpoint(),
                "v": 4,
                "channel_values": values,
                "channel_versions": versions,
            }
            marks = [time.perf_counter()]
            put = saver.put(config, checkpoint, {"source": "loop", "step": step}, versions)
            marks.append(time.perf_counter())
            saver.put_writes(put, [("messages", "a"), ("notes", "b")], "task")
            marks.append(time.perf_counter())
            found = saver.get_tuple(config)
            marks.append(time.perf_counter())
            assert found is not None
            assert found.checkpoint["channel_values"] == values
            for name, (began, after) in zip(("put", "put_writes", "get_tuple"), pairwise(marks), strict=True):
                calls.append((name, began, (after - began) * 1000))
    return calls


if __name__ == "__main__":
    main()
