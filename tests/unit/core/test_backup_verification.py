"""Backups are proven by restoring them: when that is due, what it needs, and what is told of it."""

from datetime import timedelta
from typing import Any

import pytest

from checkpointstore.features.backup import verification
from checkpointstore.features.backup.verification import ROOM
from tests.contract.world import NAMESPACE, World
from tests.golden.backup import BACKUP
from tests.unit.backup.story import (
    SOUND,
    at,
    backed_up,
    end,
    events,
    jobs,
    known,
    later,
    level,
    pass_by,
    pods,
    request,
    stopped,
)

RETRY_AFTER = timedelta(minutes=30)
DAMAGED = {"reason": "BackupDamaged", "message": "pages are damaged"}
UNSEEN = {"reason": "RepositoryUnreachable", "message": "no answer"}
VERIFIED = "2026-01-01T00:00:06Z"


def began(world: World) -> str:
    return str(world.status["backup"]["verification"].get("begun", ""))


def verifies(world: World) -> World:
    """A store whose first verification runs, and does not end."""
    return stopped(known(world, "verifies", begins))


def begins(world: World) -> None:
    world.bucket().make({"backup": BACKUP})
    world.settle_until(lambda: jobs(world, "verification") != [])
    stopped(world).settle()


def test_the_first_backup_is_verified_at_once() -> None:
    with World() as world:
        backed_up(world)
        told = world.status["backup"]
        assert told["verification"] == {
            "ended": VERIFIED,
            "succeeded": VERIFIED,
            "backupID": world.repository.labels[0],
            "recoveredTo": "2026-01-01T00:00:00.5Z",
            "duration": "12s",
        }
        assert told["lastVerified"] == VERIFIED
        assert world.states["BackupVerified"] == ("True", "Restored")
        message = world.condition("BackupVerified")["message"]
        assert message.startswith(f"{world.repository.labels[0]} was restored at {VERIFIED} in 12s, recovered to 2026")
        assert events(world).count("BackupVerified") == 1
        assert jobs(world, "verification") == []


def test_it_is_verified_again_by_schedule_and_not_before() -> None:
    with World() as world:
        backed_up(world, schedules={"full": "0 0 1 1 *"})
        assert world.look() == 0
        assert world.again == timedelta(days=3, hours=5) - (
            world.server.now - world.server.now.replace(hour=0, second=0)
        )
        assert at(world, "2026-01-04T04:59:59+00:00").look() == 0
        at(world, "2026-01-04T05:00:00+00:00").settle()
        assert world.status["backup"]["lastVerified"] > "2026-01-04T05:00:00Z"
        assert events(world).count("BackupVerified") == 2
        for _ in range(3):
            later(world, days=2).settle()
        assert events(world).count("BackupVerified") == 2


def test_a_good_backup_that_follows_a_verified_one_waits_for_the_schedule() -> None:
    with World() as world:
        backed_up(world)
        world.ask("by-hand").settle()
        assert events(world).count("BackupVerified") == 1


@pytest.mark.parametrize(
    ("told", "state"),
    [(UNSEEN, ("Unknown", "RepositoryUnreachable")), ({}, ("Unknown", "JobFailed"))],
)
def test_where_nobody_could_see_it_is_tried_again_after_half_an_hour(
    told: dict[str, str], state: tuple[str, str]
) -> None:
    with World() as world:
        backed_up(world, schedules={"full": "0 0 1 1 *"})
        world.repository.failures["verify"] = (1, told)
        at(world, "2026-01-04T05:00:00+00:00").settle()
        assert world.states["BackupVerified"] == state
        assert level(world) == SOUND
        known = world.status["backup"]
        assert known["lastVerified"] == VERIFIED, "what was proven stays so"
        assert known["verification"]["backupID"] == world.repository.labels[0]
        assert known["verification"]["recoveredTo"]
        assert events(world).count("VerificationFailed") == 1
        assert world.again is not None
        assert RETRY_AFTER - timedelta(minutes=1) < world.again <= RETRY_AFTER
        world.repository.failures.clear()
        at(world, known["verification"]["ended"]).server.now += RETRY_AFTER - timedelta(seconds=1)
        assert world.look() == 0
        later(world, seconds=1).settle()
        assert world.states["BackupVerified"] == ("True", "Restored")
        assert "reason" not in world.status["backup"]["verification"]
        assert "message" not in world.status["backup"]["verification"]
        assert world.status["backup"]["lastVerified"] > VERIFIED


