"""An object gives a thread's rows from parts of its bytes, and never other rows than were written."""

import io
import random
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import pytest

from checkpointstore.adapters import cold
from checkpointstore.adapters.cold import Writer, Written
from checkpointstore.kernel.errors import Unavailable

CHANCE = random.Random(1)
THREADS: dict[str, list[dict[str, Any]]] = {
    f"thread-{number}": [
        {
            "thread_id": f"thread-{number}",
            "kind": "blob",
            "checkpoint_ns": "",
            "channel": CHANCE.choice(("said", "turns")),
            "version": str(version),
            "type": "msgpack",
            "blob": CHANCE.randbytes(CHANCE.randrange(4000)) if version % 5 else None,
        }
        for version in range(number * 3 + 1)
    ]
    for number in range(9)
}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.setattr(cold, "ROWS", 10)
    writer = Writer({"store": "shop/agents"})
    for rows in THREADS.values():
        for row in rows:
            writer.add(full(row))
    return writer.close()


def full(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in cold.SCHEMA.names)


def read(content: bytes, written: Written, thread: str) -> list[tuple[Any, ...]]:
    """From the bytes alone that a recall asks for."""
    span = written.spans[thread]
    body, tail = content[span.first_byte : span.end_byte], content[len(content) - written.tail :]
    groups = cold.rows(tail, written.tail_sha256, body, len(content), span, thread)
    return [full(row) for group in groups for row in group]


def test_each_thread_is_read_from_its_own_part(written: Written) -> None:
    assert written.rows == sum(len(rows) for rows in THREADS.values())
    assert written.spans["thread-8"].last_group > written.spans["thread-8"].first_group
    for thread, rows in THREADS.items():
        span = written.spans[thread]
        assert span.rows == len(rows)
        assert read(written.content, written, thread) == [*map(full, rows)]


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        pytest.param([[400] * 6], [[(0, 6)]], id="a thread is not split"),
        pytest.param([[1000] * 5], [[(0, 4), (1, 1)]], id="but a large one is"),
        pytest.param([[300], [300], [300], [300]], [[(0, 1)], [(0, 1)], [(0, 1)], [(1, 1)]], id="small ones together"),
        pytest.param(
            [[300], [300, 300, 300], [900]], [[(0, 1)], [(1, 3)], [(2, 1)]], id="a thread is not cut by others"
        ),
        pytest.param(
            [[300], [1000] * 4, [300]], [[(0, 1)], [(1, 4)], [(2, 1)]], id="a small one is not in a large group"
        ),
    ],
)
def test_row_groups_are_of_small_threads_or_of_one_large_one(
    sizes: list[list[int]], groups: list[list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`groups` of each thread: which, and with how many of its rows."""
    monkeypatch.setattr(cold, "GROUP", 1000)
    monkeypatch.setattr(cold, "LARGE", 4000)
    writer = Writer({})
    for number, thread in enumerate(sizes):
        for size in thread:
            writer.add(full({"kind": "blob", "thread_id": f"thread-{number}", "blob": bytes(size)}))
    written = writer.close()
    file = pq.ParquetFile(io.BytesIO(written.content))
    found = [Counter(file.read_row_group(group)["thread_id"].to_pylist()) for group in range(file.num_row_groups)]
    assert groups == [
        [(group, rows[f"thread-{number}"]) for group, rows in enumerate(found) if rows[f"thread-{number}"]]
        for number in range(len(sizes))
    ]
    spans = [written.spans[f"thread-{number}"] for number in range(len(sizes))]
    assert [(span.first_group, span.last_group) for span in spans] == [(own[0][0], own[-1][0]) for own in groups]


def test_a_row_group_ends_by_its_bytes_or_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes may then begin another object without a rest."""
    monkeypatch.setattr(cold, "LARGE", 1000)
    row = {"kind": "blob", "thread_id": "one", "blob": bytes(400)}
    writer = Writer({})
    assert [writer.add(full(row)) for _ in range(6)] == [False, False, True, False, False, True]
    monkeypatch.setattr(cold, "ROWS", 2)
    writer = Writer({})
    assert [writer.add(full({**row, "blob": b""})) for _ in range(4)] == [False, True, False, True]


def test_what_is_damaged_is_refused_or_does_not_matter(written: Written) -> None:
    """Its pages and their headers, and the end that tells where they are."""
    span, thread = written.spans["thread-6"], "thread-6"
    end = len(written.content) - written.tail
    assert span.first_byte < end
    places = [*range(span.first_byte, min(span.end_byte, end), 61), *range(end, len(written.content), 997)]
    refused = 0
    for place in places:
        content = bytearray(written.content)
        content[place] ^= 1 << CHANCE.randrange(8)
        try:
            assert read(bytes(content), written, thread) == [*map(full, THREADS[thread])], place
        except Unavailable:
            refused += 1
    assert refused > len(places) * 0.9


def test_bytes_that_were_not_fetched_are_no_zeros(written: Written) -> None:
    span = written.spans["thread-0"]
    with pytest.raises(Unavailable, match="were not fetched"):
        list(cold.rows(written.content[-written.tail :], written.tail_sha256, b"", 10**9, span, "thread-0"))
