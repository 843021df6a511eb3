"""A crowd of stock savers that grows and shrinks in steps, and tells every second how long its puts take."""

import asyncio
import collections
import os
import random
import time
from pathlib import Path
from typing import Any

import psycopg
from binding import uri
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from report import finish, say

# CLIENTS:SECONDS:RATE, one step after the other; RATE is puts a second of each client. The seconds begin when all have
# come, and end early when somebody makes the file /tmp/step-NUMBER.
STEPS = [tuple(map(float, step.split(":"))) for step in os.environ.get("STEPS", "20:10:0.25").split(",")]
RUN = os.environ.get("RUN", "crowd")
# So many log in at once: a crowd arrives in seconds, not in one moment.
DOORS = int(os.environ.get("DOORS", "20"))
CLOSED = 1.0
ARRIVAL = 120.0


class Crowd:
    """The clients that are there, and what they see."""

    def __init__(self) -> None:
        self.doors = asyncio.Semaphore(DOORS)
        self.rate = 0.0
        self.waits: list[float] = []
        self.all: list[float] = []
        self.done = 0
        self.failed: collections.Counter[str] = collections.Counter()
        self.losses: dict[int, list[str]] = collections.defaultdict(list)
        """Why each client lost its connection, each time."""
        self.connected = 0
        self.late = 0
        """Logins that took more than the two seconds that the binding gives them."""

    async def live(self, index: int) -> None:
        """One client; whoever loses the connection makes another."""
        while True:
            try:
                await self.door(index)
            except (psycopg.Error, OSError) as error:
                why = f"{type(error).__name__}: {error}"[:120]
                self.failed[why] += 1
                self.losses[index].append(why)
                await asyncio.sleep(random.uniform(0, CLOSED))

    async def door(self, index: int) -> None:
        """One connection until it breaks."""
        await self.doors.acquire()
        try:
            context = AsyncPostgresSaver.from_conn_string(uri())
            saver = await context.__aenter__()
        except psycopg.errors.ConnectionTimeout:
            # live() knocks again.
            self.late += 1
            return
        finally:
            self.doors.release()
        self.connected += 1
        config: Any = {"configurable": {"thread_id": f"{RUN}-{index}", "checkpoint_ns": ""}}
        try:
            while True:
                await asyncio.sleep(random.expovariate(self.rate))
                began = time.perf_counter()
                config = await put(saver, config)
                took = time.perf_counter() - began
                self.waits.append(took)
                self.all.append(took)
                self.done += 1
        finally:
            self.connected -= 1
            await context.__aexit__(None, None, None)


async def put(saver: AsyncPostgresSaver, config: Any) -> Any:
    made: Any = empty_checkpoint()
    made["channel_values"] = {"messages": ["x" * 1000]}
    made["channel_versions"] = {"messages": saver.get_next_version(None, None)}
    return await saver.aput(config, made, {"source": "loop", "step": 1}, made["channel_versions"])


def share(waits: list[float], part: float) -> float:
    """A percentile in milliseconds."""
    ordered = sorted(waits)
    return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) if ordered else 0.0


async def main() -> None:
    crowd, tasks = Crowd(), list[asyncio.Task[None]]()
    for number, (clients, seconds, rate) in enumerate(STEPS):
        crowd.rate, crowd.all = rate, []
        for task in tasks[int(clients) :]:
            task.cancel()
        del tasks[int(clients) :]
        tasks += [asyncio.create_task(crowd.live(index)) for index in range(len(tasks), int(clients))]
        say("step", step=number, clients=clients, rate=rate)
        latest = time.monotonic() + ARRIVAL
        while crowd.connected < clients and time.monotonic() < latest:
            await asyncio.sleep(0.2)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not Path(f"/tmp/step-{number}").exists():
            await asyncio.sleep(min(1.0, left))
            p50, p99 = share(crowd.waits, 0.5), share(crowd.waits, 0.99)
            say("second", clients=crowd.connected, puts=len(crowd.waits), p50=p50, p99=p99)
            crowd.waits = []
        say("stepped", clients=clients, p50=share(crowd.all, 0.5), p99=share(crowd.all, 0.99), puts=len(crowd.all))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    finish(
        not crowd.failed,
        puts=crowd.done,
        late=crowd.late,
        failed=dict(crowd.failed.most_common(10)),
        failures=crowd.failed.total(),
        most=max(map(len, crowd.losses.values()), default=0),
        often=[reasons for reasons in crowd.losses.values() if len(reasons) > 1],
    )


asyncio.run(main())
