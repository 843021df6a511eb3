"""One stock saver puts and gets without a pause, and says its calls by the wall clock's windows of WINDOW seconds."""

import asyncio
import os
import time
from typing import Any

import graph
from binding import uri
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from report import finish
from samples import Samples

WINDOW = float(os.environ.get("WINDOW", "15"))
COUNT = int(os.environ.get("COUNT", "40"))
TEXT = "x" * 4096


async def main() -> None:
    samples, config, number = Samples(), thread(), 0
    async with AsyncPostgresSaver.from_conn_string(uri()) as saver:
        first = int(time.time() // WINDOW) + 1
        # Pairs begin with an even one.
        first += first % 2
        await asyncio.sleep(first * WINDOW - time.time())
        while (window := int(time.time() // WINDOW)) < first + COUNT:
            number += 1
            made = graph.checkpoint(saver, {"messages": [TEXT], "turn": number})
            with samples.timed(f"put.{window}"):
                config = await saver.aput(config, made, {"source": "loop", "step": number}, made["channel_versions"])
            with samples.timed(f"get.{window}"):
                found = await saver.aget_tuple(thread())
            if found is None:
                finish(False, calls=number)
            # Every core at work measures the neighbours.
            await asyncio.sleep(0.005)
    samples.say()
    finish(True, calls=number, first=first)


def thread() -> Any:
    return {"configurable": {"thread_id": "windows", "checkpoint_ns": ""}}


asyncio.run(main())
