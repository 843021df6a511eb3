"""The monitor asks about every store by itself, is never held up by one, and tells a store only what is news."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from checkpointstore.adapters.prometheus import Access
from checkpointstore.features.monitoring.finding import Watch
from checkpointstore.kernel.errors import Refused, StoreError, Unavailable
from checkpointstore.kernel.prometheus import Series
from checkpointstore.runtime import monitor
from checkpointstore.runtime.monitor import Monitor
from tests.unit.core.test_monitoring import NOW, WATCH, steady

WHO = "shop/agents"


class Prometheus:
    """Says what it is told to say, or raises."""

    def __init__(self) -> None:
        self.level = 0.001
        self.error: Exception | None = None
        self.missing: str | None = None
        """A part of the questions that have no answer."""
        self.asked: list[str] = []

    async def samples(self, access: Access, query: str) -> tuple[Series, ...]:
        self.asked.append(query)
        if self.error:
            raise self.error
        return (Series("", {}, steady(400.0 if "node_filesystem" in query else self.level)),)

    async def value(self, access: Access, query: str) -> float | None:
        self.asked.append(query)
        return None if self.missing is not None and self.missing in query else 1.0


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> Prometheus:
    fake = Prometheus()
    monkeypatch.setattr(monitor, "prometheus", SimpleNamespace(samples=fake.samples, value=fake.value))
    monkeypatch.setattr(monitor, "time", SimpleNamespace(time=lambda: NOW, monotonic=lambda: fake_clock[0]))
    fake_clock[0] = 0.0
    return fake


fake_clock = [0.0]


def made() -> tuple[Monitor, list[str]]:
    told: list[str] = []
    kube: Any = None
    return Monitor(kube, told.append), told


def look(subject: Monitor, order: Watch = WATCH) -> None:
    subject.watch(WHO, order)
    asyncio.run(subject._look(WHO, order))


def test_a_first_look_and_a_change_are_news_and_nothing_else_is(prometheus: Prometheus) -> None:
    subject, told = made()
    assert subject.findings(WHO) is None
    look(subject)
    look(subject)
    assert told == [WHO]
    prometheus.level = 500.0
    look(subject)
    assert told == [WHO, WHO]
    found = subject.findings(WHO)
    assert found
    assert found.exceeded == {"writesPerSecond", "p99"}


@pytest.mark.parametrize("missing", ["", "pg_database_size_bytes", "blks_hit"])
def test_the_last_day_is_asked_for_rarely_once_there_is_one(prometheus: Prometheus, missing: str) -> None:
    """Of a new store nothing is told yet; of any a scrape may be missed."""
    subject, _ = made()
    prometheus.missing = missing
    look(subject)
    many = len(prometheus.asked)
    assert many == 3 + 5
    look(subject)
    assert len(prometheus.asked) == many + 3
    prometheus.missing = None
    fake_clock[0] = monitor.SOON + 1
    look(subject)
    look(subject)
    assert len(prometheus.asked) == 2 * many + 6
    fake_clock[0] += monitor.RARELY + 1
    look(subject)
    assert len(prometheus.asked) == 3 * many + 6


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("away"), "PrometheusUnreachable"),
        (Refused("PrometheusRefuses", "no"), "PrometheusRefuses"),
        (StoreError("odd"), "PrometheusUnreachable"),
        (KeyError("odd"), "PrometheusRefuses"),
    ],
)
def test_what_cannot_be_asked_is_told(prometheus: Prometheus, error: Any, reason: str) -> None:
    subject, told = made()
    prometheus.error = error
    look(subject)
    found = subject.findings(WHO)
    assert found
    assert found.reason == reason
    assert told == [WHO]


def test_who_is_not_watched_any_more_is_forgotten(prometheus: Prometheus) -> None:
    subject, told = made()
    look(subject)
    subject.clear()
    assert subject.findings(WHO) is None
    asyncio.run(subject._look(WHO, WATCH))
    assert (subject.findings(WHO), told) == (None, [WHO])


def test_a_slow_answer_about_one_store_keeps_no_other_waiting(
    prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, _ = made()
    looked: list[str] = []

    async def hang(who: str, order: Watch) -> None:
        looked.append(who)
        if who == "slow":
            await asyncio.Event().wait()

    monkeypatch.setattr(subject, "_look", hang)
    monkeypatch.setattr(monitor, "PERIOD", 0.001)
    subject.watch("slow", WATCH)
    subject.watch("quick", WATCH)

    async def some_rounds() -> None:
        task = asyncio.create_task(subject.keep())
        while looked.count("quick") < 3:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(asyncio.wait_for(some_rounds(), 10))
    assert looked.count("slow") == 1
