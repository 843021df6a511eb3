"""Which pods let idle clients go, so that these connect anew: those that are full while others have room.

Clients stay with the pod that they came to, and pods that are added have none: without this they help nobody who is
there already.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .load import Part

UNEVEN, EVEN = 1.25, 1.2
"""So many times the mean a pod must have before clients of it are disturbed, as chance alone gives it less; and so many
it may have afterwards."""


@dataclass(frozen=True, slots=True)
class Balance:
    pods: frozenset[str]
    most: int
    """Clients that each of them keeps."""
    seen: float
    """When the interval began that showed it, seconds since 1970."""


def balance(parts: Mapping[str, Part], full: float, core: float, slots: int, seen: float) -> Balance | None:
    """What would make the load even, None where nothing is full or the load is even.

    `full` is the share from which on a pod's thread, of `core` cores, or its `slots` count as full.
    """
    if not parts:
        return None
    mean = sum(part.clients for part in parts.values()) / len(parts)
    crowded = {
        name
        for name, part in parts.items()
        if part.clients > UNEVEN * mean and max(part.processor / core, part.clients / slots) >= full
    }
    return Balance(frozenset(crowded), _kept(parts, crowded, mean), seen) if crowded else None


def _kept(parts: Mapping[str, Part], crowded: Collection[str], mean: float) -> int:
    """Clients that each crowded pod keeps, so that it has no more than EVEN allows once all that went are back.

    They choose among all pods: each of these gets as many of them, so that less than the mean has to stay, or all would
    have to be paused over and over.
    """
    back = sum(parts[name].clients for name in crowded) / len(parts)
    kept = (EVEN * mean - back) / (1 - len(crowded) / len(parts))
    return math.ceil(min(mean, max(0.0, kept)))
