"""One session with a server: statements with named values, rows as dicts, errors in our own words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from .postgres import Connection, meaning


class Session:
    """What rooms that ask many things of one connection have in common."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _do(self, query: str | sql.Composed, **values: Any) -> None:
        with self._translated():
            self._connection.execute(query, values or None)

    def _one(self, query: str, **values: Any) -> dict[str, Any]:
        return self._all(query, **values)[0]

    def _all(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self._translated():
            return self._connection.execute(query, values or None).fetchall()

    def now(self) -> datetime:
        """By the server's clock."""
        at = self._one("SELECT clock_timestamp() AS at")["at"]
        assert isinstance(at, datetime)
        return at

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._meaning(error) from None

    def _meaning(self, error: psycopg.Error) -> Exception:
        return meaning(error)
