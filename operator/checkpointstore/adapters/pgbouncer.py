"""PgBouncer's console of one pod: which revision of its files it has loaded, and the commands that it obeys."""

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ..features.pooler.configuration import CONNECTIONS, MARK
from ..kernel.action import Peer
from ..kernel.errors import Unavailable
from ..kernel.observed import Pooler
from . import certificate

TIMEOUT, PATIENCE = 3.0, 1.0


async def look(at: Peer, secret: Mapping[str, bytes]) -> Pooler | None:
    """What the pooler runs with, and whether its clients wait; None when it does not answer.

    `secret` is a client certificate's (tls.crt, tls.key, ca.crt).
    """
    try:
        settings, databases = await _ask(at, secret, "SHOW CONFIG", "SHOW DATABASES")
    except Unavailable:
        return None
    said = {row["key"]: row["value"] for row in settings}
    connections = int(said.get(CONNECTIONS) or 0)
    return Pooler(str(said.get(MARK) or ""), any(int(row["paused"]) for row in databases), connections)


async def reload(at: Peer, secret: Mapping[str, bytes]) -> None:
    """Let it read its files again; clients stay. Raises Unavailable."""
    await _ask(at, secret, "RELOAD")


async def pause(at: Peer, database: str, secret: Mapping[str, bytes]) -> None:
    """Let clients wait from their next transaction on, until the last one has ended or PATIENCE is over.

    Raises Unavailable then too, when no transaction begins any more although one goes on.
    """
    await _ask(at, secret, f"PAUSE {database}", timeout=PATIENCE)


async def resume(at: Peer, database: str, secret: Mapping[str, bytes]) -> None:
    """Let clients go on. Raises Unavailable."""
    await _ask(at, secret, f"RESUME {database}")


async def _ask(
    at: Peer, secret: Mapping[str, bytes], *commands: str, timeout: float = TIMEOUT
) -> list[list[dict[str, Any]]]:
    """The rows that each command answers with."""
    try:
        async with asyncio.timeout(timeout):
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
                connection = await psycopg.AsyncConnection.connect(
                    options, autocommit=True, prepare_threshold=None, row_factory=dict_row
                )
            async with connection:
                return [await _rows(await connection.execute(command)) for command in commands]
    except (psycopg.Error, OSError, TimeoutError) as error:
        raise Unavailable(f"{at.host} at {at.address} does not answer to {commands}: {type(error).__name__}") from None


async def _rows(cursor: psycopg.AsyncCursor[dict[str, Any]]) -> list[dict[str, Any]]:
    return await cursor.fetchall() if cursor.description else []
