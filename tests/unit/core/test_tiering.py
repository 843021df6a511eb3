"""A store with a tier: its recaller stands, its Job comes and goes by the schedule, and nothing else notices."""

from typing import Any

import pytest

from tests.contract.world import NAMESPACE, World
from tests.golden.case import EXTERNAL
from tests.unit.backup.story import events, jobs, later, level, request, stopped

TIERING: dict[str, Any] = {
    "tiering": {
        "objectStore": {"url": "s3://cold", "credentials": {"name": "s3"}},
        "tiers": [{"name": "cold", "after": "90d"}],
        "schedule": "0 * * * *",
    }
}


def recallers(world: World) -> list[str]:
    found = world.server.all("Deployment", NAMESPACE, {"app.kubernetes.io/component": "recaller"})
    return [item["metadata"]["name"] for item in found]


@pytest.mark.parametrize("spec", [{}, EXTERNAL], ids=["Patroni", "External"])
def test_the_job_comes_by_the_schedule_and_goes(spec: dict[str, Any]) -> None:
    with World() as world:
        world.rds().bucket().make({**spec, **TIERING}).settle()
        sound = level(world)
        assert world.states["TieringSucceeded"] == ("Unknown", "Pending")
        assert (recallers(world), jobs(world, "tiering"), world.look()) == (["agents-recaller"], [], 0)
        stopped(later(world, hours=1)).settle_until(lambda: jobs(world, "tiering") != [])
        [job] = jobs(world, "tiering")
        assert request(job)["after"] == 90 * 86400
        assert level(world) == sound, "a store is Ready and at rest whatever its Job does"


def test_what_it_did_is_in_the_status() -> None:
    with World() as world:
        world.bucket().make(TIERING).settle()
        later(world, hours=1).settle()
        assert jobs(world, "tiering") == []
        assert world.states["TieringSucceeded"] == ("True", "Succeeded")
        assert world.status["tiering"]["moved"]["threads"] == 2
        assert "TieringFailed" not in events(world)


def test_cold_data_is_kept_for_the_recovery_window_and_goes_with_its_thread() -> None:
    backup = {"backup": {"objectStore": TIERING["tiering"]["objectStore"], "retentionPolicy": "6w"}}
    with World() as world:
        world.bucket().make({**TIERING, **backup, "retention": {"deleteAfter": "400d"}}).settle()
        stopped(later(world, hours=1)).settle_until(lambda: jobs(world, "tiering") != [])
        [job] = jobs(world, "tiering")
        assert (request(job)["grace"], request(job)["deleteAfter"]) == (42 * 86400, 400 * 86400)


def test_without_a_tier_nothing_stands_or_is_told_any_more() -> None:
    with World() as world:
        world.bucket().make(TIERING).settle()
        world.change(tiering=None).settle()
        assert recallers(world) == []
        assert "tiering" not in world.status
        assert "TieringSucceeded" not in world.states


def test_a_hibernated_store_has_no_recaller_and_begins_nothing() -> None:
    with World() as world:
        world.bucket().make(TIERING).settle()
        world.command("hibernate", "true").settle()
        later(world, hours=2).settle()
        assert (recallers(world), jobs(world, "tiering")) == ([], [])
