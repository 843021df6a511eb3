"""Threads that move to an object store and come back: which rows, and what the catalog in the database says of them.

Why nothing is lost and nothing is there twice:

- Rows are read in one snapshot, each with its place and version. They go only once the object that holds them was read
  back, in the transaction that tells the catalog; if one of them is not there any more as it was, or the thread was
  written to, the transaction is taken back and the copy is rubbish. Threads that go together stay together then, and
  each is tried alone.
- Values stay an hour longer than the checkpoints that refer to them, by the notes of the retention Job, so that a run
  that had read one of these still finds what it goes on from. They are in the object too.
- What comes back is added, and never replaces a row that the application wrote since. A value that is there still is
  written again as it is, so that a sweep which saw no checkpoint refer to it does not take it.
"""

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from psycopg.rows import tuple_row

from ..features.retention.identifier import TIMED
from ..features.tiering.request import Cold, Holding, Tier
from ..kernel.errors import Refused, Unavailable
from . import retention
from .bucket import Bucket
from .cold import Object, Span, rows
from .compaction import Objects
from .deletions import Deletions
from .part import FETCH, GO, KINDS, LIST, QUERIES, Part, at_once, put_back, there, where
from .postgres import Connection
from .retention import Busy, Look, Tables, shaped


def _of_each(query: str) -> str:
    """What is asked of one thread, for a statement that asks it of each."""
    return query.replace("%(thread)s", "t.id").replace("%(floor)s", "t.floor")


OLD = f"({_of_each(retention.QUERIES.sql('old'))})"
WRITTEN = (
    f"EXISTS (SELECT FROM unnest(%(threads)s::text[]) AS t (id) WHERE ({_of_each(retention.QUERIES.sql('written'))}))"
)
CUTS = f"""
SELECT t.id AS thread, t.floor, c.* FROM unnest(%(threads)s::text[], %(floors)s::text[]) AS t (id, floor)
 CROSS JOIN LATERAL ({_of_each(retention.QUERIES.sql("cuts"))}) AS c"""
RECALL = "checkpointstore recall 7"
"""Marks the functions; raised when one of their texts changes."""
CHANNEL = "checkpointstore_recall"
LOCK = int.from_bytes(b"tiering")
"""The advisory lock that one tiering Job a database holds."""


