"""Who of several operator pods works: the holder of a Lease, which it renews, gives back at its end, and never shares.

Time is the pod's own monotonic clock, measured from when a renewal was seen, so that clocks may differ between nodes.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ..adapters.kube import Kube
from ..kernel.errors import StoreError

NAME = "checkpointstore-operator"
DURATION = 9.0
RENEW = 2.0
# The old holder stops this long before anybody else may start.
GIVE_UP = 6.0
_log = logging.getLogger(__name__)


class Lease:
    def __init__(self, kube: Kube, namespace: str, holder: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._holder = holder
        self._seen: tuple[str, float] = ("", 0.0)
        self._renewed = 0.0
        self.held = False
        self.answered = False
        """Whether the API server has ever told us who holds the lease."""

    async def keep(self, gained: Callable[[], None], lost: Callable[[], Awaitable[None]]) -> None:
        """Compete for ever; `gained` and `lost` are told of every change."""
        while True:
            started = time.monotonic()
            # A holder has less patience the older its last renewal is: it must have stopped before DURATION is over.
            deadline = self._renewed + GIVE_UP + RENEW if self.held else started + GIVE_UP
            try:
                async with asyncio.timeout(deadline - started):
                    held = await self._compete()
                self.answered = True
            except (StoreError, TimeoutError) as error:
                _log.warning("lease not renewed: %s", error)
                held = self.held and time.monotonic() - self._renewed < GIVE_UP
            if held and not self.held:
                _log.info("leading")
                self.held = True
                gained()
            elif self.held and not held:
                _log.warning("not leading any more")
                self.held = False
                await lost()
            await asyncio.sleep(max(0.0, started + RENEW - time.monotonic()))

    async def release(self) -> None:
        """Let another pod start at once; where the API server does not let us, the lease expires.

        As when all is uninstalled and our rights went first: kopf repeats after a minute what fails while it ends.
        """
        if not self.held:
            return
        self.held = False
        try:
            async with asyncio.timeout(RENEW):
                lease = await self._kube.get("Lease", self._namespace, NAME)
                if lease is not None and lease["spec"].get("holderIdentity") == self._holder:
                    await self._kube.replace({**lease, "spec": {**lease["spec"], "holderIdentity": ""}})
        except (StoreError, TimeoutError) as error:
            _log.warning("lease not released: %s", error)

    async def _compete(self) -> bool:
        """One try; whether we hold the lease after it. Raises StoreError when the API server does not let us know."""
        started = time.monotonic()
        lease = await self._kube.get("Lease", self._namespace, NAME)
        if lease is None:
            meta = {"name": NAME, "namespace": self._namespace}
            base = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
            await self._kube.create({**base, "spec": self._spec({})})
        elif lease["spec"].get("holderIdentity") in ("", None, self._holder) or self._expired(lease):
            await self._kube.replace({**lease, "spec": self._spec(lease["spec"])})
        else:
            return False
        self._renewed = started
        return True

    def _expired(self, lease: dict[str, Any]) -> bool:
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, time.monotonic())
        return time.monotonic() - self._seen[1] > DURATION

    def _spec(self, before: dict[str, Any]) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = before.get("holderIdentity") == self._holder
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": before.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions", 0)) + (0 if mine else 1),
        }
