"""PgBouncer's console of one pod: which revision of its files it has loaded, and the commands that it obeys."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ..features.pooler.configuration import BOUND, CONNECTIONS, MARK
from ..kernel.action import Peer
from ..kernel.errors import Unavailable
from ..kernel.observed import Pooler
from . import certificate

TIMEOUT, PATIENCE, LOGIN, MOMENT = 3.0, 1.0, 0.5, 0.005
MOVING, BATCH = 1.0, 20
"""How long clients wait at most while others are let go, and how many go between two looks at who is idle."""
TIME = "%Y-%m-%d %H:%M:%S %Z"
Rows = list[dict[str, Any]]
Ask = Callable[..., Awaitable[Rows]]


async def look(at: Peer, secret: Mapping[str, bytes]) -> Pooler | None:
    """What the pooler runs with, and whether its clients wait; None when it does not answer.

    `secret` is a client certificate's (tls.crt, tls.key, ca.crt).
    """
    try:
        settings, databases = await _ask(at, secret, "SHOW CONFIG", "SHOW DATABASES")
    except Unavailable:
        return None
    said = {row["key"]: row["value"] for row in settings}
    connections, bound = (int(said.get(name) or 0) for name in (CONNECTIONS, BOUND))
    # Whoever began a pause may have died before it was one.
    paused = bound < connections or any(int(row["paused"]) for row in databases)
    return Pooler(str(said.get(MARK) or ""), paused, connections)


async def reload(at: Peer, secret: Mapping[str, bytes]) -> None:
    """Let it read its files again; clients stay. Raises Unavailable."""
    await _ask(at, secret, "RELOAD")


async def pause(at: Peer, database: str, secret: Mapping[str, bytes]) -> None:
    """Let clients wait from their next transaction on, until the last one has ended or PATIENCE is over.

    Raises Unavailable then too, when no transaction begins any more although one goes on.
    """
    async with _console(at, secret) as ask:
        # Also where it still makes one, as the server may hang.
        await _settled(ask, database)
        await ask(f"PAUSE {database}", PATIENCE)


async def _settled(ask: Ask, database: str) -> bool:
    """Let no further server connection be made, and wait until none is, for LOGIN at most; whether that is so.

    A pause ends one that is being made, and PgBouncer fails who comes until there is another.
    """
    await ask(f"SET {BOUND} = 1")
    end = time.monotonic() + LOGIN
    while any(_logs_in(row) for row in await ask("SHOW POOLS") if row["database"] == database):
        if time.monotonic() > end:
            return False
        await asyncio.sleep(MOMENT)
    return True


def _logs_in(pool: Mapping[str, Any]) -> bool:
    """Whether a server connection is being made, or will be: the first is, whatever the bound."""
    login, idle, active, waiting = (int(pool[key]) for key in ("sv_login", "sv_idle", "sv_active", "cl_waiting"))
    return bool(login or (waiting and not (idle or active)))


async def resume(at: Peer, database: str, secret: Mapping[str, bytes]) -> None:
    """Let clients go on. Raises Unavailable."""
    async with _console(at, secret) as ask:
        [connections] = [row["value"] for row in await ask("SHOW CONFIG") if row["key"] == CONNECTIONS]
        await ask(f"SET {BOUND} = {connections}")
        if await _paused(ask, database):
            await ask(f"RESUME {database}")


async def _paused(ask: Ask, database: str) -> bool:
    return any(int(row["paused"]) for row in await ask("SHOW DATABASES") if row["name"] == database)


async def rebalance(at: Peer, database: str, most: int, since: datetime, secret: Mapping[str, bytes]) -> int:
    """Let idle clients go that came before `since`, the longest idle first, until `most` are left; how many went.

    All clients wait meanwhile, so that none of those is in a transaction: a query that comes just then fails, and
    nothing of it was done. Ends after MOVING, whoever is left. Raises Unavailable.
    """
    async with _console(at, secret, 2 * TIMEOUT) as ask:
        rows = await ask("SHOW CLIENTS")
        number = sum(row["database"] == database for row in rows) - most
        if number <= 0 or not _idle(rows, database, since):
            return 0
        try:
            if not await _settled(ask, database):
                return 0
            with suppress(Unavailable):
                await pause(at, database, secret)
            return await _let_go(ask, database, number, since)
        finally:
            # The next look at it sees that it still waits.
            with suppress(Unavailable):
                await resume(at, database, secret)


async def _let_go(ask: Ask, database: str, number: int, since: datetime) -> int:
    """Of a pooler that is paused; of one that is not, none. Who comes back meanwhile makes nobody else go."""
    gone, end = 0, time.monotonic() + MOVING
    if not await _paused(ask, database):
        return 0
    while gone < number and time.monotonic() < end:
        idle = _idle(await ask("SHOW CLIENTS"), database, since)[: min(BATCH, number - gone)]
        if not idle:
            break
        for client in idle:
            # It may have gone by itself.
            with suppress(psycopg.errors.ProtocolViolation):
                await ask(f"KILL_CLIENT {client}")
        gone += len(idle)
    return gone


def _idle(rows: Sequence[Mapping[str, Any]], database: str, since: datetime) -> list[int]:
    """Which clients may go, by PgBouncer's numbers. Who has a server connection, or waits for one, is not idle."""
    own = [row for row in rows if row["database"] == database]
    idle = [row for row in own if row["state"] in ("active", "idle") and not row["link"]]
    old = [row for row in idle if datetime.strptime(row["connect_time"], TIME).replace(tzinfo=UTC) < since]
    return [int(row["id"]) for row in sorted(old, key=lambda row: str(row["request_time"]))]


