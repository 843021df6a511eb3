"""A store that is really served: actors woken by what the watches would tell, in a world whose time is the loop's."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from checkpointstore.adapters.kube import PATHS
from checkpointstore.kernel.naming import MANAGED_BY, MANAGED_BY_LABEL, STORE_LABEL
from checkpointstore.runtime import handlers
from checkpointstore.runtime.actor import Actors, Key
from checkpointstore.runtime.echo import Echoes
from tests.contract import quick
from tests.contract.apiserver import START
from tests.contract.twin import Twin
from tests.contract.world import NAMESPACE, PLATFORM, World

WATCHED = frozenset(
    kind
    for kind, (group, plural) in PATHS.items()
    if (group.removeprefix("apis/").removeprefix("api/"), plural)
    in {(f"{group}/{version}".strip("/"), plural) for group, version, plural in handlers.CHILDREN}
)
LATENCY = 0.05


class Served:
    """One operator process beside the nature of its cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kube = Twin(world.server)
        self.actors = Actors(self.kube, PLATFORM)
        self._astir = True
        self._echoes = Echoes()
        world.server.watchers.append(self._event)
        self._loop = asyncio.get_running_loop()
        self._nature = asyncio.create_task(self._turn())
        self.actors.start()

    async def until(self, seen: Callable[[], bool], seconds: float) -> float:
        """How long it took until it was seen; fails when that is more than `seconds`."""
        start = self._loop.time()
        while not seen():
            assert self._loop.time() - start < seconds, f"not seen within {seconds} s: {self.world.status}"
            await asyncio.sleep(0.1)
        return self._loop.time() - start

    async def ready(self, seconds: float = 30.0) -> float:
        return await self.until(lambda: self.world.status.get("phase") == "Ready", seconds)

    async def stop(self) -> None:
        self.world.server.watchers.remove(self._event)
        self._nature.cancel()
        await self.actors.stop()

    async def _turn(self) -> None:
        """A step a second, as long as steps change something."""
        while True:
            await asyncio.sleep(1.0)
            self.world.server.now = START + timedelta(seconds=self._loop.time())
            if self._astir:
                self._astir = False
                self.world.tick()

    def _event(self, item: dict[str, Any]) -> None:
        self._astir = True
        meta = item["metadata"]
        labels = meta.get("labels", {})
        if item["kind"] == "CheckpointStore":
            self._loop.call_later(LATENCY, self.actors.wake, Key(meta["namespace"], meta["name"]))
        elif item["kind"] == "Pod" and not self._echoes.news("MODIFIED", item):
            return
        elif item["kind"] in WATCHED and labels.get(MANAGED_BY_LABEL) == MANAGED_BY:
            key = Key(NAMESPACE, labels.get(STORE_LABEL, ""))
            self._loop.call_later(LATENCY, self.actors.nudge, key, item["kind"])


def served(story: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    """Runs a story of one that serves an empty cluster."""

    async def main() -> None:
        with World() as world:
            served = Served(world)
            await story(served)
            await served.stop()

    quick.run(main())
