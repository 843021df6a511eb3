"""Put large values into the store and into a stock schema on the same server, taking turns."""

import asyncio
import os
import random
from typing import Any

import graph
import stock
from binding import read
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from report import finish
from samples import Samples, turns

ROUNDS = int(os.environ.get("ROUNDS", "15"))
WARM_UP = 2
SIZE = int(os.environ.get("SIZE", str(5 * 1024 * 1024)))


def words() -> str:
    """Text without structure: a vocabulary of 2000 words in random order."""
    vocabulary = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 10))) for _ in range(2000)]
    return " ".join(random.choices(vocabulary, k=SIZE // 5))[:SIZE]


def repeated() -> str:
    """Text that says the same again and again, as a tool's logs do."""
    sentence = " ".join(words()[:200].split())
    return (sentence * (SIZE // len(sentence) + 1))[:SIZE]


async def one_turn(samples: Samples, saver: AsyncPostgresSaver, series: str, text: str, number: int) -> bool:
    """Put one checkpoint and read it again; whether it is the same."""
    made = graph.checkpoint(saver, {"document": [text]})
    config: Any = {"configurable": {"thread_id": f"{series}-{number}", "checkpoint_ns": ""}}
    with samples.timed(f"put.{series}"):
        config = await saver.aput(config, made, {"source": "loop", "step": number}, made["channel_versions"])
    with samples.timed(f"get.{series}"):
        found = await saver.aget_tuple(config)
    return found is not None and found.checkpoint["channel_values"]["document"] == [text]


async def main() -> None:
    samples, good = Samples(), True
    async with (
        AsyncPostgresSaver.from_conn_string(read("direct-uri")) as store,
        AsyncPostgresSaver.from_conn_string(stock.uri()) as other,
    ):
        for number in range(WARM_UP + ROUNDS):
            for kind, text in (("words", words()), ("repeated", repeated())):
                for place, saver in turns((("store", store), ("stock", other)), number):
                    good &= await one_turn(samples, saver, f"{kind}.{place}", text, number)
            if number == WARM_UP - 1:
                samples.forget()
    samples.say()
    finish(good, rounds=ROUNDS, size=SIZE)


asyncio.run(main())
