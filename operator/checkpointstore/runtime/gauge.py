"""Notices volumes that fill and archiving that fails: nobody tells of it, and a store at rest is rarely looked at.

It asks the instances' pods and never the API server, and wakes a store when what it would tell is something else.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping

from ..adapters import archiver, filesystem
from ..features.backup import archiving
from ..kernel.observed import Archiver, Volume
from ..providers.patroni.fullness import Level, level
from ..providers.patroni.place import DATA

PERIOD = 10.0


class Gauge:
    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._watched: dict[str, frozenset[str]] = {}
        self._archiving: set[str] = set()
        self._known: dict[str, Hashable] = {}

    def watch(self, who: str, addresses: Collection[str], archives: bool = False) -> None:
        """From now on `who` has instances at these addresses, that archive or not; none: it is no longer interested."""
        self._archiving.discard(who)
        if addresses:
            self._watched[who] = frozenset(addresses)
            if archives:
                self._archiving.add(who)
        else:
            self._watched.pop(who, None)

    async def keep(self) -> None:
        while True:
            addresses = _all(self._watched.values())
            archivers = _all(self._watched[who] for who in self._archiving)
            volumes, ways = await asyncio.gather(
                asyncio.gather(*(filesystem.look(address, DATA) for address in addresses)),
                asyncio.gather(*(archiver.look(address) for address in archivers)),
            )
            self._judge(dict(zip(addresses, volumes, strict=True)), dict(zip(archivers, ways, strict=True)))
            await asyncio.sleep(PERIOD)

    def _judge(self, volumes: Mapping[str, Volume | None], archivers: Mapping[str, Archiver | None]) -> None:
        """Who does not tell is taken to be as before, and to begin with as it should be."""
        fill = {f"volume {address}": level(volume) for address, volume in volumes.items() if volume}
        ways = {f"archive {address}": archiving.level(found) for address, found in archivers.items() if found}
        now: dict[str, Hashable] = {**fill, **ways}
        news = {what.split()[1] for what, found in now.items() if self._known.get(what, WELL[what.split()[0]]) != found}
        self._known = {what: found for what, found in {**self._known, **now}.items() if what.split()[1] in volumes}
        for who, group in self._watched.items():
            if group & news:
                self._changed(who)


WELL: Mapping[str, Hashable] = {"volume": Level.ROOMY, "archive": archiving.level(Archiver())}


def _all(groups: Iterable[frozenset[str]]) -> list[str]:
    return sorted({address for group in groups for address in group})
