"""Whether a value has been beyond its threshold for long enough, or within it: neither by one reading alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

# A scrape or two may be missed, and the newest reading be a little old.
COVERED = 0.8
LATE = 120.0


class Side(Enum):
    """Where readings must not be."""

    ABOVE = 1
    BELOW = 2


@dataclass(frozen=True, slots=True)
class Threshold:
    name: str
    """As in the spec."""
    limit: float
    side: Side

    def exceeded(self, value: float) -> bool:
        return value > self.limit if self.side is Side.ABOVE else value < self.limit


def covered(points: Sequence[tuple[float, float]], seconds: float, step: float, now: float) -> bool:
    """Whether readings (seconds since 1970, value), one each `step`, tell of all the time that counts."""
    return len(points) >= COVERED * seconds / step and now - points[-1][0] <= LATE + step


def judge(threshold: Threshold, values: Collection[float], before: bool) -> bool:
    """Exceeded where all readings are, kept where none is; in between it stays as it was `before`."""
    beyond = [threshold.exceeded(value) for value in values]
    return all(beyond) or (before and any(beyond))
