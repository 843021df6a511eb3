"""Segments by their names: order, timelines and holes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.repository import archive
from checkpointstore.repository.archive import Hole, Segment
from tests.unit.repository.captured import LISTING

HASH = "0" * 40


def name(segment: Segment) -> str:
    log, low = divmod(segment.number, archive.PER_LOG)
    text = f"{segment.timeline:08X}{log:08X}{low:08X}"
    return f"archive/main/17-1/{text[:16]}/{text}-{HASH}.zst"


def test_a_real_listing_is_read() -> None:
    found = archive.read(LISTING, "15-1")
    assert [(segment.timeline, segment.number) for segment in found.segments] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert found.segments[-1].at == 1795534789
    assert set(found.timelines) == {1}
    assert archive.read(LISTING, "15-2").segments == ()


def test_histories_partial_and_duplicate_segments() -> None:
    text = "archive/main/17-1/0000000100000000/000000010000000000000007"
    entry: dict[str, Any] = {"type": "file", "size": 1, "time": 20}
    listing = {
        "archive/main/17-1/00000003.history": entry,
        f"{text}-{HASH}.gz": entry,
        f"{text}-{'1' * 40}.gz": {**entry, "time": 10},
        f"{text[:-1]}8.partial-{HASH}.gz": entry,
    }
    found = archive.read(listing, "17-1")
    assert found.segments == (Segment(1, 7, 10),)
    assert set(found.timelines) == {1, 3}


@given(st.integers(0, 2**64 - 1))
def test_positions_in_the_wal_are_numbers(value: int) -> None:
    assert archive.lsn(archive.lsn_text(value)) == value


@given(st.sets(st.integers(240, 270), min_size=10), st.integers(240, 270), st.integers(0, 20))
def test_holes_are_exactly_what_is_missing(numbers: set[int], begin: int, length: int) -> None:
    end = begin + length
    listing = {name(Segment(1, n, n)): {"type": "file", "time": n} for n in numbers}
    found = archive.holes(archive.chain(archive.read(listing, "17-1").segments, None), begin, end)
    missing = [n for hole in found for n in range(hole.first, hole.last + 1)]
    assert missing == [n for n in range(begin, max([end, *numbers]) + 1) if n not in numbers]
    for hole in found:
        assert hole.since == (hole.first - 1 if hole.first > begin else None)
        assert hole.until == (hole.last + 1 if hole.last + 1 in numbers else None)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 5))
def test_a_switch_of_the_timeline_is_no_hole(lengths: list[int], beyond: int) -> None:
    segments, number = [], 10
    for timeline, length in enumerate(lengths, 1):
        # The old primary goes on for a while, and with a hole of its own.
        old = [*range(number, number + length), *range(number + length + 1, number + length + 1 + beyond)]
        segments += [Segment(timeline, n, n) for n in old]
        number += length
    last = len(lengths)
    path = archive.chain(segments, None)
    read = [segment.number for segment in path if segment.timeline < last]
    assert read == list(range(10, 10 + sum(lengths[:-1])))
    assert all(hole.first > number - 1 for hole in archive.holes(path, 10, 10))
    assert {segment.timeline for segment in archive.chain(segments, 1)} == {1}


def test_a_hole_that_spans_a_switch_is_one() -> None:
    path = archive.chain([Segment(1, 4, 40), Segment(2, 7, 70)], None)
    assert archive.holes(path, 4, 4) == [Hole(5, 6, 40, 70)]


def test_a_hole_that_may_close_yet_is_the_end() -> None:
    path = [Segment(1, 4, 400), Segment(1, 6, 600)]
    assert archive.settled(path, 4, 600 + archive.SETTLED_SECONDS - 1) == path[:1]
    assert archive.settled(path, 4, 600 + archive.SETTLED_SECONDS) == path
