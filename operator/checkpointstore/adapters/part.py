"""What moves of threads: their rows in the three tables, by place and version, and the SQL that knows their columns."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..features.schema.script import load
from .cold import SCHEMA, Span
from .retention import SIZES

QUERIES = load(__package__, "tiering.sql")
LARGEST = 64 * 1024 * 1024
"""Bytes of a row that is moved; as large as a Job's memory allows."""
BATCH, BATCH_ROWS = 8 * 1024 * 1024, 2000
"""Bytes and rows that are read in one snapshot, unless one thread has more, and that are fetched in one round-trip."""
THREADS = 200
"""That are read or let go together: each takes a lock."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three tables, as its rows are kept in an object."""

    table: str
    columns: tuple[str, ...]
    order: str
    length: str
    """SQL for the bytes of a row's payload: exact for values, a guess from what is compressed for JSON."""
    conflict: str = "DO NOTHING"
    """SQL for what becomes of a row that is there when it comes back."""


KINDS = {
    "checkpoint": Kind(
        "checkpoints",
        ("checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "type", "checkpoint", "metadata"),
        "checkpoint_ns, checkpoint_id",
        "4 * (pg_column_size(r.checkpoint) + pg_column_size(r.metadata))",
    ),
    "blob": Kind(
        "checkpoint_blobs",
        ("checkpoint_ns", "channel", "version", "type", "blob"),
        "checkpoint_ns, channel, version",
        "coalesce(octet_length(r.blob), 0)",
        # It stays as it is, in another place: whoever is about to remove it, as it saw no checkpoint that refers to it,
        # then finds it no more.
        "(thread_id, checkpoint_ns, channel, version) DO UPDATE SET type = checkpoint_blobs.type",
    ),
    "write": Kind(
        "checkpoint_writes",
        ("checkpoint_ns", "checkpoint_id", "task_id", "task_path", "idx", "channel", "type", "blob"),
        "checkpoint_ns, checkpoint_id, task_id, idx",
        "octet_length(r.blob)",
    ),
}
TYPES = {"checkpoint": "jsonb", "metadata": "jsonb", "idx": "int", "blob": "bytea"}
"""Of the columns that are not text."""


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
    """Its checkpoints, by namespace and id, where it is not whole."""
    going: dict[str, str] = field(default_factory=lambda: {"checkpoint": "", "write": ""})
    """By kind, each row that leaves its table as `place version`, with a semicolon between."""
    rows: int = 0
    length: int = 0
    """Bytes of payload."""
    largest: int = 0
    """Bytes of the longest row."""
    moved: Counter[str] = field(default_factory=Counter)
    """What a Moved tells of it."""
    pieces: list[tuple[str, Span]] = field(default_factory=list)
    """Where it is: an object's key, and the place in it."""

    @property
    def obstacle(self) -> str:
        """Why it cannot move; "" where it can."""
        told = f"a row of {self.largest // 1024**2} MiB is larger than is moved: {LARGEST // 1024**2} MiB"
        return told if self.largest > LARGEST else ""


def where(parts: Sequence[Part]) -> dict[str, Any]:
    """Which rows these are, for the statements that read."""
    chosen = [(part.thread, *place) for part in parts for place in part.chosen]
    owners, names, ids = ([place[number] for place in chosen] for number in range(3))
    return {"threads": [part.thread for part in parts], "owners": owners, "names": names, "ids": ids}


def there(parts: Sequence[Part]) -> dict[str, Any]:
    """What the statement is told that lets them go."""
    pieces = [(part, key, span) for part in parts for key, span in part.pieces]
    return {
        "holders": [part.thread for part, _, _ in pieces],
        "newest": [part.newest for part, _, _ in pieces],
        "keys": [key for _, key, _ in pieces],
        **{item.name: [getattr(span, item.name) for _, _, span in pieces] for item in fields(Span)},
        **{name: ";".join(part.going[name] for part in parts if part.going[name]) for name in ("checkpoint", "write")},
    }


def readable(parts: Sequence[Part]) -> Sequence[Part]:
    """The first of them, that are read in one snapshot."""
    return together(parts, BATCH_ROWS)


def together(parts: Sequence[Part], most: int) -> Sequence[Part]:
    """The first of them, one at least, that have so many rows."""
    length = rows = 0
    for number, part in enumerate(parts):
        length, rows = length + part.length, rows + part.rows
        if number and (length > BATCH or rows > most or number == THREADS):
            return parts[:number]
    return parts


def at_once(parts: Sequence[Part]) -> int:
    """How many of their rows are fetched in one round-trip."""
    return max(1, min(BATCH_ROWS, BATCH // max(1, *(part.largest for part in parts))))


def _which(name: str, whole: bool) -> str:
    return "r.thread_id = ANY (%(threads)s)" if whole else f"r.ctid = ANY (ARRAY({QUERIES.sql(f'chosen_{name}')}))"


def _listed(name: str, kind: Kind, whole: bool) -> str:
    """Of each thread how many rows move, what they take, and by place and version those that leave their table."""
    stamps = "NULL" if name == "blob" else "string_agg(r.ctid::text || ' ' || r.xmin::text, ';')"
    newest = "max(r.checkpoint_id)" if name == "checkpoint" else "NULL"
    return (
        f"SELECT '{name}' AS kind, r.thread_id AS thread, count(*) AS rows, sum({SIZES[kind.table]})::bigint AS size, "
        f"sum({kind.length})::bigint AS length, max({kind.length}) AS largest, {newest} AS newest, {stamps} AS going "
        f"FROM public.{kind.table} AS r WHERE {_which(name, whole)} GROUP BY r.thread_id"
    )


def _fetched(number: int, name: str, kind: Kind, whole: bool) -> str:
    """Rows with the columns of an object."""
    nothing = {column: f"NULL::{TYPES.get(column, 'text')}" for column in SCHEMA.names}
    mine = {column: f"r.{column}" for column in ("thread_id", *kind.columns)}
    columns = ", ".join(f"{text} AS {column}" for column, text in {**nothing, **mine, "kind": f"'{name}'"}.items())
    return f"SELECT {number} AS place, {columns} FROM public.{kind.table} AS r WHERE {_which(name, whole)}"


def _in_order(whole: bool) -> str:
    """Threads one after another, and of each one kind after another; values are fetched once rows are in order."""
    each = " UNION ALL ".join(_fetched(number, *item, whole) for number, item in enumerate(KINDS.items()))
    keys = dict.fromkeys(key for kind in KINDS.values() for key in kind.order.split(", "))
    order = ", ".join(key if key == "idx" else f'{key} COLLATE "C"' for key in keys)
    columns = ", ".join(f"{name}::text" if TYPES.get(name) == "jsonb" else name for name in SCHEMA.names)
    return f'SELECT {columns} FROM (SELECT * FROM ({each}) AS r ORDER BY thread_id COLLATE "C", place, {order}) AS r'


def _gone(name: str, told: str = "") -> str:
    """Rows on their way out, by place, each told with its version."""
    return (
        f"{name} AS (DELETE FROM public.{KINDS[name].table} AS r WHERE r.ctid = ANY (ARRAY("
        f"SELECT split_part(s.row, ' ', 1)::tid FROM unnest(string_to_array(%({name})s, ';')) AS s (row))) "
        f"AND r.thread_id = ANY (%(threads)s) RETURNING {told}r.ctid::text || ' ' || r.xmin::text AS row)"
    )


def _go(whole: bool) -> str:
    told = "r.thread_id, r.metadata ->> 'run_id' AS run, "
    told += "" if whole else "r.checkpoint_ns, r.checkpoint -> 'channel_versions' AS versions, "
    more = {"note": "note_all", "head": "head"} if whole else {"note": "note"}
    return f"""
WITH {_gone("checkpoint", told)}, {_gone("write")},
     piece AS ({QUERIES.sql("archived")}), live AS ({QUERIES.sql("live")}),
     {", ".join(f"{name} AS ({QUERIES.sql(block)})" for name, block in more.items())}
SELECT (SELECT string_agg(row, ';') FROM checkpoint) AS checkpoint, (SELECT string_agg(row, ';') FROM write) AS write"""


LIST = {whole: " UNION ALL ".join(_listed(*item, whole) for item in KINDS.items()) for whole in (True, False)}
FETCH = {whole: _in_order(whole) for whole in (True, False)}
GO = {whole: _go(whole) for whole in (True, False)}
"""Each by whether threads are whole."""


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
