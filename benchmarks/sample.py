"""Statistics of measured values: quantiles, spread, and two things compared pair by pair."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One number that stands for many: how many there were, and between which two the middle half lies."""

    value: float
    n: int
    low: float
    high: float

    def spread(self) -> str:
        """The middle half, as text."""
        return f"{self.low:.3g}..{self.high:.3g}" if self.n > 1 else "-"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def at(values: Sequence[float], share: float) -> Sample:
    """A quantile with the middle half of all values."""
    return Sample(quantile(values, share), len(values), quantile(values, 0.25), quantile(values, 0.75))


def median(values: Sequence[float]) -> Sample:
    """The median with the middle half."""
    return Sample(statistics.median(values), len(values), quantile(values, 0.25), quantile(values, 0.75))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Between which two values the median lies with 95 % confidence, whatever they are distributed like.

    Order statistics: how many of n values are below the median is binomial with 1/2.
    """
    ordered, n = sorted(values), len(values)
    below, rank = 0.0, 0
    while rank < n // 2 and below + math.comb(n, rank) / 2**n <= 0.025:
        below += math.comb(n, rank) / 2**n
        rank += 1
    return ordered[max(0, rank - 1)], ordered[n - max(1, rank)]


def one(value: float) -> Sample:
    """A number that was counted once."""
    return Sample(value, 1, value, value)


def difference(first: Sequence[float], second: Sequence[float]) -> Sample:
    """The median of first minus second, pair by pair: what drifts during the measurement falls out."""
    return median([a - b for a, b in zip(first, second, strict=True)])


def ratio(first: Sequence[float], second: Sequence[float]) -> Sample:
    """The median of first divided by second, pair by pair."""
    return median([a / b for a, b in zip(first, second, strict=True)])
