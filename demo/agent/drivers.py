"""Connect with each Python driver through the binding, and say whether the connection is encrypted."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg  # type: ignore[import-not-found]
import psycopg
from binding import read
from patience import patiently
from report import finish, say

QUESTION = "select current_setting('server_version_num')::int, session_user::text"


async def with_psycopg(uri: str) -> str:
    async with await psycopg.AsyncConnection.connect(uri) as connection:
        row = await (await connection.execute(QUESTION)).fetchone()
        encrypted = connection.pgconn.ssl_in_use
    return f"version {row[0]} as {row[1]}, TLS {encrypted}" if row and encrypted else f"no TLS: {row}"


async def with_asyncpg(uri: str) -> str:
    connection = await asyncpg.connect(uri, timeout=10)
    try:
        row = await connection.fetchrow(QUESTION)
        encrypted = connection._transport.get_extra_info("ssl_object") is not None
    finally:
        await connection.close()
    return f"version {row[0]} as {row[1]}, TLS {encrypted}" if encrypted else f"no TLS: {row}"


async def attempt(name: str, key: str, connect: Callable[[str], Awaitable[str]]) -> bool:
    try:
        answer = await patiently(lambda: connect(read(key)))
    except (OSError, ValueError, psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        say("driver", driver=name, key=key, ok=False, detail=f"{type(error).__name__}: {error}"[:300])
        return False
    ok = answer.endswith("TLS True")
    say("driver", driver=name, key=key, ok=ok, detail=answer)
    return ok


async def main() -> None:
    outcomes = [
        await attempt("psycopg", "uri", with_psycopg),
        await attempt("psycopg", "plain-uri", with_psycopg),
        await attempt("psycopg", "direct-uri", with_psycopg),
        await attempt("asyncpg", "plain-uri", with_asyncpg),
    ]
    finish(all(outcomes), tried=len(outcomes), worked=sum(outcomes))


asyncio.run(main())
