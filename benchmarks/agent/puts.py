"""Stock savers put checkpoints at a rate for a time, count every error, and look for every acknowledged one."""

import asyncio
import collections
import concurrent.futures
import os
import time
from typing import Any

import graph
import psycopg
from binding import uri
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from report import finish, say

SECONDS = float(os.environ.get("SECONDS", "20"))
# One process of Python spends about a millisecond of CPU on a put, so one alone would be the bottleneck.
PROCESSES = int(os.environ.get("PROCESSES", "2"))
SAVERS = int(os.environ.get("SAVERS", "4"))  # in each process
RATE = float(os.environ.get("RATE", "560"))  # puts a second by all of them
TEXT = "x" * int(os.environ.get("SIZE", "4096"))
STORED = "select count(*) as n from checkpoints where thread_id like 'load-%'"
SHARES = (0.5, 0.99, 1.0)


async def put(saver: AsyncPostgresSaver, config: Any, number: int) -> Any:
    made = graph.checkpoint(saver, {"messages": [TEXT], "turn": number})
    return await saver.aput(config, made, {"source": "loop", "step": number}, made["channel_versions"])


async def life(name: str, until: float, waits: list[float], errors: list[str]) -> None:
    """One saver on one connection; time lost is made up for."""
    config: Any = {"configurable": {"thread_id": name, "checkpoint_ns": ""}}
    async with AsyncPostgresSaver.from_conn_string(uri()) as saver:
        due, number = time.monotonic(), 0
        while time.monotonic() < until:
            number, began = number + 1, time.perf_counter()
            try:
                config = await put(saver, config, number)
                waits.append((time.perf_counter() - began) * 1000)
            except psycopg.Error as error:
                errors.append(f"{type(error).__name__}: {error}"[:200])
            due += PROCESSES * SAVERS / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def process(index: int) -> tuple[list[float], list[str]]:
    """One process of savers; gives the waits of acknowledged puts, and the errors."""
    waits: list[float] = []
    errors: list[str] = []
    until = time.monotonic() + SECONDS

    async def lives() -> None:
        await asyncio.gather(*(life(f"load-{index}-{i}", until, waits, errors) for i in range(SAVERS)))

    asyncio.run(lives())
    return waits, errors


def main() -> None:
    say("start", seconds=SECONDS, processes=PROCESSES, savers=SAVERS, rate=RATE)
    began = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(PROCESSES) as pool:
        parts = list(pool.map(process, range(PROCESSES)))
    took = time.monotonic() - began
    waits = sorted(wait for part, _ in parts for wait in part)
    errors = collections.Counter(error for _, part in parts for error in part)
    with psycopg.connect(uri(), autocommit=True) as connection:
        stored = (connection.execute(STORED).fetchone() or (0,))[0]
    finish(
        stored >= len(waits),
        acknowledged=len(waits),
        stored=stored,
        errors=dict(errors.most_common(10)),
        failed=errors.total(),
        seconds=round(took, 2),
        waits=[round(waits[min(len(waits) - 1, int(share * len(waits)))], 2) for share in SHARES],
    )


if __name__ == "__main__":
    main()
