"""What looks have read is read once, until a watch tells of a change, something was done, or it is old."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from checkpointstore.adapters.kube import Kube
from checkpointstore.kernel.action import Manifest
from checkpointstore.runtime.memory import SECONDS, Memory
from tests.contract.twin import Twin
from tests.contract.world import NAMESPACE, World

from .served import Served, served


class Asked(Twin):
    """Counts what it is asked for, and does something else meanwhile."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[str] = []

    async def all(self, kind: str, namespace: str | None, selector: str = "") -> list[Manifest]:
        self.asked.append(kind)
        found = await super().all(kind, namespace, selector)
        self.meanwhile()
        return found

    async def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        self.asked.append(f"{kind}/{name}")
        return await super().get(kind, namespace, name)


def asked(story: Callable[[Memory, Asked], Coroutine[Any, Any, None]]) -> list[str]:
    with World() as world:
        kube = Asked(world.make({}).server)
        asyncio.run(story(Memory(kube, "uid"), kube))
        return kube.asked


def test_each_is_read_once() -> None:
    async def story(memory: Memory, kube: Kube) -> None:
        for _ in range(2):
            assert await memory.all("Service", NAMESPACE, "") == await memory.all("Service", NAMESPACE, "")
            assert await memory.get("Secret", NAMESPACE, "none") is None
            assert await memory.get("Secret", NAMESPACE, "other") is None

    assert asked(story) == ["Service", "Secret/none", "Secret/other"]


def test_what_has_changed_is_read_again_and_nothing_else() -> None:
    async def story(memory: Memory, kube: Kube) -> None:
        for _ in range(2):
            await memory.all("Service", NAMESPACE, "")
            await memory.all("Job", NAMESPACE, "")
            memory.changed("Job")

    assert asked(story) == ["Service", "Job", "Job"]


def test_what_changes_while_it_is_read_is_read_again() -> None:
    async def story(memory: Memory, kube: Asked) -> None:
        for change in (lambda: memory.changed("Job"), memory.forget, lambda: None):
            kube.meanwhile = change
            await memory.all("Job", NAMESPACE, "")
        await memory.all("Job", NAMESPACE, "")

    assert asked(story) == ["Job", "Job", "Job"]


def test_passes_in_which_nothing_is_done_read_little() -> None:
    async def story(served: Served) -> None:
        served.world.make({})
        await served.ready()
        await asyncio.sleep(60)
        served.actors._kube = kube = Asked(served.world.server)
        served.actors._memories.clear()
        key = next(iter(served.actors._tasks))
        for _ in range(2):
            kube.asked.clear()
            served.actors.nudge(key)
            await asyncio.sleep(1)
        assert set(kube.asked) == {"CheckpointStore/agents", "Pod", "Endpoints", "CheckpointBackup"}
        unwatched = {"Role", "Secret/agents-app"}
        kube.asked.clear()
        served.actors.wake(key)
        await asyncio.sleep(1)
        assert unwatched < set(kube.asked), "somebody touched the store"
        kube.asked.clear()
        await asyncio.sleep(SECONDS + 1)
        served.actors.nudge(key)
        await asyncio.sleep(1)
        assert unwatched < set(kube.asked), "no watch tells of these"

    served(story)
