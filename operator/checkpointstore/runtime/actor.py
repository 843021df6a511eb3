"""The only loop: one actor a store, woken by events, that looks, plans, acts and tells until the store is gone."""

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from .. import reconcile
from ..adapters.kube import Kube
from ..api import store as api
from ..kernel.action import Rebalance, Ref
from ..kernel.env import Platform
from ..kernel.errors import Refused, StoreError, Terminating, Unavailable
from ..kernel.manifest import merge_patch
from ..kernel.naming import FINALIZER
from ..kernel.news import news
from . import metrics
from .autoscaler import Autoscaler
from .execute import emit, execute, mark
from .gauge import Gauge
from .keyring import Keyring
from .limit import Limit
from .log import PASS, STORE
from .memory import SECONDS, Memory
from .monitor import Monitor
from .observe import given_versions, instance_addresses, node_addresses, observe
from .sentinel import Sentinel

RESYNC = 300.0
SETTLE = 0.1
# So many passes in a row may act before they come at another pace.
PATIENCE = 60
RARELY = 30
BACKOFF = (0.5, 30.0)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Actors:
    """The actors of every store this operator serves, by namespace and name."""

    def __init__(self, kube: Kube, platform: Platform) -> None:
        self._kube = kube
        self._platform = platform
        self._known: set[Key] = set()
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._wakes: dict[Key, asyncio.Event] = {}
        self._memories: dict[Key, Memory] = {}
        self._leading = False
        self._turn: Key | None = None
        self._waiting: set[Key] = set()
        self._busy: dict[Key, int] = {}
        self._limits: dict[Key, Limit] = {}
        self.sentinel = Sentinel(lambda store: self.nudge(Key(*store.split("/"))))
        self.gauge = Gauge(lambda store: self.nudge(Key(*store.split("/"))))
        self.keyring = Keyring(kube, lambda store: self.nudge(Key(*store.split("/"))))
        self.autoscaler = Autoscaler(kube, lambda store: self.nudge(Key(*store.split("/"))))
        self.monitor = Monitor(kube, lambda store: self.nudge(Key(*store.split("/"))))
        self.last_pass = time.monotonic()

    @property
    def idle(self) -> bool:
        return not self._tasks

    def wake(self, key: Key) -> None:
        """Something about the store may have changed: start its actor if this pod leads, or let it look again."""
        self._known.add(key)
        if not self._leading:
            return
        if key in self._memories:
            # Whoever touches a store wants it to be looked at.
            self._memories[key].forget()
        if key not in self._tasks or self._tasks[key].done():
            self._wakes[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._live(key, self._wakes[key]), name=str(key))
        self._wakes[key].set()

    def nudge(self, key: Key, kind: str = "") -> None:
        """A child changed, of that kind if it is an object: only a store that has an actor cares."""
        if key in self._wakes:
            if kind and key in self._memories:
                self._memories[key].changed(kind)
            self._wakes[key].set()

    def start(self) -> None:
        """This pod leads: every store that is known gets its actor."""
        self._leading = True
        self.last_pass = time.monotonic()
        for key in tuple(self._known):
            self.wake(key)

    async def stop(self) -> None:
        self._leading = False
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        self._wakes.clear()
        self._memories.clear()
        self._waiting.clear()
        self._turn = None
        self.keyring.clear()
        self.autoscaler.clear()
        self.monitor.clear()
        # Another pod leads and tells: what this one saw last would stand beside it for ever.
        metrics.STORES.forget_all()

    async def _live(self, key: Key, woken: asyncio.Event) -> None:
        STORE.set(str(key))
        suspects: frozenset[Ref] = frozenset()
        pause, failures, number = 0.0, 0, 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await woken.wait()
            await asyncio.sleep(min(SETTLE, pause))
            woken.clear()
            number += 1
            PASS.set(str(number))
            try:
                result = await self._pass(key, suspects)
                failures = 0
            except Exception as error:  # noqa: BLE001 - a fault in one pass must not end the store's only actor
                failures += 1
                pause = _backoff(failures)
                _report(error, pause)
                continue
            finally:
                self.last_pass = time.monotonic()
            if result is None:
                if not woken.is_set():
                    self._forget(key)
                    return
                # Woken while it was told that the store is gone: there may be a new one of that name.
                pause = 0.0
                continue
            suspects, again = result
            resync = RESYNC * random.uniform(0.8, 1.2)
            pause = min(again.total_seconds(), resync) if again is not None else resync

    def _forget(self, key: Key) -> None:
        del self._tasks[key], self._wakes[key]
        self._known.discard(key)
        self._busy.pop(key, None)
        self._limits.pop(key, None)
        self._memories.pop(key, None)
        self._take_turns(key, release=False)
        self.sentinel.watch(str(key), ())
        self.gauge.watch(str(key), ())
        self.keyring.watch(str(key), {})
        self.autoscaler.watch(str(key), None)
        self.monitor.watch(str(key), None)
        metrics.STORES.forget(key.namespace, key.name)

    async def _pass(self, key: Key, suspects: frozenset[Ref]) -> tuple[frozenset[Ref], dt.timedelta | None] | None:
        """One look, one plan, one report; None when the store is gone."""
        with metrics.PASSES.time():
            body = await self._kube.get("CheckpointStore", key.namespace, key.name)
            if body is None:
                return None
            try:
                if "deletionTimestamp" in body["metadata"]:
                    return await self._part(body)
                return await self._converge(api.parse(body), body, suspects)
            except Refused as error:
                metrics.ERRORS.labels(error.reason).inc()
                await self._tell(body, reconcile.rejected(error.reason, error.message, body.get("status") or {}))
                return suspects, dt.timedelta(seconds=RARELY)

    async def _part(self, body: Mapping[str, Any]) -> tuple[frozenset[Ref], dt.timedelta | None] | None:
        """A deleted store: None when it waits for nothing of ours."""
        meta = body["metadata"]
        if FINALIZER not in meta.get("finalizers", ()):
            return None
        try:
            store = api.parse(body)
        except Refused:
            # Nobody can tell what it wanted, and it must not stay for that.
            await mark(self._kube, body, FINALIZER, present=False)
            return None
        observed = await observe(self._kube, store, (), self.sentinel.gone)
        deleted, now = dt.datetime.fromisoformat(meta["deletionTimestamp"]), dt.datetime.now(dt.UTC)
        plan = reconcile.farewell(store, observed, self._platform, deleted, now)
        try:
            await execute(self._kube, store, plan.actions)
        except Terminating:
            # No Job can be made there any more, and a namespace that is held up for it would never end.
            _log.warning("what was to go with the store is left in the object store: its namespace is being deleted")
            await mark(self._kube, body, FINALIZER, present=False)
        return frozenset(), plan.again

    async def _converge(
        self, store: api.Store, body: Mapping[str, Any], suspects: frozenset[Ref]
    ) -> tuple[frozenset[Ref], dt.timedelta | None]:
        """Raises Refused when the store cannot even be looked at."""
        now = dt.datetime.now(dt.UTC)
        key = Key(store.namespace, store.name)
        memory = self._memory(key, store.uid)
        observed = await observe(self._kube, store, suspects, self.sentinel.gone, memory)
        self.sentinel.watch(str(key), node_addresses(observed))
        self.gauge.watch(str(key), instance_addresses(observed), archives=store.spec.backup is not None)
        self.keyring.watch(str(key), given_versions(store, observed))
        observed = replace(
            observed,
            turn=self._turn in (None, key),
            scale=self.autoscaler.scale(str(key)),
            findings=self.monitor.findings(str(key)),
        )
        plan = reconcile.plan(store, observed, self._platform, now)
        self.autoscaler.watch(str(key), plan.watch)
        self.monitor.watch(str(key), plan.monitors)
        # Its last new instance has to serve before the next store loses its first.
        self._take_turns(key, plan.release or (self._turn == key and not plan.settled))
        limit = self._limits.setdefault(key, Limit())
        plan = reconcile.contested(plan, limit.reached(plan.actions, asyncio.get_running_loop().time()))
        if not store.status:
            # Ready=False with observedGeneration stands before any work, or kstatus takes the store for done.
            body = await self._tell(body, plan) or body
            # What is written to the store now is written to what it has become.
            store = replace(store, body=body)
        taken: frozenset[Ref] = frozenset()
        acts = bool(plan.actions)
        try:
            if acts:
                _log.info("acting", extra={"actions": [type(action).__name__ for action in plan.actions]})
                taken = await execute(self._kube, store, plan.actions)
        except Refused as error:
            metrics.ERRORS.labels(error.reason).inc()
            plan = reconcile.refused(plan, error.reason, error.message)
        finally:
            # No watch tells when what stands in the way is gone.
            if acts or observed.foreign:
                memory.forget()
            if observed.scale and any(isinstance(action, Rebalance) for action in plan.actions):
                self.autoscaler.rebalanced(str(key), observed.scale.seen)
        await self._tell(body, plan)
        # Nobody tells us of a Secret's change, so what was done is looked at, though not for ever at that pace.
        busy = self._busy[key] = self._busy.get(key, 0) + 1 if plan.actions else 0
        soon = dt.timedelta(seconds=1 if busy < PATIENCE else RARELY) if plan.actions or taken else plan.again
        return (taken or observed.foreign), soon

    def _memory(self, key: Key, uid: str) -> Memory:
        """What the store's last looks have read; that of an earlier store of its name says nothing of this one."""
        known = self._memories.get(key)
        if known is None or known.uid != uid:
            known = self._memories[key] = Memory(self._kube, uid)
        asyncio.get_running_loop().call_later(SECONDS, known.forget)
        return known

    def _take_turns(self, key: Key, release: bool) -> None:
        """One store after another rolls a new release out; a store that is stuck with it keeps the others safe."""
        if release:
            self._waiting.add(key)
            self._turn = self._turn or key
            return
        self._waiting.discard(key)
        if self._turn == key:
            self._turn = None
            for other in self._waiting:
                self.nudge(other)

    async def _tell(self, body: Mapping[str, Any], plan: reconcile.Plan) -> Mapping[str, Any] | None:
        """At most one status patch, and an event for each piece of news."""
        previous = body.get("status") or {}
        generation = int(body["metadata"].get("generation", 0))
        status = reconcile.status(previous, generation, plan, dt.datetime.now(dt.UTC))
        meta = body["metadata"]
        metrics.STORES.tell(meta["namespace"], meta["name"], status)
        if status == previous:
            return None
        change = {"status": merge_patch(previous, status)}
        fresh = await self._kube.merge("CheckpointStore", meta["namespace"], meta["name"], change, "status")
        for item in news(previous, status):
            await emit(self._kube, body, item.type, item.reason, item.message)
        return fresh


def _backoff(failures: int) -> float:
    first, most = BACKOFF
    return min(most, first * 2.0 ** min(failures - 1, 10)) * random.uniform(0.8, 1.2)


def _report(error: Exception, pause: float) -> None:
    """Log an error of a pass; what we did not foresee comes with its traceback."""
    reason = error.reason if isinstance(error, Refused) else type(error).__name__
    metrics.ERRORS.labels(reason).inc()
    known = isinstance(error, StoreError)
    level = logging.WARNING if isinstance(error, Unavailable) else logging.ERROR
    _log.log(
        level,
        "pass failed: %s",
        error,
        exc_info=None if known else error,
        extra={"retry_seconds": round(pause, 1)},
    )
