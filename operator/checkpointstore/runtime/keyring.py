"""Notices Secrets of people's that change: a watch on Secrets would be the right to read all of them.

It asks for each by name, a few times a minute, and wakes a store that has last seen another version of one.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

from ..adapters.kube import Kube
from ..kernel.errors import StoreError
from .rounds import rounds

PERIOD = 20.0


class Keyring:
    def __init__(self, kube: Kube, changed: Callable[[str], None]) -> None:
        self._kube = kube
        self._changed = changed
        self._watched: dict[str, Mapping[str, str]] = {}

    def watch(self, who: str, seen: Mapping[str, str]) -> None:
        """From now on `who`, NAMESPACE/NAME, uses these Secrets of its namespace, which it has seen at these
        resourceVersions, "" where there was none. No Secrets: it is no longer interested."""
        if seen:
            self._watched[who] = seen
        else:
            self._watched.pop(who, None)

    def clear(self) -> None:
        self._watched.clear()

    async def keep(self) -> None:
        await rounds(self._watched, self._look, PERIOD)

    async def _look(self, who: str, seen: Mapping[str, str]) -> None:
        namespace = who.split("/")[0]
        # An API server that is away says nothing of Secrets.
        with suppress(StoreError):
            for name, version in seen.items():
                secret = await self._kube.get("Secret", namespace, name)
                if version != (secret["metadata"]["resourceVersion"] if secret else ""):
                    self._changed(who)
                    return
