"""What a store's last look has read, for the next one: most follow each other closely, and little has changed."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..adapters.kube import Kube
from ..kernel.action import Manifest

T = TypeVar("T")

SECONDS = 20.0
"""How long it may be used: for what no watch tells of, or a watch that was broken has missed."""


class Memory:
    """Reads like the API server, from what is remembered where there is anything."""

    def __init__(self, kube: Kube, uid: str) -> None:
        self.uid = uid
        self._kube = kube
        self._known: dict[tuple[str, str], Any] = {}
        self._changes: Counter[str] = Counter()
        self._times = 0

    def changed(self, kind: str) -> None:
        """A watch tells of an object of that kind."""
        self._changes[kind] += 1
        self._known = {key: value for key, value in self._known.items() if key[0] != kind}

    def forget(self) -> None:
        """Everything may be otherwise."""
        self._times += 1
        self._known.clear()

    async def all(self, kind: str, namespace: str, selector: str) -> list[Manifest]:
        """As Kube.all; always asked with the same namespace and selector."""
        return await self._kept((kind, ""), lambda: self._kube.all(kind, namespace, selector))

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """As Kube.get; always asked with the same namespace."""
        return await self._kept((kind, name), lambda: self._kube.get(kind, namespace, name))

    async def _kept(self, key: tuple[str, str], ask: Callable[[], Awaitable[T]]) -> T:
        if key in self._known:
            known: T = self._known[key]
            return known
        before = self._times, self._changes[key[0]]
        value = await ask()
        # What changed while it was asked for may not be in the answer.
        if (self._times, self._changes[key[0]]) == before:
            self._known[key] = value
        return value
