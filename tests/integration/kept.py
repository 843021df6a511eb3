"""What must stay of a store, said once more in plain Python, row by row, with nothing of the Job's."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

TIMED = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-6[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Point:
    """A checkpoint."""

    thread: str
    name: str
    id: str
    parent: str | None = None
    root: str | None = None
    """The checkpoint of the root graph that a subgraph ran in."""
    source: str = "loop"
    version: int = 4
    sends: bool = False
    """Whether it has writes of tasks that its child starts with."""
    silent: bool = False
    """Whether nothing was written to it."""
    mark: str = ""
    """What a DeltaChannel leaves."""
    blobs: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Policy:
    last: int | None
    young: str | None
    """The lowest id that is too young to go."""
    fresh: str | None
    """The lowest id that keeps its whole thread."""


def kept(points: Iterable[Point], policy: Policy) -> set[Point]:
    """All that stays."""
    threads: dict[str, list[Point]] = {}
    for point in points:
        threads.setdefault(point.thread, []).append(point)
    return {point for thread in threads.values() for point in _thread(thread, policy)}


def _timed(identifier: str | None) -> bool:
    return identifier is not None and TIMED.fullmatch(identifier) is not None


def _thread(points: list[Point], policy: Policy) -> Iterator[Point]:
    if policy.fresh and all(_timed(point.id) and point.id < policy.fresh for point in points):
        return
    names: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.id):
        names.setdefault(point.name, []).append(point)
    root = names.get("", [])
    counted = root[-(policy.last or 1) :]
    if (policy.last or policy.young) is None or len(root) < (policy.last or 1):
        yield from points
        return
    floor = min([counted[0].id, *([policy.young] if policy.young else [])])
    below = [point for point in root if point.id < floor]
    timeless = policy.young is not None and not all(_timed(point.id) for point in below)
    if not below or timeless or any(point.mark for point in root):
        yield from points
        return
    stays = [point for point in root if point.id >= floor]
    yield from stays
    yield from _senders(root, stays)
    bounds = {floor, *(point.parent for point in stays if point.source in ("update", "fork"))}
    for name, found in names.items():
        if name:
            yield from _subgraph(found, ":" in name, floor, {bound for bound in bounds if bound and bound <= floor})


def _subgraph(found: list[Point], call: bool, floor: str, bounds: set[str]) -> Iterator[Point]:
    root, newest = found[-1].root, found[-1].id
    below = [point for point in found if point.id < floor]
    if not _timed(floor) or not all(_timed(point.id) for point in below):
        yield from found
        return
    if call and root is not None:
        if not (_timed(root) and root < floor and newest < floor):
            yield from found
        return
    if any(point.mark for point in found):
        yield from found
        return
    before = ([point for point in found if point.id < bound] for bound in bounds)
    stays = {point for point in found if point.id >= floor} | {points[-1] for points in before if points}
    yield from stays
    yield from _senders(found, stays)


def _senders(found: list[Point], stays: Iterable[Point]) -> Iterator[Point]:
    wanted = {point.parent for point in stays if point.version < 4}
    yield from (point for point in found if point.id in wanted and point.sends)
