"""Many stock savers at once through one pooler, each checking that what it reads is what it wrote itself."""

import asyncio
import collections
import os
import statistics
import time
from contextlib import AsyncExitStack
from typing import Any

import psycopg
from binding import uri
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from patience import patiently
from report import finish, say

SAVERS = int(os.environ.get("SAVERS", "8"))
ROUNDS = int(os.environ.get("ROUNDS", "25"))
RUN = os.environ.get("RUN", "canary")
PAYLOAD = "x" * int(os.environ.get("PAYLOAD", "4096"))

# So many log in at once: all share one processor here.
DOORS = asyncio.Semaphore(20)

Timings = dict[str, list[float]]


class MixedUp(Exception):
    """A saver read something that it did not write."""


async def timed(timings: Timings, name: str, call: Any) -> Any:
    began = time.perf_counter()
    answer = await call
    timings[name].append((time.perf_counter() - began) * 1000)
    return answer


async def one_round(saver: AsyncPostgresSaver, config: Any, canary: str, timings: Timings) -> Any:
    """Put, write, read back and list once; gives the config to go on from."""
    checkpoint: Any = empty_checkpoint()
    version = saver.get_next_version(None, None)
    checkpoint["channel_values"] = {"canary": canary, "payload": [canary, PAYLOAD]}
    checkpoint["channel_versions"] = {"canary": version, "payload": version}
    metadata: Any = {"source": "loop", "step": 1, "canary": canary}
    versions = checkpoint["channel_versions"]
    put = await timed(timings, "put", saver.aput(config, checkpoint, metadata, versions))
    await timed(timings, "put_writes", saver.aput_writes(put, [("mine", canary), ("twice", canary)], canary))
    found = await timed(timings, "get_tuple", saver.aget_tuple(put))
    listed = [item async for item in saver.alist(put, filter={"canary": canary}, limit=1)]
    check(found, canary)
    for item in listed:
        check(item, canary)
    if len(listed) != 1:
        raise MixedUp(f"{canary}: listed {len(listed)} checkpoints")
    return put


def check(found: Any, canary: str) -> None:
    """Every part of what was read carries this saver's own mark."""
    if found is None:
        raise MixedUp(f"{canary}: nothing found")
    values = found.checkpoint["channel_values"]
    writes = found.pending_writes or []
    marks = [values["canary"], values["payload"][0], found.metadata["canary"], *(w[2] for w in writes)]
    if len(marks) != 5 or set(marks) != {canary}:
        raise MixedUp(f"{canary}: read {marks}")


async def opened(held: AsyncExitStack) -> AsyncPostgresSaver:
    """A saver until `held` is closed."""
    async with DOORS:
        return await held.enter_async_context(AsyncPostgresSaver.from_conn_string(uri()))


async def saver_life(index: int, timings: Timings, errors: collections.Counter[str]) -> int:
    """One saver on one connection of its own; gives its successful rounds."""
    done = 0
    try:
        async with AsyncExitStack() as held:
            saver = await patiently(lambda: opened(held))
            config: Any = {"configurable": {"thread_id": f"{RUN}-{index}", "checkpoint_ns": ""}}
            for number in range(ROUNDS):
                config = await one_round(saver, config, f"{RUN}-{index}-{number}", timings)
                done += 1
    except (psycopg.Error, MixedUp) as error:
        errors[type(error).__name__] += 1
        say("error", saver=index, error=type(error).__name__, detail=str(error).strip()[:300])
    return done


def percentiles(samples: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(samples, n=100) if len(samples) > 1 else samples * 99
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)} if cuts else {}


async def main() -> None:
    timings: Timings = collections.defaultdict(list)
    errors: collections.Counter[str] = collections.Counter()
    say("start", savers=SAVERS, rounds=ROUNDS)
    began = time.monotonic()
    done = sum(await asyncio.gather(*(saver_life(i, timings, errors) for i in range(SAVERS))))
    finish(
        not errors and done == SAVERS * ROUNDS,
        savers=SAVERS,
        rounds=done,
        wanted=SAVERS * ROUNDS,
        errors=dict(errors),
        seconds=round(time.monotonic() - began, 2),
        latency={name: percentiles(samples) for name, samples in timings.items()},
    )


asyncio.run(main())
