"""The WAL archive by the names of its segments: what is there, in which order it is read, and where it has holes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SEGMENT_BYTES = 16 * 1024 * 1024
PER_LOG = (1 << 32) // SEGMENT_BYTES
# An asynchronous archiver sends several segments at once: a hole is believed when its far side is this old.
SETTLED_SECONDS = 120
_SEGMENT = re.compile(r"archive/main/([^/]+)/[0-9A-F]{16}/([0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?")
_HISTORY = re.compile(r"archive/main/([^/]+)/([0-9A-F]{8})\.history(?:-[0-9a-f]{40})?(?:\.\w+)?")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """`at` is when it was archived, in seconds since 1970."""

    timeline: int
    number: int
    at: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Segments `first` to `last` are missing; archived around it at `since` and `until`, where there is anything."""

    first: int
    last: int
    since: int | None
    until: int | None


@dataclass(frozen=True, slots=True)
class Archive:
    """One cluster's part of the archive; a timeline may be known by its history file alone."""

    segments: tuple[Segment, ...]
    timelines: frozenset[int]


def read(listing: Mapping[str, Mapping[str, Any]], archive_id: str) -> Archive:
    """From what `repo-ls --recurse` lists; `archive_id` is the cluster, such as 17-1."""
    found: dict[tuple[int, int], int] = {}
    timelines = set()
    for name, entry in listing.items():
        if (match := _SEGMENT.fullmatch(name)) and match[1] == archive_id:
            timeline, number = position(match[2])
            at = int(entry["time"])
            found[timeline, number] = min(at, found.get((timeline, number), at))
            timelines.add(timeline)
        elif (match := _HISTORY.fullmatch(name)) and match[1] == archive_id:
            timelines.add(int(match[2], 16))
    return Archive(tuple(Segment(*key, at) for key, at in sorted(found.items())), frozenset(timelines))


def position(name: str) -> tuple[int, int]:
    """Timeline and number of the segment with this file name."""
    return int(name[:8], 16), int(name[8:16], 16) * PER_LOG + int(name[16:24], 16)


def lsn(text: str) -> int:
    """A position in the WAL as a number; ValueError when it is none."""
    high, low = text.split("/")
    if not 0 < len(high) <= 8 or not 0 < len(low) <= 8:
        raise ValueError(text)
    return (int(high, 16) << 32) + int(low, 16)


def lsn_text(value: int) -> str:
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


def chain(segments: Iterable[Segment], timeline: int | None) -> list[Segment]:
    """The segments that a recovery along `timeline` (the newest when None) reads, in order.

    A timeline counts up to where a later one begins: what an old primary archived beyond belongs to no recovery.
    """
    kept = [segment for segment in segments if timeline is None or segment.timeline <= timeline]
    begin: dict[int, int] = {}
    for segment in kept:
        begin[segment.timeline] = min(segment.number, begin.get(segment.timeline, segment.number))
    return sorted(
        (s for s in kept if all(s.number < number for later, number in begin.items() if later > s.timeline)),
        key=lambda segment: segment.number,
    )


def holes(path: Sequence[Segment], begin: int, end: int) -> list[Hole]:
    """What is missing of `path` from segment `begin` on; up to `end` it must be complete in any case."""
    found = []
    expected, since = begin, None
    for segment in path:
        if segment.number < begin:
            continue
        if segment.number > expected:
            found.append(Hole(expected, segment.number - 1, since, segment.at))
        expected, since = segment.number + 1, segment.at
    if expected <= end:
        found.append(Hole(expected, end, since, None))
    return found


def settled(path: Sequence[Segment], begin: int, now: float) -> list[Segment]:
    """`path` without what lies beyond a hole that may be about to close."""
    for hole in holes(path, begin, begin):
        if hole.until is not None and now - hole.until < SETTLED_SECONDS:
            return [segment for segment in path if segment.number < hole.first]
    return list(path)
