"""A store with a policy: its Job comes and goes by the schedule, and nothing else of the store notices."""

from datetime import timedelta
from typing import Any

import pytest

from tests.contract.world import World
from tests.golden.case import EXTERNAL
from tests.unit.backup.story import events, jobs, later, level, request, stopped

POLICY: dict[str, Any] = {"retention": {"history": {"keepLast": 20}, "schedule": "0 * * * *"}}


@pytest.mark.parametrize("spec", [{}, EXTERNAL], ids=["Patroni", "External"])
def test_the_job_comes_by_the_schedule_and_goes(spec: dict[str, Any]) -> None:
    with World() as world:
        world.rds().make({**spec, **POLICY}).settle()
        sound = level(world)
        assert world.states["RetentionSucceeded"] == ("Unknown", "Pending")
        assert (jobs(world, "retention"), world.look()) == ([], 0)
        assert world.again is not None
        assert world.again <= timedelta(hours=1)
        stopped(later(world, hours=1)).settle_until(lambda: jobs(world, "retention") != [])
        [job] = jobs(world, "retention")
        assert request(job)["keepLast"] == 20
        assert level(world) == sound, "a store is Ready and at rest whatever its Job does"


def test_what_it_did_is_in_the_status() -> None:
    with World() as world:
        world.make(POLICY).settle()
        sound = level(world)
        later(world, hours=1).settle()
        assert jobs(world, "retention") == []
        assert world.states["RetentionSucceeded"] == ("True", "Succeeded")
        assert world.status["retention"]["deleted"]["checkpoints"] == 20
        assert "RetentionFailed" not in events(world)
        assert level(world) == sound
        first = world.status["retention"]["lastRun"]
        later(world, hours=1).settle()
        assert world.status["retention"]["lastRun"] > first


def test_without_a_policy_nothing_is_told_any_more() -> None:
    with World() as world:
        world.make(POLICY).settle()
        world.change(retention=None).settle()
        assert "retention" not in world.status
        assert "RetentionSucceeded" not in world.states


def test_a_paused_or_hibernated_store_begins_nothing() -> None:
    with World() as world:
        world.make(POLICY).settle()
        world.command("hibernate", "true").settle()
        later(world, hours=2).settle()
        assert jobs(world, "retention") == []
        assert "lastRun" not in world.status["retention"]
