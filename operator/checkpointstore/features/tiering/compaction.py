"""Which objects are written anew together, without what is of no use in them, and into which tier. Pure.

| an object | is written anew |
|---|---|
| holds rows of a thread that was deleted | a day after the first of these deletions |
| more than half of its rows are of no use | at once |
| holds nothing of use that is too young for a lower tier | at once, in that tier |
| is small | with others of its tier that have none of its threads, once there are many and it is a day old |
| holds nothing of use | never: it goes by itself |

A tier is lower the longer its `after` is. An object is in the tier that it names. Where the spec has none of that name
any more, it is as low as it was, and keeps name and class when it is written anew: so nothing moves because a tier was
renamed or taken away, and nothing ever moves up.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .request import Tier

DAY = timedelta(days=1)
SIZE = 32 * 1024 * 1024
"""Bytes of an object that is large enough."""
SMALL, MANY = SIZE // 4, 8

Fresh = dict[Tier, str]
"""The spec's tiers in their order, each with the lowest id that is too young for it."""


@dataclass(frozen=True, slots=True)
class Known:
    """An object, as the catalog tells it."""

    key: str
    bytes: int
    rows: int
    live: int
    """Rows of threads that are cold."""
    newest: str
    """The newest id of these threads."""
    written: datetime
    erase: datetime | None
    """When the first of the threads in it was deleted, if one was."""
    tier: Tier
    """That it was written for, as the spec had it then."""

    @property
    def left(self) -> int:
        """Bytes of what is of use in it, about."""
        return self.bytes * self.live // self.rows


@dataclass(frozen=True, slots=True)
class Group:
    """Objects that become one, in a tier."""

    tier: Tier
    keys: tuple[str, ...]
    urgent: bool
    """Whether a thread was deleted that is in one of them."""
    least: int
    """So many must become one: two, where nothing speaks for it but that they are small."""


def lowest_of(newest: str, tiers: Fresh) -> Tier | None:
    """The lowest tier that what was last written then is old enough for; None where it is for none."""
    return next((tier for tier, fresh in reversed(tiers.items()) if newest < fresh), None)


def groups(objects: Iterable[Known], tiers: Fresh, now: datetime, grace: timedelta) -> list[Group]:
    """Those with deleted threads first. Where `grace` is less than a day, it is that day."""
    late = now - min(DAY, grace)
    named = {tier.name: tier for tier in tiers}
    due: dict[Tier, set[Known]] = defaultdict(set)
    small: dict[Tier, set[Known]] = defaultdict(set)
    for item in objects:
        if not item.live:
            continue
        own = named.get(item.tier.name, item.tier)
        lower = lowest_of(item.newest, tiers) or own
        if lower.after > own.after:
            due[lower].add(item)
        elif (item.erase and item.erase <= late) or item.live * 2 < item.rows:
            due[own].add(item)
        elif item.bytes < SMALL and item.written <= late:
            small[own].add(item)
    wanted = {tier: due[tier] | small[tier] if len(small[tier]) >= MANY else due[tier] for tier in (*due, *small)}
    found = [
        Group(
            tier,
            tuple(item.key for item in packed),
            urgent=any(item.erase for item in packed),
            least=1 if due[tier].intersection(packed) else 2,
        )
        for tier, items in wanted.items()
        for packed in _packed(sorted(items, key=lambda item: (item.erase is None, item.written, item.key)))
    ]
    return sorted(found, key=lambda group: not group.urgent)


def apart(threads: Mapping[str, Collection[str]], least: int) -> tuple[str, ...]:
    """The first objects, by the threads in them, of which no two have one in common; none where `least` are not there.

    Which of a thread's parts is newer would be lost in one object.
    """
    keys = tuple(threads)
    for start in range(len(keys)):
        found, seen = list[str](), set[str]()
        for key in keys[start:]:
            if seen.isdisjoint(threads[key]):
                found.append(key)
                seen.update(threads[key])
        if len(found) >= least:
            return tuple(found)
    return ()


def _packed(objects: Sequence[Known]) -> list[list[Known]]:
    packed: list[list[Known]] = []
    size = 0
    for item in objects:
        if packed and size + item.left <= SIZE:
            packed[-1].append(item)
            size += item.left
        else:
            packed.append([item])
            size = item.left
    return packed
