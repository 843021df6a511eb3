"""A store with a tier: its recaller stands, its Job comes and goes by the schedule, and nothing else notices."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from checkpointstore.kernel.values import moment
from tests.contract.repository import UID
from tests.contract.world import NAMESPACE, World
from tests.golden.backup import RECOVERY
from tests.golden.case import EXTERNAL
from tests.unit.backup.story import events, jobs, later, level, request, stopped, uids

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
        assert request(job)["tiers"] == [{"name": "cold", "after": 90 * 86400}]
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


GONE = (1, {"reason": "Unavailable", "message": "the object store does not answer as it should: timeout"})


def recovered(world: World) -> World:
    world.bucket().make({**TIERING, "bootstrap": {"recovery": RECOVERY}}).look()
    return world


def test_what_had_been_deleted_is_deleted_again_before_anybody_is_let_in() -> None:
    with World() as world:
        recovered(world).settle_until(lambda: jobs(world, "deletions") != [])
        assert world.status["recovery"]["origin"] == f"lost/old/{UID}"
        assert world.states["Ready"] == ("False", "RepeatingDeletions")
        assert world.server.get("Secret", NAMESPACE, "agents-app") is None
        [job] = jobs(world, "deletions")
        assert request(job)["origin"] == f"cold-data/lost/old/{UID}"
        world.settle()
        assert (world.states["Ready"], jobs(world, "deletions")) == (("True", "Serving"), [])
        assert (world.status["tiering"]["deletedAgain"], world.look()) == (3, 0)
        assert "DeletionsRepeated" in events(world)
        later(world, hours=1).settle()
        assert (world.status["tiering"]["deletedAgain"], jobs(world, "deletions")) == (3, [])


def test_nobody_is_let_in_while_that_fails_and_it_is_tried_again() -> None:
    with World() as world:
        world.repository.failures["deletions"] = GONE
        recovered(world).settle_until(lambda: world.states["Ready"] == ("False", "DeletionsNotRepeated"))
        assert world.states["Stalled"] == ("True", "DeletionsNotRepeated")
        assert GONE[1]["message"] in str(world.status["conditions"])
        [failed] = uids(jobs(world, "deletions"))
        stopped(later(world, minutes=1)).look()
        assert uids(jobs(world, "deletions")) == [failed]
        del world.repository.failures["deletions"]
        later(world, minutes=2).settle()
        assert world.states["Ready"] == ("True", "Serving")


def test_a_lost_bucket_is_told_and_taking_the_tier_away_lets_in() -> None:
    with World() as world:
        recovered(world).settle_until(lambda: world.status.get("recovery", {}).get("phase") == "Completed")
        world.delete("Secret", "s3")
        world.settle_until(lambda: world.states["Ready"] == ("False", "DeletionsNotRepeated"))
        assert "s3" in str(world.status["conditions"])
        world.change(tiering=None).settle()
        assert world.states["Ready"] == ("True", "Serving")


def test_a_recovered_store_that_serves_goes_on_when_it_gets_a_tier() -> None:
    with World() as world:
        world.bucket().make({"bootstrap": {"recovery": RECOVERY}}).settle()
        world.change(**TIERING).settle_until(lambda: jobs(world, "deletions") != [])
        assert world.states["Ready"] == ("True", "Serving")
        world.settle()
        assert (world.states["Ready"], world.status["tiering"]["deletedAgain"]) == (("True", "Serving"), 3)


@pytest.mark.parametrize(("schedules", "days"), [({"full": "0 3 * * 0"}, 44), ({}, None)])
def test_when_nothing_of_a_deleted_thread_is_left_is_in_the_status(schedules: dict[str, str], days: int | None) -> None:
    backup = {"objectStore": TIERING["tiering"]["objectStore"], "schedules": schedules, "retentionPolicy": "30d"}
    with World() as world:
        world.bucket().make({**TIERING, "backup": backup}).settle()
        later(world, hours=1).settle()
        told = world.status["tiering"]
        last = datetime.fromisoformat(told["lastDeletion"])
        assert told.get("erasedBy") == (moment(last + timedelta(days=days)) if days else None)
