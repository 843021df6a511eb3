"""Which values outside the rows of one database refer to, and since when they refer to others no more."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from psycopg import sql

from ..features.blobs.tag import keys
from ..features.schema.script import load
from ..kernel.errors import Refused
from .postgres import Connection
from .retention import QUERIES as TABLES
from .retention import SIZES, refuse
from .session import Session

QUERIES = load(__package__, "blobs.sql")
LOCK = int.from_bytes(b"blobs")
"""The advisory lock that one collection Job a database holds."""
OWN = "checkpointstore_unused_blobs"
# All rows are looked at, and their values are not.
SETTINGS = """
SET search_path = pg_catalog, pg_temp; SET lock_timeout = '1s'; SET statement_timeout = '30min';
SET default_transaction_isolation = 'read committed'; SET jit = off; SET ROLE {}
"""


class References(Session):
    """The checkpoint tables of one database, and a table beside them."""

    def __init__(self, connection: Connection, owner: str, group: str) -> None:
        super().__init__(connection)
        self._group = group
        if connection.info.parameter_status("is_superuser") == "on":
            # Triggers that somebody makes do not run in a superuser's session.
            self._do("SET session_replication_role = replica")
        self._do(sql.SQL(SETTINGS).format(sql.Identifier(owner)))

    def lock(self) -> bool:
        """Try only; it is held until the session ends."""
        return bool(self._one(f"SELECT pg_try_advisory_lock({LOCK}) AS locked")["locked"])

    def prepare(self) -> bool:
        """Whether there are checkpoint tables; the table of ours is made where it lacks."""
        refuse(self._all(TABLES.sql("strange"), names=[*SIZES, OWN]))
        there = self._one(QUERIES.sql("there"))
        if there["strange"]:
            told = "checkpointstore.cold_threads is not what tiering makes: somebody else's code might run as the Job"
            raise Refused("InsufficientPrivilege", f"{told}; drop that")
        if there["tables"] and not there["own"]:
            self._do(QUERIES.sql("table", group=self._group))
        self._tiered = there["tiered"]
        return bool(there["tables"])

    def referred(self) -> Iterator[str]:
        """Every value that a row refers to, hot or cold, one more than once."""
        query = QUERIES.sql("hot") + (QUERIES.sql("cold") if self._tiered else "")
        with self._translated(), self._connection.transaction(), self._connection.cursor("references") as cursor:
            for row in cursor.execute(query):
                yield from keys(row["type"])

    def unused(self, found: Sequence[str], keep: float) -> list[str]:
        """Remember these, and nothing else, as what nothing refers to; those it is so of for that many seconds."""
        with self._translated(), self._connection.transaction():
            self._do(QUERIES.sql("unused"), keys=list(found))
        return [row["key"] for row in self._all(QUERIES.sql("due"), keep=timedelta(seconds=keep))]
