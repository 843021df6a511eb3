"""W3C traces at once over one pool of each kind, a forged one among them, and what naming a connection costs."""

import asyncio
import os
import secrets
import statistics
import time
from typing import Any

import chat
from binding import uri
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from report import finish, say
from traced import TRACEPARENT, check, check_async

PUTS = int(os.environ.get("PUTS", "200"))
CLIENTS, CONNECTIONS = 8, 4
FORGED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'; DROP TABLE checkpoints; --"
KWARGS: Any = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
AsyncPool = AsyncConnectionPool[Any]


def asynchronous(checked: Any = check_async) -> AsyncPool:
    return AsyncConnectionPool(uri(), max_size=CONNECTIONS, open=False, check=checked, kwargs=KWARGS)


def traceparent() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def turn(trace: str) -> tuple[Any, Any]:
    """What an agent is asked in a trace, on a thread of that name."""
    TRACEPARENT.set(trace)
    return {"messages": [("user", "hello")]}, {"configurable": {"thread_id": trace}}


async def talk(pool: AsyncPool, trace: str) -> None:
    say("trace", saver="AsyncPostgresSaver", traceparent=trace)
    # A saver makes one call at a time: each trace has its own, over the same pool.
    await chat.compiled(AsyncPostgresSaver(pool)).ainvoke(*turn(trace))


def talk_in_thread(pool: ConnectionPool[Any], trace: str) -> None:
    say("trace", saver="PostgresSaver", traceparent=trace)
    chat.compiled(PostgresSaver(pool)).invoke(*turn(trace))


async def put(saver: AsyncPostgresSaver, thread: str) -> float:
    """One put; the seconds that it took."""
    made: Any = empty_checkpoint()
    made["channel_values"] = {"messages": ["x" * 1000]}
    made["channel_versions"] = {"messages": saver.get_next_version(None, None)}
    config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    began = time.perf_counter()
    await saver.aput(config, made, {"source": "loop", "step": 1}, made["channel_versions"])
    return time.perf_counter() - began


async def client(pool: AsyncPool) -> None:
    """Puts in one trace after another, as a server does with its requests."""
    saver = AsyncPostgresSaver(pool)
    for _ in range(PUTS // CLIENTS):
        trace = traceparent()
        TRACEPARENT.set(trace)
        await put(saver, trace)


async def cost() -> dict[str, float]:
    """Milliseconds of a put, p50, by what the pool checks; taken in turns, as the machine has other work too."""
    kinds: dict[str, Any] = {
        "none": None,
        "check_connection": AsyncConnectionPool.check_connection,
        "traced": check_async,
    }
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    pools = {kind: asynchronous(checked) for kind, checked in kinds.items()}
    for pool in pools.values():
        await pool.open(wait=True)
    savers = {kind: AsyncPostgresSaver(pool) for kind, pool in pools.items()}
    for _ in range(PUTS):
        for kind, saver in savers.items():
            trace = traceparent()
            TRACEPARENT.set(trace)
            took[kind].append(await put(saver, trace if kind == "traced" else f"plain-{kind}"))
    for pool in pools.values():
        await pool.close()
    return {kind: round(1000 * statistics.median(times), 3) for kind, times in took.items()}


async def main() -> None:
    with ConnectionPool(uri(), max_size=CONNECTIONS, check=check, kwargs=KWARGS) as pool:
        async with asynchronous() as other:
            traces = [traceparent() for _ in range(4)]
            await asyncio.gather(
                *(talk(other, trace) for trace in (*traces[:2], FORGED)),
                *(asyncio.to_thread(talk_in_thread, pool, trace) for trace in traces[2:]),
            )
            await asyncio.gather(*(client(other) for _ in range(CLIENTS)))
    finish(True, traces=traces, milliseconds=await cost())


asyncio.run(main())
