"""Notices volumes that fill, or have room again: nobody tells of it, and a store at rest is rarely looked at.

It asks the instances' pods and never the API server, and wakes a store when one of its volumes reaches another level.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping

from ..adapters import filesystem
from ..kernel.observed import Volume
from ..providers.patroni.config import DATA
from ..providers.patroni.fullness import Level, level

PERIOD = 10.0


class Gauge:
    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._watched: dict[str, frozenset[str]] = {}
        self._levels: dict[str, Level] = {}

    def watch(self, who: str, addresses: Collection[str]) -> None:
        """From now on `who` has instances at these addresses; none: it is no longer interested."""
        if addresses:
            self._watched[who] = frozenset(addresses)
        else:
            self._watched.pop(who, None)

    async def keep(self) -> None:
        while True:
            addresses = sorted({address for group in self._watched.values() for address in group})
            found = await asyncio.gather(*(filesystem.look(address, DATA) for address in addresses))
            self._judge(dict(zip(addresses, found, strict=True)))
            await asyncio.sleep(PERIOD)

    def _judge(self, found: Mapping[str, Volume | None]) -> None:
        """Who does not tell is taken to be as before."""
        before = {address: self._levels.get(address, Level.ROOMY) for address in found}
        self._levels = {address: level(volume) if volume else before[address] for address, volume in found.items()}
        news = {address for address in found if self._levels[address] is not before[address]}
        for who, group in self._watched.items():
            if group & news:
                self._changed(who)
