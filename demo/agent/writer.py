"""A writer that numbers every row, notes every acknowledgement, and at the end looks for each one."""

import asyncio
import collections
import os
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
from binding import uri
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from report import STOP, finish, say

MODE = os.environ.get("MODE", "rows")  # rows: a table of its own; puts: checkpoints by a stock saver
RATE = float(os.environ.get("RATE", "100"))  # writes a second and client
SECONDS = float(os.environ.get("SECONDS", "30"))
CLIENTS = int(os.environ.get("CLIENTS", "1"))
PAYLOAD = "x" * int(os.environ.get("PAYLOAD", "100"))
PATIENCE = float(os.environ.get("PATIENCE", "120"))
RUN = os.environ.get("RUN", "writer")

TABLE = (
    "create table if not exists numbered_rows (run text, client int, number bigint, payload text, "
    "primary key (run, client, number))"
)
INSERT = "insert into numbered_rows values (%s, %s, %s, %s) on conflict do nothing"
STORED_ROWS = "select number as key from numbered_rows where run = %(run)s and client = %(client)s"
STORED_PUTS = "select checkpoint_id as key from checkpoints where thread_id = %(run)s || '-' || %(client)s::int"

Pool = AsyncConnectionPool[Any]


@dataclass
class Ledger:
    """What one client was told: acknowledged numbers or ids, when, and what failed."""

    acknowledged: list[Any] = field(default_factory=list)
    longest_gap: float = 0.0
    gap_began: float = 0.0
    recent_gap: float = 0.0
    last: float = 0.0
    failed: collections.Counter[str] = field(default_factory=collections.Counter)
    unacknowledged_commits: int = 0

    def acknowledge(self, key: Any) -> None:
        now = time.time()
        gap = now - self.last if self.last else 0.0
        self.recent_gap = max(self.recent_gap, gap)
        if gap > self.longest_gap:
            self.longest_gap, self.gap_began = gap, self.last
        self.last = now
        self.acknowledged.append(key)

    def gap_since_told(self) -> float:
        """The longest gap since the last call of this, the one that is open now included."""
        gap, self.recent_gap = max(self.recent_gap, time.time() - self.last if self.last else 0.0), 0.0
        return gap


def pool() -> Pool:
    return AsyncConnectionPool(
        uri(),
        min_size=1,
        max_size=max(2, CLIENTS),
        open=False,
        timeout=10,
        check=AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )


async def write_row(connections: Pool, client: int, number: int, ledger: Ledger) -> None:
    """Insert one row, again until it is acknowledged."""
    while True:
        try:
            async with connections.connection() as connection:
                cursor = await connection.execute(INSERT, (RUN, client, number, PAYLOAD))
            if cursor.rowcount == 0:
                ledger.unacknowledged_commits += 1
            return ledger.acknowledge(number)
        except psycopg.Error as error:
            failure(ledger, client, number, error)
            await asyncio.sleep(0.05)


async def write_checkpoint(connections: Pool, client: int, number: int, ledger: Ledger) -> None:
    """Put one checkpoint with a stock saver, again until it is acknowledged."""
    saver = AsyncPostgresSaver(connections)
    checkpoint: Any = empty_checkpoint()
    version = saver.get_next_version(None, None)
    checkpoint["channel_values"] = {"number": number, "payload": [PAYLOAD]}
    checkpoint["channel_versions"] = {"number": version, "payload": version}
    config: Any = {"configurable": {"thread_id": f"{RUN}-{client}", "checkpoint_ns": ""}}
    metadata: Any = {"source": "loop", "step": number}
    while True:
        try:
            await saver.aput(config, checkpoint, metadata, checkpoint["channel_versions"])
            return ledger.acknowledge(checkpoint["id"])
        except psycopg.Error as error:
            failure(ledger, client, number, error)
            await asyncio.sleep(0.05)


def failure(ledger: Ledger, client: int, number: int, error: psycopg.Error) -> None:
    ledger.failed[type(error).__name__] += 1
    if ledger.failed.total() <= 20:
        detail = str(error).strip()[:200]
        say("failed", client=client, number=number, error=type(error).__name__, detail=detail)


async def client_life(connections: Pool, client: int, ledger: Ledger, end: float) -> None:
    """Write at the rate until the end; time lost in a gap is not made up for."""
    write = write_checkpoint if MODE == "puts" else write_row
    due, number = time.monotonic(), 0
    while time.monotonic() < end and not STOP.exists():
        number += 1
        await write(connections, client, number, ledger)
        due = max(due + 1 / RATE, time.monotonic() - 1 / RATE)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def progress(ledgers: list[Ledger]) -> None:
    """Tell once a second how each client fares, for whoever waits to break something."""
    while True:
        each = [len(ledger.acknowledged) for ledger in ledgers]
        failed = [ledger.failed.total() for ledger in ledgers]
        gap = round(max(ledger.gap_since_told() for ledger in ledgers), 3)
        say("progress", acknowledged=sum(each), each=each, failed=failed, gap=gap)
        await asyncio.sleep(1)


async def stored(connections: Pool, client: int) -> set[Any]:
    """The keys that the database holds for a client."""
    question, asked = STORED_PUTS if MODE == "puts" else STORED_ROWS, {"run": RUN, "client": client}
    async with connections.connection() as connection:
        return {row["key"] for row in await (await connection.execute(question, asked)).fetchall()}


async def retried(call: Any) -> Any:
    """Do a call again until it succeeds or patience ends."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except psycopg.Error:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.2)


async def prepare(connections: Pool) -> None:
    if MODE == "puts":
        await AsyncPostgresSaver(connections).setup()
        return
    async with connections.connection() as connection:
        await connection.execute(TABLE)


async def main() -> None:
    ledgers = [Ledger() for _ in range(CLIENTS)]
    async with pool() as connections:
        await retried(lambda: prepare(connections))
        say("start", mode=MODE, rate=RATE, seconds=SECONDS, clients=CLIENTS, user=conninfo_to_dict(uri())["user"])
        began = time.monotonic()
        teller = asyncio.create_task(progress(ledgers))
        lives = (client_life(connections, i, ledger, began + SECONDS) for i, ledger in enumerate(ledgers))
        await asyncio.gather(*lives)
        teller.cancel()
        took = time.monotonic() - began
    async with pool() as connections:
        held = [await retried(lambda i=i: stored(connections, i)) for i in range(CLIENTS)]
    lost = sum(len(set(ledger.acknowledged) - held[i]) for i, ledger in enumerate(ledgers))
    worst = max(ledgers, key=lambda ledger: ledger.longest_gap)
    failed = sum((ledger.failed for ledger in ledgers), collections.Counter[str]())
    finish(
        lost == 0,
        acknowledged=sum(len(ledger.acknowledged) for ledger in ledgers),
        lost=lost,
        failed=failed.total(),
        errors=dict(failed),
        worst_client_failed=max(ledger.failed.total() for ledger in ledgers),
        longest_gap=round(worst.longest_gap, 3),
        gap_began=round(worst.gap_began, 3),
        unacknowledged_commits=sum(ledger.unacknowledged_commits for ledger in ledgers),
        seconds=round(took, 2),
    )


asyncio.run(main())
