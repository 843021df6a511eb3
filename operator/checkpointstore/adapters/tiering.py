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
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from typing import Any

from ..features.retention.identifier import TIMED
from ..features.schema.script import load
from ..features.tiering.request import Cold, Moved
from ..kernel.errors import Refused, Unavailable
from . import retention
from .bucket import Bucket
from .cold import Span, rows
from .postgres import Connection
from .retention import SIZES, Busy, Tables

QUERIES = load(__package__, "tiering.sql")
OLD = f"({retention.QUERIES.sql('old')})"
RECALL = "checkpointstore recall 1"
"""Marks the function; raised when its text changes."""
CHANNEL = "checkpointstore_recall"
LOCK = int.from_bytes(b"tiering")
"""The advisory lock that one tiering Job a database holds."""
LARGEST = 64 * 1024 * 1024
"""Bytes of a row that is moved; as large as a Job's memory allows."""
BATCH, BATCH_ROWS = 8 * 1024 * 1024, 2000
"""What is fetched in one round-trip."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three tables, as its rows are kept in an object."""

    table: str
    columns: tuple[str, ...]
    order: str
    length: str
    """SQL for the bytes of a row's payload: exact for values, a guess from what is compressed for JSON."""
    label: tuple[str, str]
    """SQL for what tells its rows apart in a namespace, where that is asked for."""
    conflict: str = "DO NOTHING"
    """SQL for what becomes of a row that is there when it comes back."""


KINDS = {
    "checkpoint": Kind(
        "checkpoints",
        ("checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "type", "checkpoint", "metadata"),
        "checkpoint_ns, checkpoint_id",
        "4 * (pg_column_size(r.checkpoint) + pg_column_size(r.metadata))",
        ("r.checkpoint_id", "NULL"),
    ),
    "blob": Kind(
        "checkpoint_blobs",
        ("checkpoint_ns", "channel", "version", "type", "blob"),
        "checkpoint_ns, channel, version",
        "coalesce(octet_length(r.blob), 0)",
        ("r.channel", "r.version"),
        # It stays as it is, in another place: whoever is about to remove it, as it saw no checkpoint that refers to it,
        # then finds it no more.
        "(thread_id, checkpoint_ns, channel, version) DO UPDATE SET type = checkpoint_blobs.type",
    ),
    "write": Kind(
        "checkpoint_writes",
        ("checkpoint_ns", "checkpoint_id", "task_id", "task_path", "idx", "channel", "type", "blob"),
        "checkpoint_ns, checkpoint_id, task_id, idx",
        "octet_length(r.blob)",
        ("NULL", "NULL"),
    ),
}
TYPES = {"checkpoint": "jsonb", "metadata": "jsonb", "idx": "int", "blob": "bytea"}
"""Of the columns that are not text."""
COLUMNS = tuple(dict.fromkeys(column for kind in KINDS.values() for column in kind.columns))


@dataclass(frozen=True, slots=True)
class Object:
    """An object as the catalog knows it."""

    key: str
    bytes: int
    tail: int
    """So many bytes at its end tell where everything is."""
    tail_sha256: str
    sha256: str
    rows: int
    storage_class: str | None


@dataclass(slots=True)
class Part:
    """What moves of a thread: all of it, or what is below its newest checkpoint."""

    thread: str
    whole: bool
    files: list[int] = field(default_factory=list)
    """Those of the tables that rows go out of: places mean nothing in another file."""
    newest: str = ""
    """The newest id in it."""
    chosen: list[tuple[str, str]] = field(default_factory=list)
    """Its checkpoints, by namespace and id."""
    rows: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {} for name in KINDS})
    """By kind, the version of each row by its place."""
    lengths: list[tuple[str, str, int]] = field(default_factory=list)
    """Kind, place and bytes of each row, in the order in which rows are kept."""
    values: list[tuple[str, str, str]] = field(default_factory=list)
    """Its blobs, by namespace, channel and version."""
    moved: Moved = field(default_factory=Moved)
    pieces: list[tuple[str, Span]] = field(default_factory=list)
    """Where it is: an object's key, and the place in it."""

    @property
    def where(self) -> dict[str, Any]:
        names, ids = ([place[part] for place in self.chosen] for part in (0, 1))
        return {"thread": self.thread, "names": names, "ids": ids}

    @property
    def there(self) -> dict[str, Any]:
        """What the statement is told that lets it go."""
        spans = {item.name: [getattr(span, item.name) for _, span in self.pieces] for item in fields(Span)}
        places = {name: list(self.rows[name]) for name in ("checkpoint", "write")}
        values = {
            name: [value[part] for value in self.values] for part, name in enumerate(("spaces", "channels", "versions"))
        }
        return {"keys": [key for key, _ in self.pieces], **spans, **places, **values}


