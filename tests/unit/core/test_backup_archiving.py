"""Archiving: how it is told, what a gap in it leads to, and how much WAL may wait on a volume."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from checkpointstore import reconcile
from checkpointstore.features.backup import archiving
from checkpointstore.kernel.action import Apply, Emit
from checkpointstore.kernel.news import news
from checkpointstore.kernel.observed import Archiver, Volume
from checkpointstore.kernel.values import MIB
from checkpointstore.providers.patroni import archive
from tests.contract.disk import GIB
from tests.contract.world import PLATFORM, World
from tests.golden.backup import BACKUP, STORE
from tests.unit.backup.story import REFUSED, SOUND, at, backed_up, events, jobs, later, level, phases

THEN = datetime(2026, 1, 1, tzinfo=UTC)
FAILING = Archiver(waiting=4, waiting_seconds=120, failing=True, cause="unreachable", rate=MIB)
QUEUE = 124 * MIB


@pytest.mark.parametrize(
    ("archiver", "lost", "stands", "state", "words"),
    [
        (None, False, True, ("Unknown", "Pending"), "does not tell"),
        (None, False, False, ("Unknown", "Pending"), "is being made"),
        (Archiver(failing=True, cause="other"), False, False, ("Unknown", "Pending"), "is being made"),
        (FAILING, False, False, ("Unknown", "Pending"), "is being made"),
        (replace(FAILING, failing=False, cause="foreign"), False, False, ("Unknown", "Pending"), "is being made"),
        (replace(FAILING, cause="foreign"), False, False, ("False", "ArchivingFails"), "another database's archive"),
        (Archiver(), False, True, ("True", "Archiving"), "within a minute"),
        (Archiver(waiting=9, waiting_seconds=60), False, True, ("True", "Archiving"), "within a minute"),
        (
            Archiver(waiting=9, waiting_seconds=61),
            False,
            True,
            ("False", "FallingBehind"),
            "faster than it is archived",
        ),
        (FAILING, False, True, ("False", "ArchivingFails"), "the object store does not answer"),
        (replace(FAILING, cause="odd"), False, True, ("False", "ArchivingFails"), "see the log of the primary's"),
        (replace(FAILING, cause="denied"), False, True, ("False", "ArchivingFails"), "correct the Secret"),
        (Archiver(dropped=THEN), True, True, ("False", "WALDropped"), "full backup has followed, which is being made"),
        (
            replace(FAILING, dropped=THEN),
            True,
            True,
            ("False", "WALDropped"),
            "archiving still fails, the object store",
        ),
    ],
)
def test_what_is_told(archiver: Archiver | None, lost: bool, stands: bool, state: tuple[str, str], words: str) -> None:
    told = archiving.condition(archiver, QUEUE, lost, stands)
    assert (told.status.value, told.reason) == state
    assert words in told.message
    assert not told.busy
    assert not told.stalls


@pytest.mark.parametrize(
    ("archiver", "state", "words"),
    [
        (replace(FAILING, cause="other"), ("False", "ArchivingFails"), "not archived: create the bucket; 124Mi of it"),
        (replace(FAILING, cause="denied"), ("False", "ArchivingFails"), "correct the Secret"),
        (Archiver(), ("Unknown", "Pending"), "is being made"),
        (None, ("Unknown", "Pending"), "is being made"),
    ],
)
def test_why_the_repository_could_not_be_made_is_told(
    archiver: Archiver | None, state: tuple[str, str], words: str
) -> None:
    """An object store without the bucket answers an archiver as one without the file: only who makes it is told."""
    told = archiving.condition(archiver, QUEUE, lost=False, stands=False, tried="create the bucket")
    assert (told.status.value, told.reason) == state
    assert words in told.message


def test_a_store_whose_first_backup_failed_says_why_nothing_is_archived() -> None:
    with World() as world:
        world.repository.failures["backup"] = (1, REFUSED)
        world.repository.archiver = replace(FAILING, cause="other")
        world.bucket().make({"backup": BACKUP}).settle()
        assert world.states["ContinuousArchiving"] == ("False", "ArchivingFails")
        world.repository.failures.clear()
        world.repository.archiver = Archiver()
        later(world, minutes=10).settle()
        assert level(world) == SOUND


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.0, "in more than a day"),
        (1.0, "in more than a day"),
        (MIB, "in 1 minutes or more"),
        (2 * MIB, "in less than a minute"),
        (MIB / 4.5, "in 2 minutes or more"),
        (MIB / 300, "in 240 minutes or more"),
    ],
)
def test_how_long_it_can_go_on_is_told_in_steps(rate: float, words: str) -> None:
    """124 MiB may wait and 64 do."""
    told = archiving.condition(replace(FAILING, rate=rate), QUEUE, lost=False, stands=True)
    assert told.message.endswith(f"124Mi of it may wait before it is dropped, {words}")


def test_more_that_waits_than_may_is_no_time() -> None:
    told = archiving.condition(replace(FAILING, waiting=99), QUEUE, lost=False, stands=True)
    assert told.message.endswith("in less than a minute")


@pytest.mark.parametrize(
    ("archiver", "full", "lost"),
    [
        (None, THEN, False),
        (Archiver(), THEN, False),
        (Archiver(dropped=THEN), None, False),
        (Archiver(dropped=THEN), THEN, False),
        (Archiver(dropped=THEN + timedelta(seconds=1)), THEN, True),
        (Archiver(dropped=THEN), THEN + timedelta(days=1), False),
    ],
)
def test_what_was_dropped_before_a_full_backup_is_no_loss(
    archiver: Archiver | None, full: datetime | None, lost: bool
) -> None:
    assert archiving.dropped_since(archiver, full) is lost


def test_only_what_is_told_is_worth_a_look() -> None:
    levels = [
        archiving.level(item)
        for item in (
            Archiver(),
            Archiver(waiting=9, waiting_seconds=60, rate=7),
            Archiver(waiting_seconds=61),
            Archiver(failing=True),
            Archiver(failing=True, cause="denied"),
            Archiver(dropped=THEN),
        )
    ]
    assert levels[0] == levels[1]
    assert len(set(levels)) == 5


def test_wal_that_was_dropped_leads_to_one_full_backup_when_archiving_works_again() -> None:
    with World() as world:
        backed_up(world)
        later(world, minutes=5)
        lost = world.server.now
        world.repository.archiver = replace(FAILING, dropped=lost)
        world.settle()
        assert world.states["ContinuousArchiving"] == ("False", "WALDropped")
        for _ in range(3):
            later(world, minutes=20).settle()
        assert len(phases(world)) == 1, "nothing can be stored while archiving fails"
        world.repository.archiver = Archiver(dropped=lost)
        world.settle()
        assert [label[-1] for label in world.repository.labels] == ["F", "F"]
        assert world.states["ContinuousArchiving"] == ("True", "Archiving")
        later(world, hours=1).settle()
        assert len(world.repository.labels) == 2
        assert level(world) == SOUND


def test_a_full_backup_for_a_gap_that_fails_is_tried_again_as_any_other() -> None:
    with World() as world:
        backed_up(world)
        later(world, minutes=5)
        world.repository.archiver = Archiver(dropped=world.server.now)
        world.repository.failures["backup"] = (1, REFUSED)
        world.settle()
        world.repository.failures.clear()
        later(world, minutes=9).settle()
        assert sorted(phases(world).values()) == ["Completed", "Failed"]
        later(world, minutes=1).settle()
        assert sorted(phases(world).values()) == ["Completed", "Completed", "Failed"]


def test_a_full_backup_for_a_gap_does_not_wait_for_what_failed_meanwhile() -> None:
    """Somebody has tried whether it works again before it did."""
    with World() as world:
        backed_up(world)
        later(world, minutes=5)
        lost = world.server.now
        world.repository.archiver = replace(FAILING, dropped=lost)
        world.repository.failures["backup"] = (1, REFUSED)
        world.ask("tried", "Incremental")
        world.settle()
        assert phases(world)["tried"] == "Failed"
        world.repository.failures.clear()
        world.repository.archiver = Archiver(dropped=lost)
        world.settle()
        assert [label[-1] for label in world.repository.labels] == ["F", "F"]
        assert world.states["ContinuousArchiving"] == ("True", "Archiving")


def test_a_due_backup_is_full_where_it_also_closes_a_gap() -> None:
    with World() as world:
        backed_up(world)
        at(world, "2026-01-02T03:00:00+00:00")
        world.repository.archiver = Archiver(dropped=world.server.now - timedelta(minutes=1))
        world.settle()
        assert [label[-1] for label in world.repository.labels] == ["F", "F"]


def test_archiving_that_fails_is_told_once_and_changes_nothing_else() -> None:
    with World() as world:
        backed_up(world)
        for archiver, reason in (
            (FAILING, "ArchivingFails"),
            (replace(FAILING, waiting=5), "ArchivingFails"),
            (Archiver(waiting=9, waiting_seconds=99), "FallingBehind"),
            (Archiver(), "Archiving"),
        ):
            world.repository.archiver = archiver
            world.settle()
            assert world.states["ContinuousArchiving"][1] == reason
            assert level(world) == SOUND
        told = [reason for reason in events(world) if reason.startswith("Archiving")]
        assert told == ["ArchivingStopped", "ArchivingStopped", "ArchivingResumed"]


def test_a_store_whose_archiving_fails_is_looked_at_soon_as_it_tells_how_long_that_may_go_on() -> None:
    with World() as world:
        backed_up(world)
        world.repository.archiver = FAILING
        world.settle()
        assert world.again == timedelta(seconds=20)


def test_news_of_archiving() -> None:
    def status(state: str, reason: str) -> dict[str, object]:
        return {"conditions": [{"type": "ContinuousArchiving", "status": state, "reason": reason, "message": reason}]}

    well, fails, drops = status("True", "Archiving"), status("False", "ArchivingFails"), status("False", "WALDropped")
    begun = status("Unknown", "Pending")
    assert news({}, begun) == news(begun, well) == news(fails, fails) == ()
    assert news(well, fails) == (Emit("Warning", "ArchivingStopped", "ArchivingFails"),)
    assert news(fails, drops) == (Emit("Warning", "ArchivingStopped", "WALDropped"),)
    assert news(drops, well) == (Emit("Normal", "ArchivingResumed", "Archiving"),)
    assert news(begun, fails) == (Emit("Warning", "ArchivingStopped", "ArchivingFails"),)


def test_archiving_is_switched_on_and_off_without_another_pod() -> None:
    with World() as world:
        world.make().settle()
        pod = world.need("Pod", "agents-0")["metadata"]["uid"]
        assert parameters(world)["archive_command"] == "/bin/true"
        assert archive.OPTION not in conf(world)
        world.bucket().change(backup=BACKUP).settle()
        assert parameters(world)["archive_command"].endswith("archive-push %p")
        assert parameters(world)["archive_timeout"] == "30s"
        assert archive.OPTION in conf(world)
        world.change(backup=None).settle()
        assert parameters(world)["archive_command"] == "/bin/true"
        assert "archive_timeout" not in parameters(world)
        assert world.need("Pod", "agents-0")["metadata"]["uid"] == pod


def test_nothing_is_archived_before_there_is_a_place_for_it() -> None:
    """Else what is written until then would be dropped, or fill the volume."""
    with World() as world:
        world.make({"backup": BACKUP}).settle()
        assert parameters(world)["archive_command"] == "/bin/true"


def parameters(world: World) -> dict[str, str]:
    """PostgreSQL's, as Patroni has them."""
    config = json.loads(world.need("Endpoints", "agents-rw-config")["metadata"]["annotations"]["config"])
    found: dict[str, str] = config["postgresql"]["parameters"]
    return found


