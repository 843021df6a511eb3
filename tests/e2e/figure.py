"""Measured figures: each is printed with its bound and verdict, and only correctness fails a test."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One number; `bound` starts with <= or >=, or is empty where nothing was promised."""

    name: str
    value: float
    unit: str
    bound: str = ""

    def verdict(self) -> str:
        """`met`, `missed`, or `-` without a bound."""
        if not self.bound:
            return "-"
        limit = float(self.bound[2:])
        met = self.value <= limit if self.bound.startswith("<=") else self.value >= limit
        return "met" if met else "missed"

    def __str__(self) -> str:
        return f"FIGURE {self.name} {self.value:g} {self.unit} {self.bound or '-'} {self.verdict()}"


@dataclass
class Figures:
    """Collects figures and prints each at once."""

    out: Callable[[str], None]
    noted: list[Figure] = field(default_factory=list)

    def note(self, name: str, value: float, unit: str, bound: str = "") -> Figure:
        """Note and print one figure."""
        figure = Figure(name, round(value, 3), unit, bound)
        self.noted.append(figure)
        self.out(str(figure))
        return figure

    @contextmanager
    def timed(self, name: str, bound: str = "") -> Iterator[None]:
        """Note how long something took."""
        began = time.monotonic()
        yield
        self.note(name, time.monotonic() - began, "s", bound)
