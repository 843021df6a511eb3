"""`python -m benchmarks.limit`: what `spec.limits.checkpointSize` costs a put, with values far below it and near it."""

import time
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver

from benchmarks.report import Report
from benchmarks.sample import at, interval, median, one
from checkpointstore.features.schema.langgraph.planner import LIMIT, PARTS
from tests.integration import server as servers
from tests.integration import stock
from tests.integration.server import Server

PAIRS, PUTS = 40, 100
MOST = 64 * 1024 * 1024
# Bytes of a put's largest value: one that lets nothing be added up, and one that lets the whole be.
SIZES = {"4kB": 4_000, "200kB": 200_000}
NONE = "ALTER TABLE {table} {how} TRIGGER {trigger}"
TRIGGERS = {
    "checkpoint_blobs": "checkpointstore_large",
    "checkpoints": "checkpointstore_limit",
    "checkpoint_writes": "checkpointstore_limit",
}


def main() -> None:
    report = Report(lambda text: print(text, flush=True))
    with servers.running() as server:
        with server.admin() as connection:
            connection.execute("CREATE DATABASE app TEMPLATE template0")
        stock.setup(server.local_uri("app"))
        with server.admin("app") as connection:
            connection.execute(LIMIT.sql("limit", limit=str(MOST), large=str(MOST // PARTS), mark="measured"))
        for name, size in SIZES.items():
            _compare(server, report, name, size)
    print(f"\n{report.table()}")


def _compare(server: Server, report: Report, name: str, size: int) -> None:
    """Threads with and without it, one after the other, which first changes with each pair."""
    ratios: dict[str, list[float]] = {"put": [], "put_writes": []}
    with PostgresSaver.from_conn_string(server.local_uri("app")) as saver:
        for pair in range(PAIRS + 1):
            both = {}
            for on in (True, False) if pair % 2 else (False, True):
                _switch(server, on)
                both[on] = _thread(saver, f"{name}-{pair}-{on}", size)
            # The first one warms caches up.
            for call in ratios if pair else ():
                ratios[call].append(at(both[True][call], 0.5).value / at(both[False][call], 0.5).value)
    for call, found in ratios.items():
        low, high = interval(found)
        told = f"limit.{call}.p50.{name}"
        report.note(told, median(found), "x", "<=1.1" if call == "put" else "")
        report.note(f"{told}.interval95_low", one(low), "x")
        report.note(f"{told}.interval95_high", one(high), "x")


def _switch(server: Server, on: bool) -> None:
    with server.admin("app") as connection:
        for table, trigger in TRIGGERS.items():
            connection.execute(NONE.format(table=table, trigger=trigger, how="ENABLE" if on else "DISABLE"))


def _thread(saver: PostgresSaver, thread: str, size: int) -> dict[str, list[float]]:
    """Seconds of each put and each put_writes of a conversation whose messages are written anew with every step."""
    took: dict[str, list[float]] = {"put": [], "put_writes": []}
    config: RunnableConfig = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    for step in range(PUTS if size < 100_000 else PUTS // 5):
        values: dict[str, Any] = {"messages": ["x" * size], "notes": ["y" * 100], "plan": ["z"]}
        versions: dict[str, str | int | float] = dict.fromkeys(values, f"{step + 1:032}.0")
        checkpoint: Checkpoint = {**empty_checkpoint(), "v": 4, "channel_values": values, "channel_versions": versions}
        began = time.perf_counter()
        config = saver.put(config, checkpoint, {"source": "loop", "step": step}, versions)
        took["put"].append(time.perf_counter() - began)
        began = time.perf_counter()
        saver.put_writes(config, [("messages", "a"), ("notes", "b")], "task")
        took["put_writes"].append(time.perf_counter() - began)
    return took


if __name__ == "__main__":
    main()
