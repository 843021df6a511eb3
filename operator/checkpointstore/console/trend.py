"""The last hour of a store as Prometheus knows it: four questions, each asked for anew after some seconds."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from ..adapters import prometheus
from ..adapters.prometheus import Access
from ..features.pooler import load
from ..kernel.errors import StoreError
from ..kernel.values import bytes_text
from .recent import Recent
from .review import Key

KEPT_SECONDS, STORES = 15, 500
SPAN = "1h:1m"
PATIENCE = 1.0
"""Seconds that a page waits for Prometheus; what comes later is on the next one."""
_POOLERS = 'namespace="{0}",pod=~"{1}-pooler-[a-z0-9]+-[a-z0-9]+",database!="pgbouncer"'
_INSTANCES = 'namespace="{0}",pod=~"{1}-[0-9]+"'
_WAITED = f"sum(rate({load.WAITED}{{{{{_POOLERS}}}}}[5m]))"
_TRANSACTIONS = f"sum(rate({load.TRANSACTIONS}{{{{{_POOLERS}}}}}[5m]))"


def _milliseconds(value: float) -> str:
    return f"{value * 1000:.2f} ms" if value < 0.01 else f"{value * 1000:.0f} ms"


def _plain(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


@dataclass(frozen=True, slots=True)
class Question:
    title: str
    expression: str
    """With {0} for the namespace and {1} for the store."""
    spell: Callable[[float], str]


QUESTIONS = (
    Question("Mean wait for a server connection", f"{_WAITED} / {_TRANSACTIONS}", _milliseconds),
    Question("Transactions a second", _TRANSACTIONS, _plain),
    Question("Server connections at work", f"sum({load.BUSY}{{{{{_POOLERS}}}}})", _plain),
    Question(
        "Checkpoint tables and indexes",
        f"sum(max by (relname, part) (checkpointstore_table_bytes{{{{{_INSTANCES}}}}}))",
        bytes_text,
    ),
)


@dataclass(frozen=True, slots=True)
class Trend:
    """One number over the last hour; no points where Prometheus has none."""

    title: str
    points: tuple[tuple[float, float], ...]
    """Time in seconds and value, the newest last."""
    spell: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Trends:
    """What there is to draw, or in one sentence why there is nothing."""

    shown: tuple[Trend, ...] = ()
    missing: str = ""


class Prometheus:
    """Asks the Prometheus that the chart names; without one it only says so."""

    def __init__(self, url: str) -> None:
        self._access = Access(url) if url else None
        self._kept: Recent[Trends] = Recent(KEPT_SECONDS, STORES)

    async def trends(self, store: Key) -> Trends:
        """Never raises, and never takes longer than PATIENCE."""
        access = self._access
        if access is None:
            return Trends(missing="The operator is told of no Prometheus (prometheus.url in the chart).")
        task = self._kept.begin(store, lambda: _asked(access, store))
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        return task.result() if done else Trends(missing="Prometheus has not answered yet.")


async def _asked(access: Access, store: Key) -> Trends:
    try:
        found = await asyncio.gather(*(_ask(access, question, store) for question in QUESTIONS))
    except StoreError:
        # Its address is nobody's business who may only see a store.
        return Trends(missing="Prometheus does not answer as it should; the console asks again.")
    return Trends(tuple(found))


async def _ask(access: Access, question: Question, store: Key) -> Trend:
    series = await prometheus.samples(access, f"({question.expression.format(*store)})[{SPAN}]")
    points = series[0].points if series else ()
    return Trend(question.title, tuple(point for point in points if math.isfinite(point[1])), question.spell)
