"""`python -m benchmarks.outside`: puts of an unchanged value of 5 MB, outside of the database and in it."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from benchmarks.report import Report
from benchmarks.sample import at, one, ratio
from checkpointstore.client import BlobSerializer, BlobStore, open_async_saver
from tests.integration import objectstore, outside, stock
from tests.integration import server as servers
from tests.integration.server import Server

PUTS, SIZE = 100, 5_000_000
TEXT = outside.document(SIZE)
# A text is the same object from put to put; a list may have changed, so it is serialized and compared each time.
VALUES: dict[str, Any] = {
    "text": TEXT,
    "list": [{"page": n, "text": TEXT[n * 1000 : n * 1000 + 1000]} for n in range(5000)],
}
Saver = BaseCheckpointSaver[Any]
Opened = Callable[[Any], AbstractAsyncContextManager[Saver]]


def main() -> None:
    report = Report(lambda text: print(text, flush=True))
    with _bound() as (server, folder), tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / "values.db", Path(scratch) / "without.db"]
        for kind, value in VALUES.items():
            asyncio.run(_compare(report, f"postgres.{kind}", value, folder, lambda serde: _postgres(server, serde)))
            asyncio.run(
                _compare(report, f"sqlite.{kind}", value, folder, lambda serde: _sqlite(files[not serde], serde))
            )
        with server.admin("app") as connection:
            rows = outside.longest(connection, "WHERE thread_id LIKE '%-outside'")
        report.note("outside.postgres.row", one(max(rows.values())), "bytes", "<5000")
        report.note("outside.sqlite.row", one(max(outside.longest_of_sqlite(files[0]).values())), "bytes", "<5000")
    print(f"\n{report.table()}")


@contextmanager
def _bound() -> Iterator[tuple[Server, Path]]:
    """A database, and a folder with the Secret of a bucket."""
    with servers.running() as server, objectstore.running() as bucket, tempfile.TemporaryDirectory() as mounted:
        with server.admin() as connection:
            connection.execute("CREATE DATABASE app TEMPLATE template0")
        stock.setup(server.local_uri("app"))
        yield server, outside.mount(bucket, Path(mounted), endpoint=bucket.direct)


@asynccontextmanager
async def _postgres(server: Server, serde: Any) -> Any:
    async with open_async_saver(server.local_uri("app"), serde=serde, blobs=False) as saver:
        yield saver


@asynccontextmanager
async def _sqlite(path: Path, serde: Any) -> Any:
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        saver.serde = serde or saver.serde
        yield saver


async def _compare(report: Report, name: str, value: Any, folder: Path, opened: Opened) -> None:
    """A thread outside by itself, then in turns, A B B A, with one inside, which keeps the same disk busy."""
    async with AsyncExitStack() as stack:
        savers = {
            "outside": await stack.enter_async_context(opened(BlobSerializer(BlobStore(folder)))),
            "inside": await stack.enter_async_context(opened(None)),
        }
        put = {where: _thread(saver, f"{name}-{where}", value) for where, saver in savers.items()}
        first = [await put[where]() for where in savers]
        alone = [await put["outside"]() for _ in range(PUTS)]
        both: dict[str, list[float]] = {where: [] for where in savers}
        for turn in range(PUTS):
            for where in ("outside", "inside") if turn % 2 else ("inside", "outside"):
                both[where].append((await put[where]())[0])
    told = f"outside.{name}"
    report.note(f"{told}.first", one(first[0][0]), "ms")
    for share in (50, 99):
        report.note(f"{told}.put.p{share}", at([wall for wall, _ in alone], share / 100), "ms", "<10")
    report.note(f"{told}.put.processor.p50", at([used for _, used in alone], 0.5), "ms")
    for where, values in both.items():
        report.note(f"{told}.put.in_turns.{where}.p50", at(values, 0.5), "ms")
    report.note(f"{told}.put.inside_per_outside", ratio(both["inside"], both["outside"]), "x")


def _thread(saver: Saver, thread: str, value: Any) -> Callable[[], Coroutine[Any, Any, tuple[float, float]]]:
    """One more checkpoint of a thread, with a value that stays and one that changes; gives milliseconds, and those of
    the processor's time, of all of this process.
    """
    config: RunnableConfig = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    step = 0

    async def put() -> tuple[float, float]:
        nonlocal config, step
        step += 1
        versions: dict[str, str | int | float] = {"document": f"{1:032}.0", "turns": f"{step:032}.0"}
        checkpoint: Checkpoint = {**empty_checkpoint(), "v": 4, "channel_values": {"document": value, "turns": [step]}}
        checkpoint["channel_versions"] = versions
        # Of what is new a saver is told; a text is in each checkpoint of a stock one.
        new = versions if step == 1 else {"turns": versions["turns"]}
        began, used = time.perf_counter(), time.process_time()
        config = await saver.aput(config, checkpoint, {"source": "loop", "step": step}, new)
        return (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000

    return put


if __name__ == "__main__":
    main()
