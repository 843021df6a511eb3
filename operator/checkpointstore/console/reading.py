"""What the console reads with its own account: never a Secret, and nothing more than once in two seconds."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..kernel.action import Manifest
from ..kernel.naming import MANAGED_BY, MANAGED_BY_LABEL, STORE_LABEL
from .recent import Recent
from .review import Key

FRESH_SECONDS = 2
LISTS = 1000


class Cluster(Protocol):
    async def all(self, kind: str, namespace: str | None, selector: str = "") -> list[Manifest]: ...

    async def events(self, kind: str, namespace: str, name: str) -> list[Manifest]: ...

    async def review(self, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]: ...


class Reading:
    """Two hundred stores are one list, however many people look."""

    def __init__(self, kube: Cluster) -> None:
        self._kube = kube
        self._stores: Recent[Mapping[Key, Manifest]] = Recent(FRESH_SECONDS, 1)
        self._lists: Recent[list[Manifest]] = Recent(FRESH_SECONDS, LISTS)

    async def stores(self) -> Mapping[Key, Manifest]:
        """Every store of the cluster; who may see which is decided elsewhere."""
        return await self._stores.get((), self._all_stores)

    async def _all_stores(self) -> Mapping[Key, Manifest]:
        found = await self._kube.all("CheckpointStore", None)
        return {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in found}

    async def pods(self, store: Key) -> Sequence[Manifest]:
        """The store's pods, those of its Jobs among them."""
        namespace, name = store
        ours = f"{MANAGED_BY_LABEL}={MANAGED_BY},{STORE_LABEL}={name}"
        return await self._lists.get(("pods", store), lambda: self._kube.all("Pod", namespace, ours))

    async def backups(self, store: Key) -> Sequence[Manifest]:
        """The store's backups, the newest first."""
        namespace, name = store
        found = await self._lists.get(("backups", namespace), lambda: self._kube.all("CheckpointBackup", namespace))
        ours = [item for item in found if (item.get("spec") or {}).get("store", {}).get("name") == name]
        return sorted(ours, key=lambda item: str(item["metadata"].get("creationTimestamp", "")), reverse=True)

    async def events(self, store: Key) -> Sequence[Manifest]:
        """What the operator said of the store lately, the newest first."""
        found = await self._lists.get(("events", store), lambda: self._kube.events("CheckpointStore", *store))
        return sorted(found, key=lambda item: str(item.get("lastTimestamp") or ""), reverse=True)
