"""How far a run is, of each Job over threads: told while it goes on, and not between runs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from checkpointstore.api.status import STATUS
from tests.contract.world import World
from tests.golden.backup import OUTSIDE
from tests.unit.backup.story import jobs, later, level, stopped
from tests.unit.core.test_retention import POLICY
from tests.unit.core.test_tiering import TIERING

ROOMS = {"retention": POLICY, "tiering": TIERING, "blobs": OUTSIDE}


@pytest.mark.parametrize(("room", "spec"), ROOMS.items(), ids=ROOMS)
def test_it_is_told_while_the_run_goes_on(room: str, spec: Mapping[str, Any]) -> None:
    figures = STATUS["properties"][room]["properties"]["progress"]["properties"].keys() - {"at"}
    with World() as world:
        world.buckets().make(spec).settle()
        sound = level(world)
        stopped(later(world, days=1)).settle_until(lambda: jobs(world, room) != [])
        assert "progress" not in world.status[room]
        world.repository.far = dict.fromkeys(figures, 12_345)
        world.settle_until(lambda: "progress" in world.status[room])
        first = world.status[room]["progress"]
        assert first == {"at": first["at"], **{name: 12_345 if name == "bytes" else 12_000 for name in figures}}
        assert world.again == timedelta(seconds=30)
        world.repository.far = dict.fromkeys(figures, 23_456)
        world.settle()
        assert world.status[room]["progress"] == first, "a look does not bring the next"
        later(world, seconds=30).look()
        assert world.status[room]["progress"]["at"] > first["at"]
        assert min(world.status[room]["progress"][name] for name in figures) >= 23_000
        assert level(world) == sound, "a run is no news"
        world.repository.works = True
        world.settle()
        assert jobs(world, room) == []
        assert "lastSuccessful" in world.status[room]
        assert "progress" not in world.status[room]
