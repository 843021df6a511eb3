"""Figures as they are printed: a line at once for each, and a table at the end."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.sample import Sample

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
}
HEADINGS = ("figure", "value", "unit", "bound", "verdict", "n", "middle half", "load")


def verdict(value: float, bound: str) -> str:
    """PASS or MISS, or `-` where nothing is promised; a bound is a comparison and a number, such as `<=0.3`."""
    if not bound:
        return "-"
    sign = next(sign for sign in COMPARISONS if bound.startswith(sign))
    return "PASS" if COMPARISONS[sign](value, float(bound.removeprefix(sign))) else "MISS"


@dataclass(frozen=True)
class Figure:
    """One number with what it was measured from, and how busy the machine was."""

    name: str
    sample: Sample
    unit: str
    bound: str
    load: float

    def row(self) -> tuple[str, ...]:
        """The cells of its row in the table."""
        sample = self.sample
        value, mark = f"{sample.value:.4g}", verdict(sample.value, self.bound)
        return (
            self.name,
            value,
            self.unit,
            self.bound or "-",
            mark,
            str(sample.n),
            sample.spread(),
            f"{self.load:.1f}",
        )

    def __str__(self) -> str:
        name, value, unit, bound, mark, n, spread, load = self.row()
        return f"FIGURE {name} {value} {unit} bound {bound} {mark} n {n} middle-half {spread} load {load}"


@dataclass
class Report:
    """Collects figures and prints each when it is known."""

    out: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)

    def note(self, name: str, sample: Sample, unit: str, bound: str = "") -> None:
        """Note and print one figure."""
        figure = Figure(name, sample, unit, bound, os.getloadavg()[0])
        self.figures.append(figure)
        self.out(str(figure))

    def table(self) -> str:
        """All figures as a Markdown table."""
        return markdown(HEADINGS, [figure.row() for figure in self.figures])


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in a terminal too."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(headings), line(["-" * width for width in widths]), *map(line, rows)])
