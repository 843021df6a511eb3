"""Logins that are tried again: the binding gives one two seconds, which a busy machine does not always make."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import psycopg

TRIES = 5
T = TypeVar("T")


async def patiently(connect: Callable[[], Awaitable[T]]) -> T:
    """What `connect` gives; who was too late knocks again."""
    for _ in range(TRIES - 1):
        with suppress(TimeoutError, psycopg.errors.ConnectionTimeout):
            return await connect()
    return await connect()
