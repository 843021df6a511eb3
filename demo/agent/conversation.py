"""An agent holds a conversation over a stock AsyncPostgresSaver on psycopg's own pool."""

import asyncio
import os
import time
from typing import Any

import chat
import psycopg
from binding import uri
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from report import STOP, finish, say

THREAD = os.environ.get("THREAD", "conversation")
MESSAGES = int(os.environ.get("MESSAGES", "20"))
PAUSE = float(os.environ.get("PAUSE", "0.1"))
PATIENCE = float(os.environ.get("PATIENCE", "120"))
CONFIG: Any = {"configurable": {"thread_id": THREAD}}


def pool() -> AsyncConnectionPool[Any]:
    """psycopg's pool with the arguments that LangGraph's documentation gives, and its liveness check."""
    return AsyncConnectionPool(
        uri(),
        min_size=1,
        max_size=4,
        open=False,
        check=AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )


async def turn(agent: chat.Chat, number: int) -> tuple[str, int]:
    """Have message `number` answered; gives the reply and how many tries failed before."""
    failed = 0
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            snapshot = await agent.aget_state(CONFIG)
            while (text := chat.answer(snapshot, number)) is None:
                await agent.ainvoke(chat.next_input(snapshot, number), CONFIG)
                snapshot = await agent.aget_state(CONFIG)
            return text, failed
        except psycopg.Error as error:
            failed += 1
            say("retry", message=number, error=type(error).__name__, detail=str(error).strip()[:200])
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.2)


async def converse() -> tuple[int, int, float]:
    """Hold the conversation; gives acknowledged turns, failed tries and the longest turn in seconds."""
    retries, longest, number = 0, 0.0, 0
    async with pool() as connections:
        saver = AsyncPostgresSaver(connections)
        await saver.setup()
        agent = chat.compiled(saver)
        for number in range(1, MESSAGES + 1):
            began = time.monotonic()
            text, failed = await turn(agent, number)
            took = time.monotonic() - began
            retries, longest = retries + failed, max(longest, took)
            say("turn", message=number, reply=text, seconds=round(took, 3), retries=failed)
            if STOP.exists():
                break
            await asyncio.sleep(PAUSE)
    return number, retries, longest


async def main() -> None:
    say("start", saver="AsyncPostgresSaver", thread=THREAD, messages=MESSAGES)
    try:
        acknowledged, retries, longest = await converse()
    except psycopg.Error as error:
        finish(False, forgotten=[], error=f"gave up after {PATIENCE:.0f} s of {type(error).__name__}")
    async with pool() as connections:
        thread = await chat.compiled(AsyncPostgresSaver(connections)).aget_state(CONFIG)
    forgotten = chat.forgotten(thread, acknowledged)
    finish(
        not forgotten,
        acknowledged=acknowledged,
        forgotten=forgotten,
        retries=retries,
        longest_turn=round(longest, 3),
    )


asyncio.run(main())
