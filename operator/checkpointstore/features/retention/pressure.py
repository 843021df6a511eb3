"""Whether applications feel a run: what their statements take meanwhile, against what they usually take. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ...kernel.lognormal import p99

FEWEST = 50
"""Runs of a statement that tell anything."""
MUCH = 2.0
"""So many times longer than usual is felt."""


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
        """Seconds, about; None of too few."""
        return None if self.calls < FEWEST or self.seconds <= 0 else p99(self.calls, self.seconds, self.squares)


Times: TypeAlias = Mapping[str, Spent]
"""By statement."""


def between(before: Times, now: Times) -> Times:
    """What statements took between two looks."""
    return {name: now[name].since(before[name]) for name in before.keys() & now.keys()}


def felt(usual: Times, meanwhile: Times) -> bool:
    """Whether a statement takes much longer than it usually does."""
    known = ((usual[name].p99, meanwhile[name].p99) for name in usual.keys() & meanwhile.keys())
    return any(before and now and now > MUCH * before for before, now in known)
