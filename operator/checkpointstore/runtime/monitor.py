"""Asks Prometheus how every store is, and wakes one when there is something else to tell of it.

What it found is a fact for the store's next pass. What a restart would forget is in the status: the thresholds that
were exceeded.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..adapters import prometheus
from ..adapters.kube import Kube
from ..adapters.prometheus import Access
from ..features.monitoring import question
from ..features.monitoring.advice import Day
from ..features.monitoring.finding import Told, Watch, find
from ..kernel.errors import StoreError
from ..kernel.observed import Findings
from ..kernel.prometheus import Gap
from .access import Accesses, gap
from .log import STORE
from .rounds import rounds

PERIOD = 30.0
SOON, RARELY = 60.0, 600.0
"""Seconds from one look at the last day to the next: a status tells of it no more often."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Long:
    """What changes slowly, and when it was asked."""

    day: Day
    days: float | None
    at: float


class Monitor:
    """What has been found out about each store."""

    def __init__(self, kube: Kube, changed: Callable[[str], None]) -> None:
        self._accesses = Accesses(kube)
        self._changed = changed
        self._watched: dict[str, Watch] = {}
        self._found: dict[str, Findings] = {}
        self._long: dict[str, _Long] = {}

    def watch(self, who: str, order: Watch | None) -> None:
        """From now on look after `who`, or not any more."""
        if order is not None:
            self._watched[who] = order
            return
        self._accesses.forget(who)
        for known in (self._watched, self._found, self._long):
            known.pop(who, None)

    def clear(self) -> None:
        """Look after nothing any more."""
        for who in tuple(self._watched):
            self.watch(who, None)

    def findings(self, who: str) -> Findings | None:
        """None before the first look."""
        return self._found.get(who)

    async def keep(self) -> None:
        await rounds(self._watched, self._look, PERIOD)

    async def _look(self, who: str, order: Watch) -> None:
        STORE.set(who)
        told: Told | Gap
        try:
            told = await self._told(who, order)
        except StoreError as error:
            told = gap(error)
        except Exception:  # noqa: BLE001 - a fault in one look must not end the looks at every store
            _log.exception("cannot tell how the store is")
            told = Gap("PrometheusRefuses", "What Prometheus says cannot be read; the operator's log has more")
        if self._watched.get(who) != order:
            return
        before = self._found.get(who)
        after = self._found[who] = find(order, told, before, time.time())
        if before != after:
            self._changed(who)

    async def _told(self, who: str, order: Watch) -> Told:
        """Raises StoreError when Prometheus cannot be asked."""
        access = await self._accesses.get(who, order.whose.namespace, order.prometheus)
        series = {}
        for name, query in order.series().items():
            found = await prometheus.samples(access, query)
            series[name] = found[0].points if len(found) == 1 else ()
        known = self._long.get(who)
        # A new store has nothing to tell at first, and a scrape may be missed.
        if known is None or time.monotonic() - known.at > (
            SOON if None in (known.day.read_share, known.day.database) else RARELY
        ):
            known = self._long[who] = await _long(access, order.whose)
        return Told(series, known.days, known.day)


async def _long(access: Access, whose: question.Whose) -> _Long:
    day = Day(
        database=await prometheus.value(access, question.database(whose)),
        read_share=await prometheus.value(access, question.read_share(whose)),
        read_seconds=await prometheus.value(access, question.read_seconds(whose)),
        connections=await prometheus.value(access, question.connections(whose)),
    )
    return _Long(day, await prometheus.value(access, question.days_left(whose)), time.monotonic())
