"""What moves of a thread: its rows in the three tables, by place and version, and the SQL that knows their columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..features.schema.script import load
from ..features.tiering.request import Moved
from .cold import Span
from .retention import SIZES, Busy

QUERIES = load(__package__, "tiering.sql")
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


def listed(name: str, kind: Kind, whole: bool) -> str:
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
WITH piece AS ({QUERIES.sql("archived")}), live AS ({QUERIES.sql("live")}), note AS ({QUERIES.sql("note")}),
     {_gone("checkpoint")}, {_gone("write")}
SELECT ARRAY(SELECT row FROM checkpoint) AS checkpoint, ARRAY(SELECT row FROM write) AS write"""


def batches(rows: Sequence[tuple[str, str, int]]) -> Iterator[Sequence[tuple[str, str, int]]]:
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


def put_back(kind: Kind) -> str:
    """Rows that come back, a list a column."""
    # JSON is text on its way.
    types = {column: TYPES.get(column, "text").replace("jsonb", "text") for column in kind.columns}
    given = ", ".join(f"%({column})b::{type_}[]" for column, type_ in types.items())
    taken = ", ".join(f"u.{column}::{TYPES.get(column, 'text')}" for column in kind.columns)
    columns = ", ".join(kind.columns)
    return (
        f"INSERT INTO public.{kind.table} (thread_id, {columns}) SELECT %(thread)s, {taken} "
        f"FROM unnest({given}) AS u ({columns}) ON CONFLICT {kind.conflict}"
    )
