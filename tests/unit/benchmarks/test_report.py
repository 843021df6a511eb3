"""How a figure is printed, and what is a pass and what a miss."""

import pytest

from benchmarks import sample
from benchmarks.report import Report
from benchmarks.report import verdict as judged
from benchmarks.stage import series
from demo.agentjob import Line


@pytest.mark.parametrize(
    ("value", "bound", "verdict"),
    [
        (5.0, "<5", "MISS"),
        (4.99, "<5", "PASS"),
        (0.3, "<=0.3", "PASS"),
        (0.31, "<=0.3", "MISS"),
        (25.0, ">=25", "PASS"),
        (24.9, ">=25", "MISS"),
        (1.0, "", "-"),
    ],
)
def test_a_verdict_follows_from_the_bound(value: float, bound: str, verdict: str) -> None:
    assert judged(value, bound) == verdict


def test_a_figure_is_told_at_once_and_again_in_the_table() -> None:
    told: list[str] = []
    report = Report(told.append)
    report.note("saver.put.p50", sample.median([1.0, 2.0, 3.0]), "ms", "<=1.5")
    assert told[0].startswith("FIGURE saver.put.p50 2 ms bound <=1.5 MISS n 3 middle-half 1..3 load ")
    headings, _, row = report.table().splitlines()
    assert [cell.strip() for cell in headings.split("|")[1:4]] == ["figure", "value", "unit"]
    assert [cell.strip() for cell in row.split("|")[1:6]] == ["saver.put.p50", "2", "ms", "<=1.5", "MISS"]
    assert len(headings) == len(row)


def test_samples_of_an_agent_are_put_together_by_series() -> None:
    lines: list[Line] = [
        {"event": "samples", "series": "a", "values": [1.0]},
        {"event": "progress"},
        {"event": "samples", "series": "b", "values": [2.0]},
        {"event": "samples", "series": "a", "values": [3.0, 4.0]},
    ]
    assert series(lines) == {"a": [1.0, 3.0, 4.0], "b": [2.0]}
