"""Runs over a store's threads that a person asks for by annotation: at once, once each, and one at a time."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.world import World
from tests.golden.backup import OUTSIDE
from tests.unit.backup.story import jobs, killed_anywhere, later, level, names, stopped
from tests.unit.core.test_retention import POLICY
from tests.unit.core.test_tiering import TIERING

NIGHTLY: dict[str, dict[str, Any]] = {
    "retention": {"retention": {**POLICY["retention"], "schedule": "0 3 * * *"}},
    "tiering": {"tiering": {**TIERING["tiering"], "schedule": "0 3 * * *"}},
    "blobs": {"limits": {"externalize": {**OUTSIDE["limits"]["externalize"], "schedule": "0 3 * * *"}}},
}
ROOMS = [
    pytest.param("retention", "run-retention", id="retention"),
    pytest.param("tiering", "run-tiering", id="tiering"),
    pytest.param("blobs", "run-blob-collection", id="blobs"),
]


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


def made(world: World, room: str) -> World:
    world.buckets().make(NIGHTLY[room]).settle()
    return world


@pytest.mark.parametrize(("room", "command"), ROOMS)
def test_a_run_is_begun_at_once_and_once(world: World, room: str, command: str) -> None:
    sound = level(made(world, room))
    world.command(command, "now").settle()
    first = world.status[room]
    assert first["asked"] == "now"
    assert first["lastSuccessful"]
    later(world, minutes=5).settle()
    assert world.status[room]["lastRun"] == first["lastRun"], "the command is still there, and was done"
    assert level(world) == sound
    world.command(command, "again").settle()
    assert world.status[room]["lastRun"] > first["lastRun"]


@pytest.mark.parametrize(("room", "command"), ROOMS)
def test_the_schedule_goes_on(world: World, room: str, command: str) -> None:
    made(world, room).command(command, "now").settle()
    asked = world.status[room]["lastRun"]
    later(world, days=1).settle()
    assert world.status[room]["lastRun"] > asked
    assert world.status[room]["asked"] == "now"


@pytest.mark.parametrize(("room", "command"), ROOMS)
def test_one_that_is_under_way_is_awaited(world: World, room: str, command: str) -> None:
    stopped(made(world, room)).command(command, "now").settle_until(lambda: jobs(world, room) != [])
    begun = names(world, room)
    world.command(command, "again")
    world.look()
    later(world, seconds=5).look()
    assert names(world, room) == begun
    world.repository.works = True
    world.settle()
    assert world.status[room]["asked"] == "again"


@pytest.mark.parametrize(("room", "command"), ROOMS)
def test_a_paused_store_begins_it_when_it_goes_on(world: World, room: str, command: str) -> None:
    made(world, room).command("paused", "true").command(command, "now").settle()
    assert "lastRun" not in world.status[room]
    world.command("paused", None).settle()
    assert world.status[room]["asked"] == "now"


@pytest.mark.parametrize(("room", "command"), ROOMS)
def test_it_is_begun_once_wherever_the_operator_dies(world: World, room: str, command: str) -> None:
    made(world, room)
    seen: set[str] = set()
    world.server.watchers.append(lambda _: seen.update(names(world, room)))
    for _ in killed_anywhere(world, lambda: world.command(command, "now").settle()):
        assert world.status[room]["asked"] == "now"
        assert jobs(world, room) == []
        assert len(seen) <= 1, seen
        seen.clear()
