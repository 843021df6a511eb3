"""Whether applications feel a run: what their statements take meanwhile, against what they usually take. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

FEWEST = 50
"""Runs of a statement that tell anything."""
MUCH = 2.0
"""So many times longer than usual is felt."""
_NORMAL_P99 = 2.3263
# Where spread is so wide, a log-normal distribution with that mean would have a smaller 99th percentile again.
_WIDEST = _NORMAL_P99**2


@dataclass(frozen=True, slots=True)
class Spent:
    """What all runs of one statement took that the server has counted."""

    calls: float
    seconds: float
    squares: float
    """Of seconds, summed up."""

    def since(self, before: "Spent") -> "Spent":
        return Spent(self.calls - before.calls, self.seconds - before.seconds, self.squares - before.squares)

    @property
    def p99(self) -> float | None:
        """Seconds, as log-normal durations with that mean and spread would have it; None of too few."""
        if self.calls < FEWEST or self.seconds <= 0:
            return None
        variance = min(_WIDEST, max(0.0, math.log(max(self.squares, 1e-12) * self.calls / self.seconds**2)))
        return self.seconds / self.calls * math.exp(_NORMAL_P99 * math.sqrt(variance) - variance / 2)


Times: TypeAlias = Mapping[str, Spent]
"""By statement."""


def between(before: Times, now: Times) -> Times:
    """What statements took between two looks."""
    return {name: now[name].since(before[name]) for name in before.keys() & now.keys()}


def felt(usual: Times, meanwhile: Times) -> bool:
    """Whether a statement takes much longer than it usually does."""
    known = ((usual[name].p99, meanwhile[name].p99) for name in usual.keys() & meanwhile.keys())
    return any(before and now and now > MUCH * before for before, now in known)
