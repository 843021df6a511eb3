"""Backups are made when they are due or asked for, once, by one Job at a time; and what came of each is told."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from checkpointstore.kernel.errors import Refused
from checkpointstore.kernel.observed import Archiver
from tests.contract.apiserver import stamp
from tests.contract.world import World
from tests.golden.backup import BACKUP, STORE
from tests.unit.backup.story import (
    FIRST,
    FRIDAY,
    REFUSED,
    SOUND,
    Moment,
    at,
    backed_up,
    backing_up,
    end,
    events,
    jobs,
    killed_anywhere,
    later,
    level,
    made,
    pass_by,
    phases,
)

RETRY_AFTER = timedelta(minutes=10)
KEPT_FAILURES = 3


def test_the_first_backup_waits_for_no_schedule_and_what_came_of_it_is_told() -> None:
    with World() as world:
        backed_up(world)
        assert phases(world) == {FIRST: "Completed"}
        status = world.backups()[FIRST]
        (label,) = world.repository.labels
        assert {key: status[key] for key in ("backupID", "type", "size", "duration", "observedGeneration")} == {
            "backupID": label,
            "type": "Full",
            "size": "3.8Mi",
            "duration": "1s",
            "observedGeneration": 1,
        }
        assert status["source"] == {
            "objectStore": STORE | {"region": "us-east-1"},
            "namespace": "shop",
            "store": "agents",
            "uid": world.body["metadata"]["uid"],
        }
        assert [(item["type"], item["status"]) for item in status["conditions"]] == [("Succeeded", "True")]
        assert world.states["LastBackupSucceeded"] == ("True", "Completed")
        told = world.status["backup"]
        assert told["repository"] == status["repository"]
        assert told["repository"].startswith("s3://backups/agents/shop/agents/")
        assert told["firstBackup"] == label
        assert (told["repositoryBytes"], told["databaseBytes"]) == (4_000_000, 30_000_000)
        assert events(world).count("BackupCompleted") == 1
        assert level(world) == SOUND
        assert jobs(world, "backup") == [], "what has ended goes"
        assert world.look() == 0


def test_a_scheduled_backup_is_made_once_and_not_before_it_is_due() -> None:
    with World() as world:
        backed_up(world)
        assert world.look() == 0
        assert world.again is not None
        assert world.server.now + world.again == world.server.now.replace(hour=3, minute=0, second=0)
        at(world, "2026-01-02T02:00:00+00:00").settle()
        assert made(world) == 2, "Thursday's was missed, and is made up for"
        assert at(world, "2026-01-02T02:59:59.9+00:00").look() == 0
        at(world, "2026-01-02T03:00:00+00:00").settle()
        assert phases(world)[FRIDAY] == "Completed"
        assert world.backups()[FRIDAY]["type"] == "Differential"
        assert made(world) == 3
        for _ in range(2):
            later(world, hours=9).settle()
        assert made(world) == 3
        at(world, "2026-01-04T03:00:20+00:00").settle()
        assert phases(world)["agents-full-202601040300"] == "Completed"
        assert world.status["backup"]["lastFull"] == world.backups()["agents-full-202601040300"]["startedAt"]


NEVER = {"schedule": "0 0 1 1 *"}


def due_on_friday(world: World) -> None:
    """A differential backup, as the schedule says."""
    at(backed_up(world), "2026-01-02T03:00:00+00:00")


def too_old(world: World) -> None:
    """A full backup in a differential one's place, as the last full one is too old."""
    backed_up(world, schedules={"differential": "0 3 * * *"}, verification=NEVER)
    at(world, "2026-01-11T03:00:00+00:00")


def after_a_gap(world: World) -> None:
    """A full backup in a differential one's place, as WAL was dropped."""
    at(backed_up(world), "2026-01-02T03:00:00+00:00")
    world.repository.archiver = Archiver(dropped=world.server.now - timedelta(seconds=30))


@pytest.mark.parametrize("due", [due_on_friday, too_old, after_a_gap])
def test_no_due_time_has_two_backups_wherever_the_operator_is_killed(due: Callable[[World], None]) -> None:
    with World() as world:
        due(world)
        before, tried = made(world), 0
        for life in killed_anywhere(world, world.settle):
            assert made(world) == before + 1, f"killed after request {life}: {sorted(phases(world))}"
            assert set(phases(world).values()) == {"Completed"}
            tried += 1
        assert tried > 5


@pytest.mark.parametrize("due", [due_on_friday, too_old])
def test_an_api_server_whose_clock_is_behind_makes_no_second_one(due: Callable[[World], None]) -> None:
    """It says when an object was made, and the operator when a backup is due."""
    with World() as world:
        due(world)
        before, known = made(world), set(phases(world))
        world.look()
        (name,) = set(phases(world)) - known
        earlier = stamp(world.server.now - timedelta(seconds=2))
        world.edit("CheckpointBackup", name, {"metadata": {"creationTimestamp": earlier}})
        world.settle()
        assert made(world) == before + 1
        assert world.plan().actions == ()


