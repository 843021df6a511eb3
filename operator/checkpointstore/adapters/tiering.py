"""Threads that move to an object store and come back: which rows, and what the catalog in the database says of them.

Why nothing is lost and nothing is there twice:

- Rows are read in one snapshot, each with its place and version. They go only once the object that holds them was read
  back, in the transaction that tells the catalog; if one of them is not there any more as it was, or the thread was
  written to, the transaction is taken back and the copy is rubbish.
- Values stay an hour longer than the checkpoints that refer to them, by the notes of the retention Job, so that a run
  that had read one of these still finds what it goes on from. They are in the object too.
- What comes back is added, and never replaces a row that the application wrote since. A value that is there still is
  written again as it is, so that a sweep which saw no checkpoint refer to it does not take it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from ..features.retention.identifier import TIMED
from ..features.tiering.request import Cold, Moved
from ..kernel.errors import Refused, Unavailable
from . import retention
from .bucket import Bucket
from .cold import Object, Span, rows
from .compaction import Objects
from .deletions import Deletions
from .part import FETCH, GO, KINDS, QUERIES, Part, batches, listed, put_back
from .postgres import Connection
from .retention import Busy, Tables

OLD = f"({retention.QUERIES.sql('old')})"
RECALL = "checkpointstore recall 4"
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
        """A schema that nobody else may make anything in, the catalog in it, and the function."""
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
                self._do(QUERIES.sql("recall", **fill))

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

    def part(self, thread: str, floor: str, fresh: str, after: float) -> Part | None:
        """What may move of a thread, below the floor or, where that is "", all of it; None where nothing may."""
        if not self._rests(thread, fresh, after):
            return None
        part = Part(thread, whole=not floor, files=self._files())
        if floor:
            cuts = self.cuts(thread, floor, aged=False)
            root = next((cut for cut in cuts if cut.root), None)
            if root is None or root.delta:
                return None
            for cut in (cut for cut in cuts if not cut.delta):
                found = self._all(
                    QUERIES.sql("below"), thread=thread, floor=floor, names=list(cut.names), keep=list(cut.keep)
                )
                part.chosen += [(row["name"], row["id"]) for row in found]
        if part.whole or part.chosen:
            self._inventory(part)
        if not part.chosen:
            return None
        part.newest = max(identifier for _, identifier in part.chosen)
        return part

    def _rests(self, thread: str, fresh: str, after: float) -> bool:
        """Nobody has written to it, or asked for it, for a while."""
        return bool(self._one(f"SELECT {self._resting} AS rests", **_age(thread, fresh, after))["rests"])

    def _files(self) -> list[int]:
        return [int(number) for number in self._one(QUERIES.sql("files"))["files"]]

    @property
    def _resting(self) -> str:
        return OLD if self._dry else f"{OLD} AND NOT ({QUERIES.sql('active')})"

    def _inventory(self, part: Part) -> None:
        found = self._all(
            " UNION ALL ".join(listed(name, kind, part.whole) for name, kind in KINDS.items()), **part.where
        )
        for row in found:
            part.rows[row["kind"]][row["place"]] = row["version"]
            part.lengths.append((row["kind"], row["place"], row["length"]))
        of_kind = {name: [row for row in found if row["kind"] == name] for name in KINDS}
        if part.whole:
            part.chosen = [(row["name"], row["first"]) for row in of_kind["checkpoint"]]
        part.values = [(row["name"], row["first"], row["second"]) for row in of_kind["blob"]]
        counts = {f"{name}s": len(rows) for name, rows in of_kind.items()}
        part.moved = Moved(**counts, bytes=sum(row["size"] for row in found))

    def rows(self, part: Part) -> Iterator[dict[str, Any]]:
        """Each row of it as an object keeps it, in the snapshot that it was chosen in."""
        for batch in batches(part.lengths):
            places = {name: [place for kind, place, _ in batch if kind == name] for name in KINDS}
            with self._translated():
                yield from self._connection.execute(FETCH, places, binary=True).fetchall()

    def register(self, made: Object, threads: Sequence[str]) -> None:
        """An object that holds rows of these threads, none of which has gone yet."""
        self._do(QUERIES.sql("register"), **asdict(made), threads=list(threads))

    def move(self, part: Part, fresh: str, after: float) -> None:
        """Take the rows that are in objects now out of the tables.

        Raises Busy, and leaves everything as it is, where the thread is not what it was when it was read.
        """
        with self._translated(), self._connection.transaction():
            # It goes at once or not at all.
            if not self._one(QUERIES.sql("alone"), thread=part.thread)["locked"]:
                raise Busy("somebody asks for the thread")
            gone = self._one(GO, **part.where, **part.there, newest=part.newest)
            if any(
                set(gone[name]) != {f"{place} {version}" for place, version in part.rows[name].items()} for name in gone
            ):
                raise Busy("the thread was changed while it was read")
            if self._files() != part.files:
                raise Busy("the tables were written anew meanwhile")
            left = retention.QUERIES.sql("written") if part.whole else QUERIES.sql("touched")
            query = f"SELECT ({left}) OR NOT ({self._resting}) AS written"
            if self._one(query, **{**part.where, **_age(part.thread, fresh, after)})["written"]:
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

    def list_due(self, grace: float) -> bool:
        """Whether it is time to look for objects that nobody knows: once a day."""
        return bool(self._one(QUERIES.sql("list_due"), grace=timedelta(seconds=grace))["due"])

    def known(self, keys: Sequence[str]) -> set[str]:
        return {row["key"] for row in self._all(QUERIES.sql("known"), keys=list(keys))}

    def listed(self) -> None:
        self._do(QUERIES.sql("listed"))

    def total(self) -> Cold:
        return Cold() if self._dry else Cold(**self._one(QUERIES.sql("total")))

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
            self._do(QUERIES.sql("enter"), thread=thread)
            pieces = self._all(QUERIES.sql("pieces"), thread=thread)
            for piece in pieces:
                count += self._put_back(thread, piece, bucket)
            if self._one(QUERIES.sql("back"), thread=thread)["count"] != len(pieces):
                raise Busy("the thread was deleted while it came back")
            self._do(QUERIES.sql("done"), thread=thread)
        return count

    def _put_back(self, thread: str, piece: Mapping[str, Any], bucket: Bucket) -> int:
        span = Span(**{item.name: piece[item.name] for item in fields(Span)})
        ranges = [(piece["bytes"] - piece["tail"], piece["bytes"]), (span.first_byte, span.end_byte)]
        tail, body = bucket.parts(piece["key"], ranges)
        count = 0
        for group in rows(tail, piece["tail_sha256"], body, piece["bytes"], span, thread):
            count += len(group)
            for name, kind in KINDS.items():
                if found := [row for row in group if row["kind"] == name]:
                    columns = {column: [row[column] for row in found] for column in kind.columns}
                    self._do(put_back(kind), thread=thread, **columns)
        if count != span.rows:
            raise Unavailable(f"{piece['key']} has {count} rows of a thread, and not {span.rows}")
        return count


def _age(thread: str, fresh: str, after: float) -> dict[str, Any]:
    return {"thread": thread, "fresh": fresh, "timed": TIMED, "after": timedelta(seconds=after)}
