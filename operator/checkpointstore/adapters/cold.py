"""The objects of cold tiers: Parquet with zstd, many threads in one, the rows of a thread next to each other.

docs/tiering.md has the schema for whoever reads them without us.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..features.blobs.tag import keys
from ..kernel.errors import Unavailable

VERSION = "1"
"""Of the schema; readers find it in the file's metadata as checkpointstore.schema."""
TEXT = (
    "kind",
    "thread_id",
    "checkpoint_ns",
    "checkpoint_id",
    "parent_checkpoint_id",
    "channel",
    "version",
    "task_id",
    "task_path",
    "type",
    "checkpoint",
    "metadata",
)
SCHEMA = pa.schema([*((name, pa.string()) for name in TEXT), ("idx", pa.int32()), ("blob", pa.binary())])
GROUP, LARGE = 4 * 1024 * 1024, 16 * 1024 * 1024
"""Bytes of text and payload, before they are compressed, in a row group at most: of several threads, which is what a
recall of any of them reads; of one thread, which reads all of them anyway, and repeats itself."""
ROWS = 10_000
LEVEL, DENSE = 9, 19
"""Of zstd: what threads wait for, and what nobody does."""
PAYLOAD = ("checkpoint", "metadata", "blob")
TAIL = 64 * 1024
"""What Parquet's reader asks for at the end of a file at least, however short the footer is."""
THREAD, TYPE = (SCHEMA.names.index(name) for name in ("thread_id", "type"))
"""Where a row has its thread, and what it says its value is."""
_CHECKPOINT, _METADATA, _BLOB = (SCHEMA.names.index(name) for name in PAYLOAD)


@dataclass(frozen=True, slots=True)
class Span:
    """Where the rows of one thread are in an object: row groups, both included, their bytes, and how many rows.

    `blobs` are the keys of the values outside that they refer to, with a space between.
    """

    first_group: int
    last_group: int
    first_byte: int = 0
    end_byte: int = 0
    rows: int = 0
    blobs: str = ""


@dataclass(frozen=True, slots=True)
class Object:
    """An object as the catalog knows it."""

    key: str
    bytes: int
    tail: int
    """So many bytes at its end tell where everything is."""
    tail_sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Written:
    content: bytes
    tail: int
    """So many bytes at its end tell where everything is."""
    tail_sha256: str
    """Of these, in hex digits: pages have checksums, and what tells of them has none."""
    rows: int
    spans: Mapping[str, Span]
    """By thread."""


@dataclass(slots=True)
class Writer:
    """One object in the making, in memory; rows are added thread by thread."""

    facts: Mapping[str, str]
    """What the file says of itself: its metadata."""
    level: int = LEVEL
    rows: int = 0
    _groups: int = 0
    _size: int = 0
    _pending: list[Sequence[Any]] = field(default_factory=list)
    _last: int = 0
    """Where in these the last thread begins."""
    _own: int = 0
    """Bytes of that thread in these."""
    _spans: dict[str, Span] = field(default_factory=dict)
    _file: io.BytesIO = field(default_factory=io.BytesIO)
    _parquet: Any = None

    @property
    def size(self) -> int:
        """Bytes that are compressed already."""
        return self._file.tell()

    def add(self, row: Sequence[Any]) -> bool:
        """`row` has the columns of SCHEMA in their order. Whether a row group ended with it."""
        if self._pending and self._pending[-1][THREAD] != row[THREAD]:
            self._last, self._own = len(self._pending), 0
        bytes_ = len(row[_CHECKPOINT] or "") + len(row[_METADATA] or "") + len(row[_BLOB] or "")
        self._pending.append(row)
        self._size += bytes_
        self._own += bytes_
        self.rows += 1
        if self._last and (self._size > GROUP or len(self._pending) > ROWS):
            self._flush(self._last)
        full = self._own >= LARGE or len(self._pending) >= ROWS
        if full:
            self._flush(len(self._pending))
        return full

    def close(self) -> Written:
        self._flush(len(self._pending))
        self._parquet.close()
        content = self._file.getvalue()
        # Parquet ends with the length of its footer and four letters.
        footer = int.from_bytes(content[-8:-4], "little") + 8
        starts = [*_starts(pq.read_metadata(io.BytesIO(content))), len(content) - footer]
        spans = {
            thread: replace(span, first_byte=starts[span.first_group], end_byte=starts[span.last_group + 1])
            for thread, span in self._spans.items()
        }
        tail = min(len(content), max(footer, TAIL))
        return Written(content, tail, _sha256(content[-tail:]), self.rows, spans)

    def _flush(self, number: int) -> None:
        """Make a row group of so many of the rows that wait."""
        if self._parquet is None:
            told = {f"checkpointstore.{name}": value for name, value in {"schema": VERSION, **self.facts}.items()}
            self._parquet = pq.ParquetWriter(
                self._file,
                SCHEMA.with_metadata(told),
                compression="zstd",
                compression_level=self.level,
                use_dictionary=[name for name in TEXT if name not in PAYLOAD],
                write_statistics=["thread_id"],
                write_page_checksum=True,
                # One page a column, so that what values of a thread have in common is compressed away.
                data_page_size=2 * LARGE,
            )
        if number:
            columns = list(zip(*self._pending[:number], strict=True))
            arrays = [pa.array(column, item.type) for column, item in zip(columns, SCHEMA, strict=True)]
            self._parquet.write_table(pa.table(arrays, SCHEMA), row_group_size=ROWS)
            for thread, rows in Counter(columns[THREAD]).items():
                span = self._spans.get(thread) or Span(self._groups, self._groups)
                self._spans[thread] = replace(span, last_group=self._groups, rows=span.rows + rows)
            # Nearly all rows are of a few types, and refer to nothing.
            for thread, type_ in set(zip(columns[THREAD], columns[TYPE], strict=True)):
                if found := keys(type_):
                    span = self._spans[thread]
                    self._spans[thread] = replace(span, blobs=" ".join(dict.fromkeys((*span.blobs.split(), *found))))
            self._pending = self._pending[number:]
            self._own = self._own if self._pending else 0
            self._size, self._last = self._own, 0
            self._groups += 1