def test_a_backup_that_the_api_server_would_not_take_is_made_when_it_does() -> None:
    with World() as world:
        backed_up(world)
        at(world, "2026-01-02T03:00:00+00:00")
        before, tries = Moment.of(world), list[int]()
        world.server.watchers.append(
            lambda item: tries.append(world.kube.sent) if item["kind"] == "CheckpointBackup" else None
        )
        world.start_anew().look()
        world.server.watchers.pop()
        before.onto(world).start_anew(faults={tries[0]: Refused("Forbidden", "exceeded quota")}).look()
        assert world.states["Stalled"] == ("True", "Forbidden")
        assert FRIDAY not in phases(world)
        later(world.start_anew(), seconds=30).settle()
        assert made(world) == 2


def test_after_a_failover_one_small_backup_follows() -> None:
    """What a lost primary had not archived yet nobody archives: from the next backup on it is not needed."""
    with World() as world:
        backed_up(world)
        later(world, minutes=5)
        world.repository.timeline = 2
        for _ in range(8):
            told = {"postgres": {"timeline": 2}}
            world.server.patch("CheckpointStore", "shop", "agents", {"status": told}, "it", "status")
            world.look()
            world.tick()
        assert [label[-1] for label in world.repository.labels] == ["F", "I"]
        assert world.status["backup"]["timeline"] == 2
        assert set(phases(world)) == {FIRST, "agents-incremental-202601010005"}


def test_a_failover_that_also_lost_wal_leads_to_a_full_backup() -> None:
    with World() as world:
        backed_up(world)
        later(world, minutes=5)
        world.repository.timeline = 2
        world.repository.archiver = Archiver(dropped=world.server.now)
        told = {"postgres": {"timeline": 2}}
        world.server.patch("CheckpointStore", "shop", "agents", {"status": told}, "it", "status")
        world.settle()
        assert [label[-1] for label in world.repository.labels] == ["F", "F"]


def test_what_was_missed_is_made_up_for_by_one() -> None:
    with World() as world:
        backed_up(world)
        at(world, "2026-01-20T12:00:00+00:00").settle()
        assert made(world) == 2
        assert list(phases(world)) == [FIRST, "agents-full-202601180300"]


def test_a_failed_backup_is_tried_again_after_ten_minutes_and_not_before() -> None:
    with World() as world:
        world.repository.failures["backup"] = (1, REFUSED)
        world.bucket().make({"backup": BACKUP}).settle()
        assert phases(world) == {FIRST: "Failed"}
        assert world.backups()[FIRST]["error"] == REFUSED
        assert world.states["LastBackupSucceeded"] == ("False", "CredentialsRejected")
        assert world.condition("LastBackupSucceeded")["message"] == f"{FIRST}: mend the credentials"
        assert world.states["ContinuousArchiving"] == ("Unknown", "Pending")
        assert world.states["BackupVerified"] == ("Unknown", "Pending")
        assert level(world) == SOUND
        ended = world.backups()[FIRST]["completedAt"]
        assert world.status["backup"]["lastFailed"] == ended
        assert world.again is not None
        assert timedelta(minutes=9) < world.again <= RETRY_AFTER
        world.repository.failures.clear()
        at(world, ended).server.now += RETRY_AFTER - timedelta(seconds=1)
        assert world.look() == 0
        later(world, seconds=1).settle()
        assert phases(world) == {FIRST: "Failed", "agents-full-202601010010": "Completed"}
        assert made(world) == 1
        assert events(world).count("BackupFailed") == 1
        later(world, hours=1).settle()
        assert made(world) == 1


def test_of_failures_the_newest_three_stay() -> None:
    with World() as world:
        world.repository.failures["backup"] = (1, REFUSED)
        world.bucket().make({"backup": BACKUP}).settle()
        first = set(phases(world))
        for number in range(2, 6):
            later(world, minutes=10).settle()
            assert len(phases(world)) == min(number, KEPT_FAILURES)
        assert not first & set(phases(world))
        assert events(world).count("BackupFailed") == 5
        world.repository.failures.clear()
        later(world, minutes=10).settle()
        assert sorted(phases(world).values()) == ["Completed", "Failed", "Failed", "Failed"]
        assert level(world) == SOUND


def test_a_failed_differential_backup_is_tried_again_as_one() -> None:
    with World() as world:
        backed_up(world)
        world.repository.failures["backup"] = (1, REFUSED)
        at(world, "2026-01-02T03:00:00+00:00").settle()
        assert phases(world)[FRIDAY] == "Failed"
        world.repository.failures.clear()
        later(world, minutes=11).settle()
        assert [label[-1] for label in world.repository.labels] == ["F", "D"]


@pytest.mark.parametrize("ends", ["Failed", "Complete"])
def test_a_job_that_ends_without_a_word_has_failed(ends: str) -> None:
    """Also one that says it is complete: nobody knows which backup it made."""
    with World() as world:
        backing_up(world)
        end(world, jobs(world, "backup")[0], ends)
        pass_by(world, 3)
        assert phases(world) == {FIRST: "Failed"}
        assert world.states["LastBackupSucceeded"] == ("False", "JobFailed")
        assert "without a word" in world.condition("LastBackupSucceeded")["message"]


def test_a_running_backup_is_told() -> None:
    with World() as world:
        backing_up(world)
        status = world.backups()[FIRST]
        assert status["phase"] == "Running"
        assert status["startedAt"] == jobs(world, "backup")[0]["metadata"]["creationTimestamp"]
        assert [(item["status"], item["reason"]) for item in status["conditions"]] == [("Unknown", "Running")]
        assert level(world) == SOUND
