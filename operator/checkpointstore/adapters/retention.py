"""Checkpoints beyond a policy: found by the tables' own keys, removed a few at a time, one statement an act.

Why nothing is lost that a saver writes meanwhile:

- A put commits a checkpoint together with its new blobs, and each act here is one statement, which sees one snapshot.
  So it sees both or neither, and what it does not see it does not remove.
- A new checkpoint also refers to blobs of the one that it follows. The newest stays, with its blobs. But a run may have
  read an old one just before that went, to fork from it. So blobs do not go with their checkpoints: they are noted,
  and those go that no checkpoint refers to when the last has been gone for a while that did.
- Rows that stay are never changed, not even the id of a parent that is gone.

The application may make tables beside these, and the session could climb back to its login, often a superuser's. So it
reads and writes no table that would run somebody else's code.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from ..features.retention.identifier import TIMED
from ..features.retention.pressure import Spent, Times
from ..features.retention.request import Removed
from ..features.schema.script import load
from ..kernel.errors import Refused, StoreError
from .postgres import Connection, meaning
from .session import Session

QUERIES = load(__package__, "retention.sql")
CALLS = 200
"""So many calls of subgraphs are removed together."""
LOCK = int.from_bytes(b"retain")
"""The advisory lock that one retention Job a database holds."""
OWN = ("checkpointstore_retention_blobs", "checkpointstore_retention_cursor")
# A trigger that is made meanwhile does not run in a superuser's session. Nor would foreign keys be looked at, so that
# tables with one are refused too.
SUPERUSER = "SET session_replication_role = replica"
SETTINGS = """
SET search_path = pg_catalog, pg_temp; SET default_transaction_isolation = 'read committed';
SET lock_timeout = '1s'; SET statement_timeout = '60s';
SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan;
SET max_parallel_workers_per_gather = 0;
SET default_transaction_read_only = {}; SET ROLE {}
"""
# What a row takes with its header and pointer; values in TOAST are not fetched to learn their size.
_COLUMNS = {
    "checkpoints": "thread_id checkpoint_ns checkpoint_id parent_checkpoint_id type checkpoint metadata",
    "checkpoint_blobs": "thread_id checkpoint_ns channel version type blob",
    "checkpoint_writes": "thread_id checkpoint_ns checkpoint_id task_id idx channel type blob task_path",
}
SIZES = {
    table: " + ".join(("28", *(f"coalesce(pg_column_size(r.{name}), 0)" for name in columns.split())))
    for table, columns in _COLUMNS.items()
}
_THREAD = "r.thread_id = %(thread)s"
_DOOMED = "r.ctid = ANY (ARRAY(SELECT place FROM doomed))"
_DOOMED_WRITES = f"r.ctid = ANY (ARRAY({QUERIES.sql('doomed_writes')}))"
_LOOSE = f"r.ctid = ANY (ARRAY({QUERIES.sql('loose_blobs')}))"
_OLD = f"{_THREAD} AND (SELECT old FROM old)"
_FREED = "count(*) AS blobs, coalesce(sum(size), 0)::bigint AS bytes"

Place: TypeAlias = tuple[str, str]
"""A namespace, and a checkpoint's id in it."""


@dataclass(frozen=True, slots=True)
class Look:
    """A thread, seen from its keys alone."""

    thread: str
    idle: bool
    """Its root graph's newest checkpoint is old enough for the whole thread to go."""
    floor: str
    """The oldest of its root graph's checkpoints that stays, where an older one is there; "" where none is."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What goes of namespaces: all that is below the thread's floor but for `keep`."""

    names: tuple[str, ...]
    keep: tuple[str, ...] = ()
    delta: bool = False
    """A DeltaChannel's values are made of it, so that nothing may go."""

    @property
    def root(self) -> bool:
        """Whether it is the root graph's."""
        return self.names == ("",)


def shaped(rows: Sequence[Mapping[str, Any]]) -> list[Cut]:
    """The cuts of one thread, from what the query says of its namespaces."""
    # Of calls there are many, and of each all goes.
    over = [row["name"] for row in rows if row["over"]]
    calls = [Cut(tuple(over[first : first + CALLS])) for first in range(0, len(over), CALLS)]
    others = [Cut((row["name"],), tuple(row["keep"]), row["delta"]) for row in rows if not row["over"]]
    return [*calls, *sorted(others, key=lambda cut: cut.root)]


