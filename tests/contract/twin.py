"""The in-memory twin of `adapters.kube.Kube`: one operator's connection, which counts, fails and dies as told."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from checkpointstore.adapters.kube import PATHS, Kube
from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.errors import Refused, StoreError, Unavailable

from .apiserver import ApiServer

T = TypeVar("T")


class Killed(BaseException):
    """The operator's process is gone; nothing in it can catch that."""


class Twin(Kube):
    """`life` is how many more requests this operator lives to send; `faults` maps a request's number to its fate.

    A killed operator's last request is carried out, its answer lost; a request that fails is not carried out.
    """

    def __init__(
        self,
        server: ApiServer,
        life: int | None = None,
        faults: Mapping[int, StoreError] | None = None,
        removed: list[tuple[str, str]] | None = None,
    ) -> None:
        self.server = server
        self.removed = [] if removed is None else removed
        self.calls = {}
        self.sent = 0
        self.writes: Counter[str] = Counter()
        self._life = life
        self._faults = faults or {}

    async def close(self) -> None:
        self._life = 0

    async def serves(self, kind: str) -> bool:
        await self._begin("GET", kind)
        return kind in PATHS

    async def all(self, kind: str, namespace: str | None, selector: str = "") -> list[Manifest]:
        await self._begin("GET", kind)
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        return self._done(self.server.all(kind, namespace, wanted))

    async def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        await self._begin("GET", kind)
        return self._done(self.server.get(kind, namespace, name))

    async def apply(self, manifest: Manifest) -> Manifest:
        await self._begin("PATCH", manifest["kind"])
        return self._done(self.server.apply(manifest))

    async def create(self, manifest: Manifest) -> Manifest:
        await self._begin("POST", manifest["kind"])
        return self._done(self.server.create(manifest))

    async def replace(self, manifest: Manifest) -> Manifest:
        await self._begin("PUT", manifest["kind"])
        fresh = self.server.replace(manifest)
        if fresh is None:
            raise Unavailable(f"{manifest['kind']} {manifest['metadata']['name']} is gone")
        return self._done(fresh)

    async def merge(
        self, kind: str, namespace: str, name: str, patch: Mapping[str, Any], subresource: str = ""
    ) -> Manifest | None:
        await self._begin("PATCH", kind)
        return self._done(self.server.patch(kind, namespace, name, patch, subresource=subresource))

    async def delete(self, kind: str, namespace: str, name: str, orphan: bool = False) -> None:
        await self._begin("DELETE", kind)
        if not orphan:
            self.removed.append((kind, name))
        self._done(self.server.delete(kind, namespace, name, orphan=orphan))

    async def _begin(self, method: str, kind: str) -> None:
        """Count the request, let others go first as a network would, and fail or die where that is planned."""
        if kind not in PATHS:
            raise Refused("Rejected", f"no kind {kind}")
        await asyncio.sleep(0)
        if self._life is not None:
            if self._life <= 0:
                raise Killed
            self._life -= 1
        self.sent += 1
        if fault := self._faults.get(self.sent):
            raise fault
        key = (method, kind, "200")
        self.calls[key] = self.calls.get(key, 0) + 1
        if method != "GET" and kind != "Lease":
            self.writes[f"{method} {kind}"] += 1

    def _done(self, answer: T) -> T:
        if self._life == 0:
            raise Killed
        return answer
