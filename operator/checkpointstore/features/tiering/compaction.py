"""Which objects are written anew together, without what is of no use in them. Pure.

| an object | is written anew |
|---|---|
| holds rows of a thread that was deleted | a day after the first of these deletions |
| more than half of its rows are of no use | at once |
| is small | with others, once there are many and it is a day old |
| holds nothing of use | never: it goes by itself |
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY = timedelta(days=1)
SIZE = 32 * 1024 * 1024
"""Bytes of an object that is large enough."""
SMALL, MANY = SIZE // 4, 8


@dataclass(frozen=True, slots=True)
class Known:
    """An object, as the catalog tells it."""

    key: str
    bytes: int
    rows: int
    live: int
    """Rows of threads that are cold."""
    written: datetime
    erase: datetime | None
    """When the first of the threads in it was deleted, if one was."""

    @property
    def left(self) -> int:
        """Bytes of what is of use in it, about."""
        return self.bytes * self.live // self.rows


def groups(objects: Iterable[Known], now: datetime, grace: timedelta) -> list[tuple[str, ...]]:
    """Keys of objects that become one each, those with deleted threads first. Where `grace` is less than a day, it is
    that day."""
    alive = [item for item in objects if item.live]
    late = now - min(DAY, grace)
    due = {item for item in alive if (item.erase and item.erase <= late) or item.live * 2 < item.rows}
    small = {item for item in alive if item.bytes < SMALL and item.written <= late} - due
    wanted = due | small if len(small) >= MANY else due
    return _packed(sorted(wanted, key=lambda item: (item.erase is None, item.written, item.key)))


def _packed(objects: Sequence[Known]) -> list[tuple[str, ...]]:
    packed: list[tuple[str, ...]] = []
    size = 0
    for item in objects:
        if packed and size + item.left <= SIZE:
            packed[-1] = (*packed[-1], item.key)
            size += item.left
        else:
            packed.append((item.key,))
            size = item.left
    return packed
