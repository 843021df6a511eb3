"""Looks at the load of every pooler that follows it, and wakes a store when another size, or another limit, is due.

What it decided is a fact for the store's next pass, which alone changes anything. It asks Prometheus, never the API
server but for the Secrets that a spec names; it forgets nothing that a restart would make dangerous to forget: a new
operator goes on with the size in the status, and waits anew before it shrinks.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from ..adapters import prometheus
from ..adapters.kube import Kube
from ..features.pooler.decision import State, decide
from ..features.pooler.load import MISSING, Load, read, selector
from ..features.pooler.scaling import Watch
from ..kernel.errors import StoreError
from ..kernel.observed import Scale
from ..kernel.prometheus import Gap
from .access import Accesses, gap
from .log import STORE
from .rounds import rounds

PERIOD = 5.0
# What has a low priority gives way: it takes nothing from PostgreSQL. A part of all modes, as the rate of a series that
# is younger than the range is too low.
SERVER = (
    '1 - sum(rate(node_cpu_seconds_total{{mode=~"idle|nice",namespace="{namespace}",pod="{pod}"}}[2m]))'
    ' / sum(rate(node_cpu_seconds_total{{namespace="{namespace}",pod="{pod}"}}[2m]))'
)
_log = logging.getLogger(__name__)


class Autoscaler:
    """What has been decided about each pooler, by store."""

    def __init__(self, kube: Kube, changed: Callable[[str], None]) -> None:
        self._accesses = Accesses(kube)
        self._changed = changed
        self._watched: dict[str, Watch] = {}
        self._states: dict[str, State] = {}
        self._seen: dict[str, Watch] = {}
        """What each state was decided on."""

    def watch(self, who: str, order: Watch | None) -> None:
        """From now on look after the pooler of `who`, or after none of it any more."""
        if order is not None:
            self._watched[who] = order
            return
        self._accesses.forget(who)
        for known in (self._watched, self._states, self._seen):
            known.pop(who, None)

    def clear(self) -> None:
        """Look after nothing any more."""
        for who in tuple(self._watched):
            self.watch(who, None)

    def scale(self, who: str) -> Scale | None:
        """What was decided last; None before the first look."""
        state = self._states.get(who)
        if state is None:
            return None
        size, told, even = state.size, (state.why, state.reason, state.message), state.balance
        scale = Scale(size.instances, size.connections, state.changed, *told)
        return replace(scale, crowded=even.pods, most=even.most, seen=even.seen, due=even.due) if even else scale

    def rebalanced(self, who: str, seen: float) -> None:
        """Clients were asked to go, for what an interval showed: what came of it shows in another."""
        state = self._states.get(who)
        if state is not None:
            even = state.balance
            done = replace(even, due=False) if even and even.seen <= seen else even
            self._states[who] = replace(state, balance=done, balanced=time.time())

    async def keep(self) -> None:
        await rounds(self._watched, self._look, PERIOD)

    async def _look(self, who: str, order: Watch) -> None:
        STORE.set(who)
        state = self._states.get(who) or State(order.given, order.changed, order.why)
        if state.size != order.given:
            if order == self._seen.get(who) or not order.settled:
                # The store has not taken it up yet, or is at it.
                return
            # The spec, or the server's budget, allows something else.
            state = replace(state, size=order.given)
        try:
            load = await self._load(who, order)
        except Exception:  # noqa: BLE001 - a fault in one look must not end the looks at every store
            _log.exception("cannot tell the load")
            load = Gap("SamplesContradictory", "What Prometheus says cannot be read; the operator's log has more")
        if self._watched.get(who) != order:
            return
        after = decide(load, state, order.rules, time.time())
        before = self.scale(who)
        self._states[who], self._seen[who] = after, order
        if before != self.scale(who):
            told = {"size": after.size.text, "why": after.why, "limit": after.reason, "load": str(load)}
            _log.info("decided", extra=told)
            self._changed(who)

    async def _load(self, who: str, order: Watch) -> Load | Gap:
        pods = sorted(order.pods)
        if len(pods) < order.given.instances:
            return Gap(MISSING, f"{len(pods)} of {order.given.instances} pooler pods are ready")
        try:
            access = await self._accesses.get(who, order.namespace, order.server)
            found = await prometheus.samples(access, selector(order.namespace, pods))
            load = read(found, pods, time.time())
            if isinstance(load, Load) and order.primary:
                query = SERVER.format(namespace=order.namespace, pod=order.primary)
                load = replace(load, server=await prometheus.value(access, query))
        except StoreError as error:
            return gap(error)
        return load
