"""Times calls and says every sample, so that the reader counts for itself."""

import collections
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from report import say

# A container runtime breaks a longer line of a log in two.
CHUNK = 500
T = TypeVar("T")


class Samples:
    """Milliseconds by series."""

    def __init__(self) -> None:
        self._series: dict[str, list[float]] = collections.defaultdict(list)

    @contextmanager
    def timed(self, series: str) -> Iterator[None]:
        """Time what happens inside."""
        began = time.perf_counter()
        yield
        self._series[series].append(round((time.perf_counter() - began) * 1000, 3))

    def forget(self) -> None:
        """Drop what was measured while caches were cold."""
        self._series.clear()

    def say(self) -> None:
        """Print every series."""
        for series, values in self._series.items():
            for begin in range(0, len(values), CHUNK):
                say("samples", series=series, values=values[begin : begin + CHUNK])


def turns(ways: Sequence[T], number: int) -> Sequence[T]:
    """The same ways in an order that changes each round, so that neither is always the first."""
    return ways if number % 2 else ways[::-1]
