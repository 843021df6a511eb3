"""How fast a Job works that must not be felt: batches of a bounded time, and a rest after each in proportion to it."""

from dataclasses import dataclass, replace

TARGET = 0.1
"""Seconds that a batch should take."""
FEWEST, MOST = 10, 2000
FAR_BEHIND = 64 * 1024 * 1024
"""Bytes; a standby that is further behind is waited for."""
LEAST = 8
"""A run that is felt works in so many times less of the time at least."""
LOOK = 5.0
"""Seconds between two looks at what applications feel."""
WAIT = 1.0
WAITS = 60
"""So often a run waits for standbys; one that is behind for its own reasons, or by intent, stops no run."""


@dataclass(frozen=True, slots=True)
class Pace:
    share: float
    """The part of the time to work in."""
    size: int = 100
    """Rows of the next batch."""

    def after(self, took: float) -> "Pace":
        """What a batch teaches that took so many seconds: a busy server gets smaller ones."""
        if took > 2 * TARGET:
            return replace(self, size=max(FEWEST, self.size // 2))
        if took < TARGET / 2:
            return replace(self, size=min(MOST, self.size * 2))
        return self

    def minding(self, felt: bool, most: float) -> "Pace":
        """What applications teach: while they feel it, it works half as much, down to an eighth of the most."""
        share = max(most / LEAST, self.share / 2) if felt else min(most, self.share * 2)
        return replace(self, share=share)

    def rest(self, took: float) -> float:
        """Seconds to rest after it."""
        return took * (1 / self.share - 1)
