"""One stock saver through the pooler and one direct to the primary take turns with the same calls."""

import asyncio
import os
import random
import string
from dataclasses import dataclass
from typing import Any

import graph
from binding import read
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from report import finish
from samples import Samples, turns

ROUNDS = int(os.environ.get("ROUNDS", "600"))
WARM_UP = 30
SIZE = int(os.environ.get("SIZE", "4096"))
NEWEST = "WHERE thread_id = %s AND checkpoint_ns = %s  ORDER BY checkpoint_id DESC LIMIT %s"


@dataclass
class Way:
    """A saver with a thread of its own."""

    name: str
    saver: AsyncPostgresSaver
    connection: Any
    config: Any
    text: str = ""

    def thread(self) -> Any:
        return {"configurable": {"thread_id": self.name, "checkpoint_ns": ""}}


def checkpoint(way: Way) -> Any:
    """A turn of a conversation: messages of the asked size and three plain values."""
    way.text = "".join(random.choices(string.ascii_letters + " ", k=SIZE))
    return graph.checkpoint(way.saver, {"messages": [way.text], "turn": 1, "topic": "weather", "done": False})


async def one_round(samples: Samples, ways: list[Way], number: int) -> bool:
    """Every call once each way; whether all of them answered with what was written."""
    good = True
    for way in turns(ways, number):
        made = checkpoint(way)
        with samples.timed(f"put.{way.name}"):
            way.config = await way.saver.aput(
                way.config, made, {"source": "loop", "step": number}, made["channel_versions"]
            )
    for way in turns(ways, number):
        writes = [("messages", way.text), ("turn", 2)]
        with samples.timed(f"put_writes.{way.name}"):
            await way.saver.aput_writes(way.config, writes, "task")
    for way in turns(ways, number):
        with samples.timed(f"get_tuple.{way.name}"):
            found = await way.saver.aget_tuple(way.thread())
        good &= found is not None and right(way, found)
    for limit in (1, 10):
        for way in turns(ways, number):
            with samples.timed(f"list{limit}.{way.name}"):
                listed = [item async for item in way.saver.alist(way.thread(), limit=limit)]
            good &= len(listed) == min(limit, number + 1) and right(way, listed[0])
    for way in turns(ways, number):
        # What list(10) asks the database, without making checkpoints of the rows.
        with samples.timed(f"list10_rows.{way.name}"):
            cursor = await way.connection.execute(way.saver.SELECT_SQL + NEWEST, (way.name, "", 10), binary=True)
            await cursor.fetchall()
    return good


def right(way: Way, found: Any) -> bool:
    values, writes = found.checkpoint["channel_values"], found.pending_writes
    return bool(values["messages"] == [way.text] and [w[2] for w in writes] == [way.text, 2])


async def main() -> None:
    samples, good = Samples(), True
    async with (
        AsyncPostgresSaver.from_conn_string(read("uri")) as pooled,
        AsyncPostgresSaver.from_conn_string(read("direct-uri")) as direct,
    ):
        ways = [Way("pooler", pooled, pooled.conn, None), Way("direct", direct, direct.conn, None)]
        encrypted = all(way.connection.pgconn.ssl_in_use for way in ways)
        for way in ways:
            way.config = way.thread()
        for number in range(WARM_UP + ROUNDS):
            good &= await one_round(samples, ways, number)
            if number == WARM_UP - 1:
                samples.forget()
    samples.say()
    finish(good and encrypted, encrypted=encrypted, rounds=ROUNDS)


asyncio.run(main())