def conf(world: World) -> str:
    return str(world.need("ConfigMap", "agents-postgres")["data"][archive.FILE])


def queue(world: World) -> int:
    """What the instances are told, after another look."""
    world.settle()
    found = dict(line.split("=") for line in conf(world).splitlines() if line.startswith(archive.OPTION))
    return int(found[archive.OPTION])


def test_a_fifth_of_the_smallest_volume_stays_free() -> None:
    with World() as world:
        world.bucket().make({"postgres": {"instances": 2}, "backup": BACKUP})
        world.disk.volumes = {"agents-0": Volume(20 * GIB, 18 * GIB), "agents-1": Volume(10 * GIB, 8 * GIB)}
        assert queue(world) == 6 * GIB
        for free, expected in (
            (8 * GIB + 8 * MIB, 6 * GIB),
            (5 * GIB, 3 * GIB),
            (9 * GIB, 7 * GIB),
            (GIB, 64 * MIB),
            (3 * GIB + 5 * MIB, GIB),
        ):
            world.disk.volumes["agents-1"] = Volume(10 * GIB, free)
            assert queue(world) == expected
            assert queue(world) % (16 * MIB) == 0, "whole segments"


@pytest.mark.parametrize(
    ("wanted", "kept"), [(5.5, True), (5.4, False), (6.1, True), (7.9, True), (8.1, False), (0.0, False)]
)
def test_a_queue_that_is_nearly_right_stays(wanted: float, kept: bool) -> None:
    """A file that changes each time would be loaded each time. One that is too long eats of what shall stay free."""
    with World() as world:
        backed_up(world)
        world.disk.volumes["agents-0"] = Volume(20 * GIB, 10 * GIB)
        assert queue(world) == 6 * GIB
        world.disk.volumes["agents-0"] = Volume(20 * GIB, int((4 + wanted) * GIB))
        assert (queue(world) == 6 * GIB) == kept