def refuse(strange: Sequence[Mapping[str, Any]]) -> None:
    """Raises Refused where tables are not what may be touched."""
    if found := "; ".join(f"public.{row['name']} {row['what']}" for row in strange):
        raise Refused("InsufficientPrivilege", f"{found}: somebody else's code might run as the Job; drop that")


class Busy(StoreError):
    """A thread that cannot be pruned now: the server refused a statement, and is there."""


class Tables(Session):
    """The checkpoint tables of one database; dry ones cannot be written to, and tell what would go."""

    def __init__(self, connection: Connection, owner: str, group: str, dry: bool) -> None:
        super().__init__(connection)
        self._group, self._dry = group, dry
        # By index all plans are alike, and planning took six times as long as doing.
        connection.prepare_threshold = 2
        if connection.info.parameter_status("is_superuser") == "on":
            self._do(SUPERUSER)
        self._do(sql.SQL(SETTINGS).format("on" if dry else "off", sql.Identifier(owner)))

    def lock(self) -> bool:
        """Try only; it is held until the session ends."""
        return bool(self._one(f"SELECT pg_try_advisory_lock({LOCK}) AS locked")["locked"])

    def prepare(self) -> bool:
        """Whether there are checkpoint tables; beside them stand two small ones, of what the next run goes on with."""
        refuse(self._all(QUERIES.sql("strange"), names=[*SIZES, *OWN]))
        there = self._one(QUERIES.sql("there"))
        if there["tables"] and not there["own"] and not self._dry:
            self._do(QUERIES.sql("table", group=self._group))
        return bool(there["tables"])

    def lag(self) -> int:
        """How many bytes the slowest standby is behind; 0 where this login may not see it."""
        with self._translated(), self._connection.transaction():
            self._do("SET LOCAL ROLE NONE")
            return int(self._one(QUERIES.sql("lag"))["bytes"])

    def times(self) -> Times:
        """What applications' statements took so far, by statement; none where this login may not see it."""
        with self._translated(), self._connection.transaction():
            self._do("SET LOCAL ROLE NONE")
            found = self._all(QUERIES.sql("times")) if self._one(QUERIES.sql("told"))["told"] else ()
        return {row.pop("queryid"): Spent(**row) for row in found}

    def position(self) -> str:
        """Where in the write-ahead log the server is."""
        return str(self._one("SELECT pg_current_wal_lsn()::text AS at")["at"])

    def written(self, since: str) -> int:
        """Bytes of write-ahead log since that position."""
        return int(self._one("SELECT pg_current_wal_lsn() - %(since)s::pg_lsn AS bytes", since=since)["bytes"])

    def cursor(self) -> str | None:
        """Where the last run ended before it was through."""
        rows = [] if self._dry else self._all(QUERIES.sql("cursor"))
        return str(rows[0]["thread_id"]) if rows else None

    def reach(self, thread: str | None) -> None:
        """Remember that the threads up to this one were looked at; None is all of them."""
        if not self._dry:
            with self._translated(), self._connection.transaction():
                self._do("DELETE FROM public.checkpointstore_retention_cursor")
                if thread is not None:
                    self._do(QUERIES.sql("reach"), thread=thread)

    def looks(self, after: str | None, most: int, last: int, young: str | None, fresh: str | None) -> list[Look]:
        """The next threads. The policy: a number, and the lowest ids that are too young to go, alone or as a thread."""
        values = {"after": after, "most": most, "last": last, "young": young, "fresh": fresh}
        return [Look(**row) for row in self._all(QUERIES.sql("looks"), **values)]

    def cuts(self, thread: str, floor: str, aged: bool) -> list[Cut]:
        """Where something may go, the root graph last: until then the floor stays what it is.

        With `aged`, what tells no time stays.
        """
        return shaped(self._all(QUERIES.sql("cuts"), thread=thread, floor=floor, aged=aged, timed=TIMED))

    def cut(self, thread: str, floor: str, cut: Cut, after: Place, most: int) -> tuple[Removed, Place | None]:
        """Remove the first checkpoints after a place, with their writes: what went, and how far; None is the end."""
        query = f"""
        WITH doomed AS MATERIALIZED ({QUERIES.sql("doomed")}),
             {self._both(_DOOMED, _DOOMED_WRITES)}
             {self._noted("note")}
        SELECT {QUERIES.sql("last")}, {QUERIES.sql("count")}"""
        where = {"thread": thread, "floor": floor, "names": list(cut.names), "keep": list(cut.keep)}
        row = self._one(query, name=after[0], id=after[1], most=most, **where)
        place = (row.pop("name"), row.pop("id"))
        removed = Removed(**row)
        return removed, place if removed.checkpoints == most else None

    def expire(self, thread: str, fresh: str) -> Removed | None:
        """Remove a whole thread, unless it has anything that is not below `fresh`, or tells no time: then None."""
        query = f"""
        WITH old AS MATERIALIZED ({QUERIES.sql("old")}), {self._both(_OLD, _OLD)} {self._noted("note_all")}
        SELECT (SELECT old FROM old) AS old, {QUERIES.sql("count")}"""
        removed: Removed | None = None
        with self._translated(), self._connection.transaction() as transaction:
            # It goes whole or not at all. The Job has half an hour.
            self._do("SET LOCAL statement_timeout = '15min'")
            row = self._one(query, thread=thread, fresh=fresh, timed=TIMED)
            removed = Removed(**row, threads=1) if row.pop("old") else None
            if removed and not self._dry and self._one(QUERIES.sql("written"), thread=thread)["written"]:
                # Somebody wrote to it while it went, and wants it back.
                removed = None
                raise psycopg.Rollback(transaction)
        return removed

    def due(self, grace: float, busy: Collection[str]) -> list[str]:
        """Threads with blobs whose checkpoints went so long ago that no run goes on from one, but for busy ones."""
        values = {"grace": timedelta(seconds=grace), "busy": list(busy)}
        rows = [] if self._dry else self._all(QUERIES.sql("due"), **values)
        return [str(row["thread_id"]) for row in rows]

    def sweep(self, thread: str, grace: float, most: int) -> tuple[Removed, bool]:
        """Remove those of them that no checkpoint of the thread refers to, and whether there may be more."""
        query = f"""
        WITH noted AS MATERIALIZED ({QUERIES.sql("noted")}), loose AS MATERIALIZED ({QUERIES.sql("loose")}),
             blob AS ({self._gone("checkpoint_blobs", _LOOSE)}), done AS ({QUERIES.sql("done")})
        SELECT {_FREED}, (SELECT count(*) FROM noted) AS noted FROM blob"""
        row = self._one(query, thread=thread, grace=timedelta(seconds=grace), most=most)
        more = row.pop("noted") == most
        return Removed(**row), more

    def loose(self, thread: str, floor: str, cuts: Sequence[Cut]) -> Removed:
        """What nothing would refer to after these cuts; without cuts, after the whole thread went. For a dry run."""
        which, where = "", _THREAD
        if cuts:
            which, where = f"loose AS MATERIALIZED ({QUERIES.sql('would')}),", _LOOSE
        names = [name for cut in cuts for name in cut.names]
        places = [(name, identifier) for cut in cuts for name in cut.names for identifier in cut.keep]
        spared, keep = ([place[part] for place in places] for part in (0, 1))
        query = f"WITH {which} blob AS ({self._gone('checkpoint_blobs', where)}) SELECT {_FREED} FROM blob"
        return Removed(**self._one(query, thread=thread, floor=floor, names=names, spared=spared, keep=keep))

    def _both(self, checkpoints: str, writes: str) -> str:
        more = ", r.checkpoint_ns AS name, r.checkpoint -> 'channel_versions' AS versions"
        gone = self._gone("checkpoints", checkpoints, more)
        return f"checkpoint AS ({gone}), write AS ({self._gone('checkpoint_writes', writes)})"

    def _gone(self, table: str, where: str, more: str = "") -> str:
        """Rows on their way out, each with its size; a dry run only looks at them."""
        if self._dry:
            return f"SELECT {SIZES[table]} AS size{more} FROM public.{table} AS r WHERE {where}"
        return f"DELETE FROM public.{table} AS r WHERE {where} RETURNING {SIZES[table]} AS size{more}"

    def _noted(self, name: str) -> str:
        return "" if self._dry else f", note AS ({QUERIES.sql(name)})"

    def _meaning(self, error: psycopg.Error) -> Exception:
        found = meaning(error)
        lost = self._connection.closed or error.diag.severity_nonlocalized in ("FATAL", "PANIC")
        return found if lost or isinstance(found, Refused) else Busy(found.message)
