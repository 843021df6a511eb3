"""Which pods let idle clients go, so that these connect anew: those that are full while others have room.

Clients stay with the pod that they came to, and pods that are added have none: without this they help nobody who is
there already. Meanwhile nobody new comes to the full ones, so that who was let go does not come back to them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .load import Part

UNEVEN = 1.25
"""So many times the mean a pod must have before clients of it are disturbed, as chance alone gives it less."""


@dataclass(frozen=True, slots=True)
class Balance:
    pods: frozenset[str]
    most: int
    """Clients that each of them keeps."""
    seen: float
    """When the interval began that showed it, seconds since 1970."""
    due: bool = True
    """Nobody has been let go for it yet."""


def balance(
    parts: Mapping[str, Part], instances: int, full: float, core: float, slots: int, seen: float
) -> Balance | None:
    """What would make the load of so many instances even, None where nothing is full or the load is even.

    `parts` has those that are there already; `full` is the share from which on a pod's thread, of `core` cores, or its
    `slots` count as full.
    """
    mean = sum(part.clients for part in parts.values()) / instances
    crowded = frozenset(
        name
        for name, part in parts.items()
        if part.clients > UNEVEN * mean and max(part.processor / core, part.clients / slots) >= full
    )
    return Balance(crowded, math.ceil(mean), seen) if crowded else None
