"""What stock savers do in PostgreSQL carries the W3C trace that it is done for, as its application_name."""

import re
from contextvars import ContextVar
from typing import Any

from psycopg import AsyncConnection, Connection

TRACEPARENT = ContextVar("TRACEPARENT", default="")
VALID = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
SET = "SELECT set_config('application_name', %s, false)"


def name() -> str:
    """The trace, or a name for what belongs to none: who had the connection before had a name too."""
    told = TRACEPARENT.get()
    return told if VALID.fullmatch(told) else "agent"


def check(connection: Connection[Any]) -> None:
    """For ConnectionPool, under PostgresSaver."""
    connection.execute(SET, (name(),))


async def check_async(connection: AsyncConnection[Any]) -> None:
    """For AsyncConnectionPool, under AsyncPostgresSaver."""
    await connection.execute(SET, (name(),))
