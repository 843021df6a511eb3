"""What is free inside the checkpoint tables, and the rewrite by pg_squeeze that gives it back to the volume.

The session is a superuser's, or tells nothing. What it runs is PostgreSQL's and the extension's; the extension's own
worker runs as a role that is neither a superuser nor the tables' owner.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from ..features.retention.space import Ground, Table
from ..features.schema.script import load
from ..kernel.errors import Refused
from .postgres import Connection
from .retention import QUERIES as RETENTION
from .retention import SIZES
from .session import Session

QUERIES = load(__package__, "space.sql")
MARK = "checkpointstore squeezer"
# A session whose client is gone is noticed while it waits, and its lock is free for the next run.
SETTINGS = """
SET search_path = pg_catalog, pg_temp; SET lock_timeout = '1s'; SET statement_timeout = '60s'; SET jit = off;
SET client_connection_check_interval = '5s'
"""
XLOCK = 500
"""Milliseconds that writers may be kept from a table while the last changes to it are copied."""


class Space(Session):
    """The checkpoint tables of one database; a dry one leaves nothing behind."""

    def __init__(self, connection: Connection, owner: str, dry: bool) -> None:
        super().__init__(connection)
        self._owner, self._dry = owner, dry
        self._do(SETTINGS)

    def missing(self) -> str:
        """Why nothing can be told or given back on this server; "" where it can."""
        if self._connection.info.parameter_status("is_superuser") != "on":
            return "the login is no superuser, which pg_squeeze asks for"
        return "" if self._one(QUERIES.sql("able"))["loaded"] else "pg_squeeze is not loaded in this server"

    def tables(self) -> list[Table]:
        """Those with the most free bytes first."""
        with self._extension():
            return [Table(**row) for row in self._all(QUERIES.sql("tables"), names=list(SIZES))]

    def clean(self) -> None:
        """Take away what a server that crashed in the middle of a rewrite was left with."""
        self._all(QUERIES.sql("leftover"))

    def ground(self, written: int, behind: int) -> Ground:
        """What the server is doing, with what a run knows of it."""
        with self._extension():
            return Ground(written, behind, **self._one(QUERIES.sql("ground")))

    def strange(self, name: str) -> str:
        """What of the table could run somebody else's code; "" for nothing."""
        with self._translated(), self._connection.transaction():
            self._do(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self._owner)))
            return "; ".join(str(row["what"]) for row in self._all(RETENTION.sql("strange"), names=[name]))

    def size(self, name: str) -> int:
        """Bytes, with TOAST and indexes."""
        return int(self._one(QUERIES.sql("size"), name=name)["bytes"])

    def rewrite(self, name: str, seconds: float) -> None:
        """Copy what is left of a table, let the copy take its place, and wait for that.

        Raises StoreError when it was not done: then the table is as it was.
        """
        with self._translated(), self._connection.transaction():
            self._role()
            self._do(QUERIES.sql("begin", name=name))
        with self._translated(), self._connection.transaction():
            self._do(
                f"SET LOCAL statement_timeout = {round(seconds * 1000)}; SET LOCAL squeeze.max_xlock_time = {XLOCK}"
            )
            self._do("SET LOCAL ROLE squeezer")
            self._all(QUERIES.sql("rewrite"), name=name)
        self._do(QUERIES.sql("done", name=name))

    def cancel(self) -> None:
        """End the rewrite that another thread waits for."""
        with self._translated():
            self._connection.cancel_safe()

    def _role(self) -> None:
        role = self._all(QUERIES.sql("role"))
        if not role:
            self._do(QUERIES.sql("create_role", mark=MARK))
        elif role[0]["mark"] != MARK:
            raise Refused("RoleTaken", "the role squeezer exists and is somebody else's")
        self._do(QUERIES.sql("shape_role", database=self._connection.info.dbname))
        if self._one(QUERIES.sql("listed"))["known"]:
            self._do(QUERIES.sql("list"))

    @contextmanager
    def _extension(self) -> Iterator[None]:
        """pg_squeeze's functions are there meanwhile."""
        with self._translated(), self._connection.transaction(force_rollback=self._dry):
            if self._one(QUERIES.sql("squatted"))["squatted"]:
                raise Refused(
                    "InsufficientPrivilege", "others than superusers may create in the schema squeeze: drop it"
                )
            self._do("CREATE EXTENSION IF NOT EXISTS pg_squeeze")
            yield