async def _ask(at: Peer, secret: Mapping[str, bytes], *commands: str) -> list[Rows]:
    """What each command is answered with."""
    async with _console(at, secret) as ask:
        return [await ask(command) for command in commands]


@asynccontextmanager
async def _console(at: Peer, secret: Mapping[str, bytes], seconds: float = TIMEOUT) -> AsyncIterator[Ask]:
    """What takes a command, and how long it may take, and gives the answer; all of it takes `seconds` at most.

    Raises Unavailable where anything fails or takes longer.
    """
    end = time.monotonic() + seconds
    try:
        async with asyncio.timeout(seconds):
            connection = await _connect(at, secret)
        async with connection:

            async def ask(command: str, limit: float = math.inf) -> Rows:
                asked = asyncio.create_task(_rows(connection, command))
                try:
                    await asyncio.wait([asked], timeout=max(0.0, min(limit, end - time.monotonic())))
                    if asked.done():
                        return asked.result()
                finally:
                    if not asked.done():
                        # Else psycopg would ask PgBouncer to end it, and wait ten seconds for that.
                        connection.pgconn.finish()
                        asked.cancel()
                raise TimeoutError

            yield ask
    except (psycopg.Error, OSError, TimeoutError) as error:
        raise Unavailable(f"the pooler {at.host} at {at.address} does not answer: {type(error).__name__}") from None


async def _connect(at: Peer, secret: Mapping[str, bytes]) -> psycopg.AsyncConnection[dict[str, Any]]:
    with certificate.files(secret) as folder:
        options = psycopg.conninfo.make_conninfo(
            host=at.host,
            hostaddr=at.address,
            dbname="pgbouncer",
            user="console",
            sslmode="verify-full",
            sslcert=str(folder / "tls.crt"),
            sslkey=str(folder / "tls.key"),
            sslrootcert=str(folder / "ca.crt"),
        )
        return await psycopg.AsyncConnection.connect(
            options, autocommit=True, prepare_threshold=None, row_factory=dict_row
        )


async def _rows(connection: psycopg.AsyncConnection[dict[str, Any]], command: str) -> Rows:
    cursor = await connection.execute(command)
    return await cursor.fetchall() if cursor.description else []
