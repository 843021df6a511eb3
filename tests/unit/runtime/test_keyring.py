"""A Secret of somebody's that changes wakes the stores that use it, and no other."""

import asyncio
from collections.abc import Callable

import pytest

from checkpointstore.kernel.errors import Unavailable
from checkpointstore.runtime.keyring import PERIOD, Keyring
from tests.contract import quick
from tests.contract.twin import Twin
from tests.contract.world import NAMESPACE, World
from tests.golden.backup import BACKUP
from tests.golden.case import EXTERNAL

from .served import Served, served

GIVEN = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}


def woken(world: World, seen: dict[str, str], meanwhile: Callable[[], object]) -> list[str]:
    """Who was woken by what happened between two rounds."""
    told: list[str] = []

    async def main() -> None:
        keyring = Keyring(Twin(world.server), told.append)
        keyring.watch(f"{NAMESPACE}/agents", seen)
        keyring.watch(f"{NAMESPACE}/other", {})
        task = asyncio.create_task(keyring.keep())
        await asyncio.sleep(1)
        assert told == []
        meanwhile()
        await asyncio.sleep(PERIOD)
        assert not task.done()
        task.cancel()

    quick.run(main())
    return told


def versions(world: World) -> dict[str, str]:
    secret = world.server.get("Secret", NAMESPACE, "s3")
    assert secret
    return {"s3": secret["metadata"]["resourceVersion"]}


def test_another_version_wakes() -> None:
    agents = [f"{NAMESPACE}/agents"]
    with World() as world:
        assert woken(world, {"s3": ""}, lambda: None) == []
        assert woken(world, {"s3": ""}, lambda: world.give("s3", GIVEN)) == agents
        assert woken(world, versions(world), lambda: None) == []
        assert woken(world, versions(world), lambda: world.edit("Secret", "s3", {"data": {"more": ""}})) == agents
        assert woken(world, versions(world), lambda: world.delete("Secret", "s3")) == agents


def test_an_api_server_that_is_away_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("it is away")

    with World() as world:
        monkeypatch.setattr(Twin, "get", away)
        assert woken(world, {"s3": "1"}, lambda: None) == []


@pytest.mark.parametrize(("spec", "secret"), [({"backup": BACKUP}, "s3"), (EXTERNAL, "rds")])
def test_a_store_is_woken_for_each_secret_that_it_was_given(spec: dict[str, object], secret: str) -> None:
    async def story(served: Served) -> None:
        served.world.rds().bucket().make(spec)
        keep = asyncio.create_task(served.actors.keyring.keep())
        await served.ready(120)
        await asyncio.sleep(400)
        looks: list[object] = []
        served.actors.nudge = lambda *what: looks.append(what)  # type: ignore[method-assign]
        await asyncio.sleep(60)
        assert looks == [], "nothing has changed"
        served.world.edit("Secret", secret, {"metadata": {"annotations": {"somebody": "was here"}}})
        await served.until(lambda: bool(looks), PERIOD + 1)
        keep.cancel()

    served(story)