def test_an_unsound_backup_is_told_and_the_next_backup_is_verified() -> None:
    with World() as world:
        backed_up(world, schedules={"full": "0 0 1 1 *"})
        world.repository.failures["verify"] = (64, DAMAGED)
        at(world, "2026-01-04T05:00:00+00:00").settle()
        assert world.states["BackupVerified"] == ("False", "BackupDamaged")
        assert world.condition("BackupVerified")["message"] == "pages are damaged"
        assert level(world) == SOUND
        world.repository.failures.clear()
        for _ in range(3):
            later(world, hours=5).settle()
        assert world.states["BackupVerified"] == ("False", "BackupDamaged"), "it is as unsound as it was"
        later(world, hours=1)
        world.ask("by-hand").settle()
        assert world.states["BackupVerified"] == ("True", "Restored")
        assert world.status["backup"]["verification"]["backupID"] == world.repository.labels[-1]


def test_a_running_verification_is_left_alone() -> None:
    with World() as world:
        verifies(world)
        assert world.states["BackupVerified"] == ("Unknown", "Pending")
        (job,) = jobs(world, "verification")
        begun = began(world)
        later(world, hours=1)
        pass_by(world, 3)
        assert [item["metadata"]["uid"] for item in jobs(world, "verification")] == [job["metadata"]["uid"]]
        assert began(world) == begun
        assert level(world) == SOUND
        assert world.again == timedelta(minutes=2)


def test_while_it_runs_the_last_result_stands() -> None:
    with World() as world:
        backed_up(world)
        stopped(world).command("verify-backup", "1")
        pass_by(world, 4)
        assert jobs(world, "verification")
        assert world.states["BackupVerified"] == ("True", "Restored")


def test_a_person_may_ask_for_it_once_each_time() -> None:
    with World() as world:
        backed_up(world)
        for number, value in enumerate(("1", "2"), start=2):
            world.command("verify-backup", value).settle()
            assert events(world).count("BackupVerified") == number
            assert world.status["backup"]["verification"]["asked"] == value
            later(world, minutes=1).settle()
        assert events(world).count("BackupVerified") == 3
        assert level(world) == SOUND


def test_a_command_to_verify_that_is_taken_back_begins_nothing() -> None:
    """As with the others: it has been carried out."""
    with World() as world:
        backed_up(world)
        world.command("verify-backup", "1").settle()
        world.command("verify-backup", None).settle()
        assert events(world).count("BackupVerified") == 2


def test_what_it_takes_too_long_for_says_so() -> None:
    with World() as world:
        verifies(world)
        end(world, jobs(world, "verification")[0], "Failed", reason="DeadlineExceeded")
        world.look()
        assert world.states["BackupVerified"] == ("Unknown", "TookTooLong")
        assert "spec.backup.verification.timeout" in world.condition("BackupVerified")["message"]


@pytest.mark.parametrize("ends", ["Failed", "Complete"])
def test_a_job_that_ends_without_a_word_says_nothing_of_the_backup(ends: str) -> None:
    with World() as world:
        verifies(world)
        end(world, jobs(world, "verification")[0], ends, reason="BackoffLimitExceeded")
        world.look()
        assert world.states["BackupVerified"] == ("Unknown", "JobFailed")
        assert "without a word" in world.condition("BackupVerified")["message"]


def test_without_a_pod_for_two_minutes_something_is_in_the_way() -> None:
    with World() as world:
        verifies(world)
        (pod,) = pods(world, "verification")
        world.server.delete("Pod", NAMESPACE, pod["metadata"]["name"], force=True)
        later(world, seconds=100).look()
        assert world.states["BackupVerified"] == ("Unknown", "Pending")
        later(world, seconds=20).look()
        assert world.states["BackupVerified"] == ("Unknown", "NoRoom")
        assert "ResourceQuota" in world.condition("BackupVerified")["message"]
        assert level(world) == SOUND
        world.repository.works = True
        world.settle()
        assert world.states["BackupVerified"] == ("True", "Restored")