def rows(
    tail: bytes, tail_sha256: str, body: bytes, length: int, span: Span, thread: str
) -> Iterator[list[dict[str, Any]]]:
    """A thread's rows, a row group at a time, from the end of an object and the bytes of the span.

    Raises Unavailable where that is not what was written.
    """
    if _sha256(tail) != tail_sha256:
        raise Unavailable("an object is not what was written: its end has another checksum")
    sparse = _Sparse(length, ((length - len(tail), tail), (span.first_byte, body)))
    try:
        file = pq.ParquetFile(sparse, page_checksum_verification=True)
        for group in range(span.first_group, span.last_group + 1):
            # Nearly all of it is one column: threads would only wait for each other.
            table = file.read_row_group(group, use_threads=False)
            yield table.filter(pc.equal(table["thread_id"], thread)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise Unavailable(f"an object is not what was written: {str(error)[:300]}") from None


def of_threads(content: bytes, made: Object, threads: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of these threads in an object, in their order, each with the columns of SCHEMA.

    Raises Unavailable where that is not what was written.
    """
    if _sha256(content[-made.tail :]) != made.tail_sha256:
        raise Unavailable(f"object {made.key} is not what was written: its end has another checksum")
    wanted = pa.array(list(threads), pa.string())
    try:
        file = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            kept = table.filter(pc.is_in(table["thread_id"], wanted)).select(SCHEMA.names)
            yield from zip(*(column.to_pylist() for column in kept.columns), strict=True)
    except (pa.ArrowException, OSError) as error:
        raise Unavailable(f"object {made.key} is not what was written: {str(error)[:300]}") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _starts(metadata: Any) -> Sequence[int]:
    """Where each row group begins: its columns lie one behind the other."""
    columns = range(metadata.num_columns)
    return [
        min(
            column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
            for column in (metadata.row_group(group).column(number) for number in columns)
        )
        for group in range(metadata.num_row_groups)
    ]


class _Sparse(io.RawIOBase):
    """A file of which only parts are there, each with its offset."""

    def __init__(self, length: int, parts: Sequence[tuple[int, bytes]]) -> None:
        self._length, self._parts, self._at = length, parts, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = self._length - self._at
        size = left if size is None or size < 0 else min(size, left)
        for start, content in self._parts:
            if start <= self._at and self._at + size <= start + len(content):
                found = content[self._at - start : self._at - start + size]
                self._at += size
                return found
        raise OSError(f"bytes {self._at} to {self._at + size} were not fetched")