class Archive(Tables):
    """The checkpoint tables of one database, and the catalog of what is cold of them."""

    def __init__(self, connection: Connection, owner: str, group: str, dry: bool) -> None:
        super().__init__(connection, owner, group, dry)
        self._login, self._owner = connection.info.user, owner

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
            " UNION ALL ".join(_listed(name, kind, part.whole) for name, kind in KINDS.items()), **part.where
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
        for batch in _batches(part.lengths):
            places = {name: [place for kind, place, _ in batch if kind == name] for name in KINDS}
            with self._translated():
                yield from self._connection.execute(FETCH, places, binary=True).fetchall()

    def register(self, made: Object) -> None:
        self._do(QUERIES.sql("register"), **asdict(made))

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
            for piece in self._all(QUERIES.sql("pieces"), thread=thread):
                count += self._put_back(thread, piece, bucket)
            self._do(QUERIES.sql("back"), thread=thread)
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
                    self._insert(kind, thread, found)
        if count != span.rows:
            raise Unavailable(f"{piece['key']} has {count} rows of a thread, and not {span.rows}")
        return count

    def _insert(self, kind: Kind, thread: str, found: Sequence[Mapping[str, Any]]) -> None:
        # JSON is text on its way.
        types = {column: TYPES.get(column, "text").replace("jsonb", "text") for column in kind.columns}
        given = ", ".join(f"%({column})b::{type_}[]" for column, type_ in types.items())
        taken = ", ".join(f"u.{column}::{TYPES.get(column, 'text')}" for column in kind.columns)
        columns = ", ".join(kind.columns)
        query = (
            f"INSERT INTO public.{kind.table} (thread_id, {columns}) SELECT %(thread)s, {taken} "
            f"FROM unnest({given}) AS u ({columns}) ON CONFLICT {kind.conflict}"
        )
        self._do(query, thread=thread, **{column: [row[column] for row in found] for column in kind.columns})


def _age(thread: str, fresh: str, after: float) -> dict[str, Any]:
    return {"thread": thread, "fresh": fresh, "timed": TIMED, "after": timedelta(seconds=after)}


def _listed(name: str, kind: Kind, whole: bool) -> str:
    """Rows that move, by place and version, with what they take in their table."""
    which = "r.thread_id = %(thread)s" if whole else f"r.ctid = ANY (ARRAY({QUERIES.sql(f'chosen_{name}')}))"
    first, second = kind.label
    return (
        f"(SELECT '{name}' AS kind, r.ctid::text AS place, r.xmin::text AS version, {SIZES[kind.table]} AS size, "
        f"{kind.length} AS length, r.checkpoint_ns AS name, {first}::text AS first, {second}::text AS second "
        f"FROM public.{kind.table} AS r WHERE {which} ORDER BY {kind.order})"
    )


def _fetched(name: str, kind: Kind) -> str:
    """Rows by their places, with the columns of an object."""
    columns = (
        f"r.{column}{'::text' if TYPES.get(column) == 'jsonb' else ''}"
        if column in kind.columns
        else f"NULL::{TYPES.get(column, 'text').replace('jsonb', 'text')}"
        for column in COLUMNS
    )
    named = ", ".join(f"{text} AS {column}" for text, column in zip(columns, COLUMNS, strict=True))
    return (
        f"(SELECT '{name}' AS kind, {named} FROM public.{kind.table} AS r "
        f"WHERE r.ctid = ANY (%({name})s::tid[]) ORDER BY {', '.join(f'r.{part}' for part in kind.order.split(', '))})"
    )


def _gone(name: str) -> str:
    """Rows on their way out, by place, each told with its version."""
    return (
        f"{name} AS (DELETE FROM public.{KINDS[name].table} AS r WHERE r.ctid = ANY (%({name})s::tid[]) "
        "AND r.thread_id = %(thread)s RETURNING r.ctid::text || ' ' || r.xmin::text AS row)"
    )


FETCH = " UNION ALL ".join(_fetched(name, kind) for name, kind in KINDS.items())
GO = f"""
WITH piece AS ({QUERIES.sql("archived")}), note AS ({QUERIES.sql("note")}), {_gone("checkpoint")}, {_gone("write")}
SELECT ARRAY(SELECT row FROM checkpoint) AS checkpoint, ARRAY(SELECT row FROM write) AS write"""


def _batches(rows: Sequence[tuple[str, str, int]]) -> Iterator[Sequence[tuple[str, str, int]]]:
    """Rows that are together not much larger than BATCH."""
    first, size = 0, 0
    for number, (_, _, length) in enumerate(rows):
        if length > LARGEST:
            raise Busy(f"a row of {length // 1024**2} MiB is larger than is moved: {LARGEST // 1024**2} MiB")
        if number > first and (size + length > BATCH or number - first == BATCH_ROWS):
            yield rows[first:number]
            first, size = number, 0
        size += length
    if first < len(rows):
        yield rows[first:]