def test_a_pod_that_finds_no_room_is_told() -> None:
    with World() as world:
        verifies(world)
        (pod,) = pods(world, "verification")
        name = pod["metadata"]["name"]
        for state, expected in (("False", "NoRoom"), ("True", "Pending")):
            conditions = [
                {"type": "Initialized", "status": "False"},
                {"type": "PodScheduled", "status": state, "message": "0/3 nodes: too little disk"},
            ]
            world.server.patch("Pod", NAMESPACE, name, {"status": {"conditions": conditions}}, "scheduler", "status")
            if state == "False":
                world.look()
                assert world.states["BackupVerified"][1] == "Pending", "it may take a moment"
            later(world, minutes=2).look()
            assert world.states["BackupVerified"] == ("Unknown", expected)
            assert ("too little disk" in world.condition("BackupVerified")["message"]) == (state == "False")
        assert level(world) == SOUND


def test_a_store_that_rests_is_not_told_to_have_no_room() -> None:
    with World() as world:
        verifies(world)
        world.command("hibernate", "true")
        pass_by(world, 6)
        later(world, minutes=5).look()
        assert world.states["BackupVerified"][1] != "NoRoom"


def test_a_store_that_rests_verifies_nothing_and_goes_on_afterwards() -> None:
    with World() as world:
        verifies(world)
        begun = began(world)
        world.command("hibernate", "true")
        pass_by(world, 6)
        assert jobs(world, "verification") == []
        assert began(world) == begun
        world.repository.works = True
        world.command("hibernate", None).settle()
        assert world.states["BackupVerified"] == ("True", "Restored")
        assert events(world).count("BackupVerified") == 1


def test_one_that_goes_on_after_a_rest_has_its_two_minutes_again() -> None:
    with World() as world:
        verifies(world)
        world.command("hibernate", "true")
        pass_by(world, 6)
        later(world, minutes=5).command("hibernate", None)
        world.repository.works = True
        told = set()
        for _ in range(12):
            for _ in range(2):
                world.look()
                told.add(world.states["BackupVerified"][1])
            world.tick()
        assert told == {"Pending", "Restored"}


@pytest.mark.parametrize(("named", "expected"), [(None, "fast"), ("slow", "slow")])
def test_the_throw_away_instance_has_room_and_a_time_limit(named: str | None, expected: str) -> None:
    with World() as world:
        limits = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
        how = {"timeout": "90m", "resources": limits, **({"storageClassName": named} if named else {})}
        spec = {"postgres": {"storage": {"storageClassName": "fast"}}, "backup": {**BACKUP, "verification": how}}
        world.make_class("fast").bucket().make(spec)
        world.settle_until(lambda: bool(jobs(world, "verification")))
        (job,) = jobs(world, "verification")
        assert job["spec"]["activeDeadlineSeconds"] == 90 * 60
        pod = job["spec"]["template"]["spec"]
        (volume,) = (item for item in pod["volumes"] if item["name"] == "data")
        claim = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
        assert claim["storageClassName"] == expected
        assert int(claim["resources"]["requests"]["storage"]) == 2 * 30_000_000 + ROOM
        assert request(job)["memory"] == 2048
        assert request(job)["uid"] == world.body["metadata"]["uid"]
        assert request(job)["base"] == "/agents/shop/agents"


def test_volumes_are_of_the_class_that_the_instances_have_got() -> None:
    with World() as world:
        verifies(world)
        (job,) = jobs(world, "verification")
        (volume,) = (item for item in job["spec"]["template"]["spec"]["volumes"] if item["name"] == "data")
        assert volume["ephemeral"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "standard"
        found: Any = world.observed()
        assert verification._class(type(found)()) == ""


def test_an_operator_that_is_killed_leaves_one_verification() -> None:
    """It dies when it has made the Job, and before it says so."""
    with World() as world:
        backed_up(world, schedules={"full": "0 0 1 1 *"})
        at(world, "2026-01-04T05:00:00+00:00")
        world.repository.works = False
        for life in range(40, 60):
            if jobs(world, "verification"):
                break
            world.start_anew(life=life).look()
        world.tick(2)
        pass_by(world, 4)
        assert len(jobs(world, "verification")) == 1
        world.repository.works = True
        world.settle()
        assert events(world).count("BackupVerified") == 2
