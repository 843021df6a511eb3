"""List checkpoints across threads in the store and in a stock schema with the same rows, taking turns."""

import asyncio
import os
import random
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import stock
from binding import read
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from report import finish, say
from samples import Samples, turns

ROUNDS = int(os.environ.get("ROUNDS", "40"))
WARM_UP = 6  # PostgreSQL makes up its mind about a prepared statement's plan after five executions.
USERS = int(os.environ["USERS"])
LONG = os.environ["LONG"]
"""The thread that is long."""
SOME = """
select thread_id as thread, metadata->>'run_id' as run, checkpoint_id as id
from checkpoints order by random() limit 500
"""
Asked = dict[str, Any]
# Asked of AsyncPostgresSaver too, which hands each checkpoint to a thread and back.
BOTH = ("user_id", "run_id")


def in_thread(thread: str, limit: int = 10) -> Asked:
    return {"config": {"configurable": {"thread_id": thread}}, "limit": limit}


def questions(rows: list[dict[str, str]]) -> dict[str, Asked]:
    """The arguments of list(), anew each round; `rows` are some checkpoints that are there."""
    row = random.choice(rows)
    before = {"configurable": {"checkpoint_id": sorted(row["id"] for row in rows)[len(rows) // 2]}}
    asked: dict[str, Asked] = {
        "user_id": {"filter": {"user_id": f"user-{random.randrange(USERS)}"}, "limit": 10},
        "run_id": {"filter": {"run_id": row["run"]}, "limit": 10},
        "no_match": {"filter": {"user_id": f"nobody-{random.random()}"}, "limit": 10},
        "every_row": {"filter": {"source": "loop"}, "limit": 10},
        "no_filter": {"limit": 10},
        "before": {"before": before, "limit": 10},
        "in_thread_run_id": {**in_thread(row["thread"]), "filter": {"run_id": row["run"]}},
        "in_thread_every_row": {**in_thread(row["thread"]), "filter": {"source": "loop"}},
        "long_thread_newest": in_thread(LONG, limit=1),
        "long_thread": in_thread(LONG),
    }
    return {name: {"config": None, **arguments} for name, arguments in asked.items()}


async def gather(saver: AsyncPostgresSaver, asked: Asked) -> list[Any]:
    return [item async for item in saver.alist(**asked)]


def plain(found: list[Any]) -> list[Any]:
    return [(item.config, item.checkpoint, item.metadata, item.parent_config) for item in found]


def main() -> None:
    samples, different = Samples(), 0
    found: dict[str, int] = {}
    # The runner's loop goes on between its tasks: connections of the asynchronous savers belong to it.
    with asyncio.Runner() as runner, ExitStack() as stack:
        opened = AsyncExitStack()
        stack.callback(lambda: runner.run(opened.aclose()))
        places = {"store": read("direct-uri"), "stock": stock.uri()}
        savers = {place: stack.enter_context(PostgresSaver.from_conn_string(uri)) for place, uri in places.items()}
        asynchronous = {
            place: runner.run(opened.enter_async_context(AsyncPostgresSaver.from_conn_string(uri)))
            for place, uri in places.items()
        }
        connection: Any = savers["store"].conn
        rows = connection.execute(SOME).fetchall()
        for number in range(WARM_UP + ROUNDS):
            for name, asked in questions(rows).items():
                answers = {}
                for place in turns(tuple(places), number):
                    with samples.timed(f"{name}.{place}"):
                        answers[place] = list(savers[place].list(**asked))
                if name in BOTH:
                    for place in turns(tuple(places), number):
                        with samples.timed(f"{name}_async.{place}"):
                            again = runner.run(gather(asynchronous[place], asked))
                        different += plain(again) != plain(answers[place])
                found[name] = len(answers["store"])
                if plain(answers["store"]) != plain(answers["stock"]):
                    different += 1
                    say("different", asked=str(asked), found=found[name], stock=len(answers["stock"]))
            if number == WARM_UP - 1:
                samples.forget()
    samples.say()
    wanted = dict.fromkeys(found, 10) | {"no_match": 0, "long_thread_newest": 1}
    finish(different == 0 and found == wanted, different=different, found=found)


main()