def test_wal_that_waits_already_may_go_on_waiting() -> None:
    """What it takes of the volume is counted once."""
    with World() as world:
        backed_up(world)
        world.disk.volumes["agents-0"] = Volume(10 * GIB, 3 * GIB)
        world.repository.archiver = replace(FAILING, waiting=256)
        assert queue(world) == 5 * GIB


def test_volumes_that_do_not_tell_leave_the_queue_as_it_is() -> None:
    with World() as world:
        backed_up(world)
        world.disk.volumes["agents-0"] = Volume(10 * GIB, 4 * GIB)
        before = queue(world)
        store, seen = world.store(), replace(world.observed(), volumes={})
        plan = reconcile.plan(store, seen, PLATFORM, world.server.now)
        assert not [action for action in plan.actions if isinstance(action, Apply)]
        assert queue(world) == before
        config = world.need("ConfigMap", "agents-postgres")
        config = {**config, "data": {key: text for key, text in config["data"].items() if key != archive.FILE}}
        forgotten = {ref: config if ref.kind == "ConfigMap" else item for ref, item in seen.objects.items()}
        env = reconcile._env(store, PLATFORM)
        assert f"{archive.OPTION}={4 * GIB}" in archive.file(env, replace(seen, objects=forgotten), 10 * GIB, on=True)


@pytest.mark.parametrize("data", [None, {archive.FILE: f"{archive.OPTION}=64MiB"}, {archive.FILE: archive.OPTION}])
def test_a_configuration_that_somebody_spoiled_is_mended(data: dict[str, str] | None) -> None:
    with World() as world:
        backed_up(world)
        before = conf(world)
        world.edit("ConfigMap", "agents-postgres", {"data": data}).settle()
        assert conf(world) == before


def test_each_bucket_has_its_own_archive() -> None:
    with World() as world:
        backed_up(world, objectStore={**STORE, "url": "s3://whole"})
        assert (
            f"repo1-path=/shop/agents/{world.body['metadata']['uid']}\n"
            in world.secret("agents-repository")["repository.conf"]
        )
        assert jobs(world, "backup") == []
