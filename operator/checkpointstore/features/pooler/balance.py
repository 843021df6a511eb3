"""Which pods let idle clients go, so that these connect anew: those that are full while others have room.

Clients stay with the pod that they came to, and pods that are added have none: without this they help nobody who is
there already.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .load import Part

UNEVEN = 1.25
"""So many times the mean a pod must have before clients of it are disturbed; chance alone gives it less."""


@dataclass(frozen=True, slots=True)
class Balance:
    pods: frozenset[str]
    most: int
    """Clients that each of them keeps: as many as there are for a pod on average."""
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
    return Balance(frozenset(crowded), math.ceil(mean), seen) if crowded else None