class Archive(Tables):
    """The checkpoint tables of one database, and the catalog of what is cold of them."""

    def __init__(self, connection: Connection, owner: str, group: str, dry: bool) -> None:
        super().__init__(connection, owner, group, dry)
        self._login, self._owner = connection.info.user, owner
        self.objects = Objects(connection)
        self.deletions = Deletions(connection)

    def lock(self) -> bool:
        """Try only; it is held until the session ends."""
        return bool(self._one(f"SELECT pg_try_advisory_lock({LOCK}) AS locked")["locked"])

    def prepare(self) -> bool:
        """Whether there are checkpoint tables; the catalog and what the application calls are made where they lack.

        A dry run makes none.
        """
        if not super().prepare():
            return False
        known = [f"{kind.table}.{column}" for kind in KINDS.values() for column in ("thread_id", *kind.columns)]
        tables = [kind.table for kind in KINDS.values()]
        if more := self._all(QUERIES.sql("columns"), known=known, tables=tables):
            found = ", ".join(row["name"] for row in more)
            raise Refused("UnknownColumns", f"what is in {found} would be lost: LangGraph has no such column")
        if not self._dry:
            self._ground()
        return True

    def _ground(self) -> None:
        """A schema that nobody else may make anything in, the catalog in it, and the functions."""
        fill = {"owner": self._owner, "group": self._group, "mark": RECALL}
        found = self._all(QUERIES.sql("ground", **fill))
        if not found:
            with self._as_login():
                self._do(QUERIES.sql("schema"))
            found = self._all(QUERIES.sql("ground", **fill))
        [ground] = found
        trusted = {self._login, self._owner, ground["owner"]}
        if not ground["superuser"] and ground["owner"] not in (self._login, self._owner):
            raise Refused("InsufficientPrivilege", f"schema checkpointstore is {ground['owner']}'s: drop or rename it")
        if strangers := sorted(set(ground["makers"]) - trusted):
            told = f"{', '.join(strangers)} may create in schema checkpointstore: revoke that"
            raise Refused("InsufficientPrivilege", told)
        if not ground["ready"]:
            with self._as_login():
                self._do(QUERIES.sql("admit", **fill))
        if ground["mark"] != RECALL:
            with self._translated(), self._connection.transaction():
                self._do(QUERIES.sql("tables"))
                self._do(QUERIES.sql("functions", **fill))

    @contextmanager
    def _as_login(self) -> Iterator[None]:
        """Only the login may make a schema."""
        with self._translated(), self._connection.transaction():
            self._do("SET LOCAL ROLE NONE")
            yield

    def cursor(self) -> str | None:
        rows = [] if self._dry else self._all(QUERIES.sql("reached"))
        return rows[0]["reached"] if rows else None

    def reach(self, thread: str | None) -> None:
        if not self._dry:
            self._do(QUERIES.sql("reach"), thread=thread)

    def calm(self, after: float) -> None:
        """Forget who was asked for so long ago that it may move again."""
        self._do(QUERIES.sql("calm"), after=timedelta(seconds=after))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read in it was there at one moment."""
        with self._translated(), self._connection.transaction():
            self._do("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def parts(self, looks: Sequence[Look], fresh: str, after: float) -> list[Part]:
        """What may move of threads: what is below their floors or, where these are "", all of it.

        Raises Busy.
        """
        resting = self._all(
            f"SELECT t.id FROM unnest(%(threads)s::text[]) AS t (id) WHERE {self._resting}",
            threads=[look.thread for look in looks],
            **_age(fresh, after),
        )
        floors, files = {look.thread: look.floor for look in looks}, self._files()
        parts = [Part(row["id"], not floors[row["id"]], files) for row in resting]
        whole, others = ([part for part in parts if part.whole is which] for which in (True, False))
        if others:
            self._choose(others, floors)
        self._list(whole)
        self._list([part for part in others if part.chosen])
        return [part for part in parts if part.newest]

    def _choose(self, parts: Sequence[Part], floors: Mapping[str, str]) -> None:
        """Which checkpoints of threads may go, where not all do."""
        asked = {"threads": [part.thread for part in parts], "floors": [floors[part.thread] for part in parts]}
        found = defaultdict(list)
        for row in self._all(CUTS, **asked, aged=False, timed=TIMED):
            found[row["thread"]].append(row)
        cuts = {thread: shaped(rows) for thread, rows in found.items()}
        able = {thread: cuts for thread, cuts in cuts.items() if any(cut.root and not cut.delta for cut in cuts)}
        places = [
            (thread, name, cut.keep)
            for thread, cuts in able.items()
            for cut in cuts
            if not cut.delta
            for name in cut.names
        ]
        kept = {(thread, name, identifier) for thread, name, keep in places for identifier in keep}
        chosen = defaultdict(list)
        for row in self._all(
            QUERIES.sql("below"),
            threads=[thread for thread, _, _ in places],
            names=[name for _, name, _ in places],
            floors=[floors[thread] for thread, _, _ in places],
        ):
            if (row["thread"], row["name"], row["id"]) not in kept:
                chosen[row["thread"]].append((row["name"], row["id"]))
        for part in parts:
            part.chosen = chosen[part.thread]

    def _files(self) -> list[int]:
        return [int(number) for number in self._one(QUERIES.sql("files"))["files"]]

    @property
    def _resting(self) -> str:
        """Whether nobody has written to a thread, or asked for it, for a while."""
        return OLD if self._dry else f"{OLD} AND NOT ({QUERIES.sql('active')})"

    def _list(self, parts: Sequence[Part]) -> None:
        known = {part.thread: part for part in parts}
        for row in self._all(LIST[parts[0].whole], **where(parts)) if parts else ():
            part, kind = known[row["thread"]], row["kind"]
            part.rows += row["rows"]
            part.length += row["length"]
            part.largest = max(part.largest, row["largest"])
            part.newest = row["newest"] or part.newest
            part.moved.update({f"{kind}s": row["rows"], "bytes": row["size"]})
            if kind in part.going:
                part.going[kind] = row["going"]

    def rows(self, parts: Sequence[Part]) -> Generator[tuple[Any, ...], None, None]:
        """Each row of parts that are all whole or all not, as an object keeps it, in the snapshot that they are of.

        The session does nothing else before it is closed.
        """
        with self._translated(), self._connection.cursor(row_factory=tuple_row) as cursor:
            yield from cursor.stream(FETCH[parts[0].whole], where(parts), binary=True, size=at_once(parts))

    def register(self, made: Object, tier: Tier, threads: Sequence[str]) -> None:
        """An object of a tier that holds rows of these threads, none of which has gone yet."""
        self._do(QUERIES.sql("register"), **asdict(made), **tier.model_dump(), threads=list(threads))

    def move(self, parts: Sequence[Part], fresh: str, after: float) -> None:
        """Take the rows that are in objects now out of the tables, of parts that are all whole or all not.

        Raises Busy, and leaves everything as it is, where one of the threads is not what it was when it was read.
        """
        whole, these = parts[0].whole, where(parts)
        if any(sum(span.rows for _, span in part.pieces) != part.rows for part in parts):
            raise Busy("not all of the thread was copied")
        with self._translated(), self._connection.transaction():
            # They go at once or not at all.
            if not self._one(QUERIES.sql("alone"), threads=these["threads"])["locked"]:
                raise Busy("somebody asks for the thread")
            known = there(parts)
            gone = self._one(GO[whole], **these, **known)
            if any(set((rows or "").split(";")) != set(known[name].split(";")) for name, rows in gone.items()):
                raise Busy("the thread was changed while it was read")
            files = self._files()
            if any(part.files != files for part in parts):
                raise Busy("the tables were written anew meanwhile")
            left = WRITTEN if whole else f"({QUERIES.sql('touched')})"
            query = (
                f"SELECT {left} OR EXISTS (SELECT FROM unnest(%(threads)s::text[]) AS t (id) "
                f"WHERE NOT ({self._resting})) AS written"
            )
            if self._one(query, **these, **_age(fresh, after))["written"]:
                raise Busy("the thread was written to while it went")

    def forget(self, dead: str) -> None:
        """What is cold of threads that are gone, and whose last id is below."""
        self._do(QUERIES.sql("forget"), dead=dead)

    def unused(self, grace: float, prefix: str) -> list[str]:
        """Keys of objects that nothing has referred to for so many seconds."""
        self._do(QUERIES.sql("mark"))
        return [row["key"] for row in self._all(QUERIES.sql("unused"), grace=timedelta(seconds=grace), prefix=prefix)]

    def drop(self, keys: Sequence[str]) -> None:
        self._do(QUERIES.sql("drop"), keys=list(keys))

    def adopt(self, tier: Tier) -> None:
        """Objects of before there were tiers are of this one."""
        self._do(QUERIES.sql("adopt"), **tier.model_dump())

    def list_due(self, grace: float) -> bool:
        """Whether it is time to look for objects that nobody knows: once a day."""
        return bool(self._one(QUERIES.sql("list_due"), grace=timedelta(seconds=grace))["due"])

    def known(self, keys: Sequence[str]) -> set[str]:
        return {row["key"] for row in self._all(QUERIES.sql("known"), keys=list(keys))}

    def listed(self) -> None:
        self._do(QUERIES.sql("listed"))

    def total(self, prefix: str) -> Cold:
        """What is cold; the store's own objects have keys that begin so."""
        if self._dry:
            return Cold()
        tiers = tuple(Holding(**row) for row in self._all(QUERIES.sql("tiers")))
        return Cold(**self._one(QUERIES.sql("total"), prefix=prefix), tiers=tiers)

    def listen(self) -> None:
        self._do(f"LISTEN {CHANNEL}")

    def heard(self, seconds: float) -> None:
        """Wait until somebody asks for a thread, or so long."""
        with self._translated():
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass

    def waiting(self) -> list[str]:
        """Threads that were asked for, the first first; one that failed is tried again after half a minute."""
        return [row["thread_id"] for row in self._all(QUERIES.sql("waiting"))]

    def failed(self, thread: str, error: str) -> None:
        self._do(QUERIES.sql("failed"), thread=thread, error=error[:500])

    def bring(self, thread: str, bucket: Bucket) -> int:
        """Put a thread's rows back and forget where they were: how many were read."""
        count = 0
        with self._translated(), self._connection.transaction():
            with self._connection.pipeline():
                self._do(QUERIES.sql("enter"), thread=thread)
                pieces = self._all(QUERIES.sql("pieces"), thread=thread)
            for piece in pieces:
                count += self._put_back(thread, piece, bucket)
            if self._one(QUERIES.sql("back"), thread=thread)["count"] != len(pieces):
                raise Busy("the thread was deleted while it came back")
        return count

    def _put_back(self, thread: str, piece: Mapping[str, Any], bucket: Bucket) -> int:
        span = Span(**{item.name: piece[item.name] for item in fields(Span) if item.name in piece})
        ranges = [(piece["bytes"] - piece["tail"], piece["bytes"]), (span.first_byte, span.end_byte)]
        tail, body = bucket.parts(piece["key"], ranges)
        count = 0
        for group in rows(tail, piece["tail_sha256"], body, piece["bytes"], span, thread):
            count += len(group)
            with self._connection.pipeline():
                for name, kind in KINDS.items():
                    if found := [row for row in group if row["kind"] == name]:
                        columns = {column: [row[column] for row in found] for column in kind.columns}
                        self._do(put_back(kind), thread=thread, **columns)
        if count != span.rows:
            raise Unavailable(f"{piece['key']} has {count} rows of a thread, and not {span.rows}")
        return count


def _age(fresh: str, after: float) -> dict[str, Any]:
    return {"fresh": fresh, "timed": TIMED, "after": timedelta(seconds=after)}
