"""What the console asks of a real Prometheus, of the series that pods have and beside those of a neighbour."""

import asyncio
import time
from pathlib import Path

import pytest

from checkpointstore.console import trend
from checkpointstore.console.review import Key
from checkpointstore.console.trend import QUESTIONS, Prometheus, Trends

from .prometheus import Page, exporter, running

STORE = ("shop", "agents")
POOLERS = [{"namespace": "shop", "pod": f"agents-pooler-6d4-{end}"} for end in ("aaa", "bbb")]
INSTANCE = {"namespace": "shop", "pod": "agents-0"}
NEIGHBOURS = (
    {"namespace": "bank", "pod": "agents-pooler-6d4-ccc"},
    {"namespace": "shop", "pod": "agents-pooler-pooler-6d4-ddd"},
)
BYTES = {'relname="checkpoints",part="table"': 3e6, 'relname="checkpoints",part="indexes"': 1e6}


class Tables(Page):
    """What the exporter of an instance tells of growth."""

    def text(self) -> str:
        return "".join(f"checkpointstore_table_bytes{{{labels}}} {size}\n" for labels, size in BYTES.items())


def test_each_question_gives_one_line_of_this_store_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend, "SPAN", "1h:1s")
    monkeypatch.setattr(trend, "PATIENCE", 20)
    with (
        exporter(Page()) as page,
        exporter(Page(), growth=1000) as other,
        exporter(Page()) as more,
        exporter(Tables()) as tables,
    ):
        targets = {page: POOLERS[0], more: POOLERS[1], other: NEIGHBOURS[0], tables: INSTANCE}
        with running(tmp_path, targets) as url:
            found = asyncio.run(until_told(url, STORE, len(QUESTIONS)))
    assert [line.title for line in found.shown] == [question.title for question in QUESTIONS]
    last = {line.title: line.points[-1][1] for line in found.shown}
    assert last["Mean wait for a server connection"] == pytest.approx(1.0, rel=0.01)
    # Of five minutes only seconds have passed; the neighbour's thousand a second would be seen all the same.
    assert 0 < last["Transactions a second"] < 2
    # A scrape that came late leaves one of the two out.
    at_work = next(line for line in found.shown if line.title == "Server connections at work")
    assert max(value for _, value in at_work.points) == 2
    assert last["Checkpoint tables and indexes"] == 4e6
    for line in found.shown:
        assert line.points[-1][0] == pytest.approx(time.time(), abs=30)


async def until_told(url: str, store: Key, lines: int) -> Trends:
    async with asyncio.timeout(60):
        while True:
            found = await Prometheus(url).trends(store)
            if sum(len(line.points) > 3 for line in found.shown) >= lines:
                return found
            await asyncio.sleep(0.5)


def test_a_neighbours_longer_name_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend, "SPAN", "1h:1s")
    monkeypatch.setattr(trend, "PATIENCE", 20)
    with exporter(Page()) as page, running(tmp_path, {page: NEIGHBOURS[1]}) as url:
        asyncio.run(until_told(url, ("shop", "agents-pooler"), 3))
        found = asyncio.run(Prometheus(url).trends(STORE))
        assert [line.points for line in found.shown] == [()] * len(QUESTIONS)
