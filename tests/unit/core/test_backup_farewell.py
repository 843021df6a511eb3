"""`reclaimPolicy.backups: Delete`: the repository goes with its store, and keeps it no longer than ten minutes."""

from datetime import timedelta

import pytest

from checkpointstore.kernel.contribution import PATIENCE
from checkpointstore.kernel.naming import FINALIZER
from tests.contract.world import NAMESPACE, World
from tests.golden.backup import BACKUP, STORE
from tests.unit.backup.story import (
    SOUND,
    deleted,
    events,
    finalizers,
    jobs,
    known,
    later,
    level,
    names,
    pass_by,
    phases,
    request,
    stopped,
)

DELETE = {"backup": BACKUP, "reclaimPolicy": {"backups": "Delete"}}


def backed_up(world: World) -> World:
    return known(world, "reclaim", lambda first: first.bucket().make(DELETE).settle())


def test_the_finalizer_is_there_exactly_while_backups_are_to_go() -> None:
    with World() as world:
        backed_up(world)
        assert finalizers(world) == [FINALIZER]
        assert level(world) == SOUND
        world.edit("CheckpointStore", "agents", {"metadata": {"finalizers": ["theirs", FINALIZER]}})
        world.change(reclaimPolicy={"backups": "Retain"}).settle()
        assert finalizers(world) == ["theirs"]
        world.change(reclaimPolicy={"backups": "Delete"}).settle()
        assert finalizers(world) == ["theirs", FINALIZER]
        world.change(backup=None).settle()
        assert finalizers(world) == ["theirs"]


def test_backups_stay_unless_somebody_says_otherwise() -> None:
    with World() as world:
        world.bucket().make({"backup": BACKUP}).settle()
        assert finalizers(world) == []
        assert deleted(world).look() == 0
        assert world.repository.labels


def test_the_repository_goes_when_nobody_archives_any_more() -> None:
    with World() as world:
        backed_up(world)
        world.ask("elsewhere").ask("theirs", store="other")
        status = {"phase": "Completed", "repository": "s3://elsewhere", "backupID": "20200101-000000F"}
        world.server.patch("CheckpointBackup", NAMESPACE, "elsewhere", {"status": status}, "them", "status")
        uid = world.body["metadata"]["uid"]
        deleted(world).look()
        assert world.server.get("StatefulSet", NAMESPACE, "agents") is None
        assert jobs(world, "backup") == []
        world.look()
        assert jobs(world, "backup") == [], "its pods still stop"
        world.settle_until(lambda: jobs(world, "backup") != [])
        (job,) = jobs(world, "backup")
        assert request(job) == {"base": "/agents/shop/agents", "uid": uid}
        assert job["spec"]["template"]["spec"]["containers"][0]["name"] == "erase"
        assert finalizers(world) == [FINALIZER]
        world.settle_until(lambda: finalizers(world) == [])
        assert world.repository.labels == []
        assert set(phases(world)) == {"elsewhere", "theirs"}
        assert events(world).count("BackupsDeleted") == 1
        assert world.look() == 0


def test_what_cannot_be_deleted_is_left_after_ten_minutes() -> None:
    with World() as world:
        backed_up(world)
        world.repository.failures["erase"] = (1, {"reason": "RepositoryUnreachable", "message": "no answer"})
        since = world.server.now
        deleted(world)
        pass_by(world, 10)
        assert names(world, "backup") == ["agents-backup-erase"]
        assert world.again == timedelta(seconds=5)
        world.server.now = since + PATIENCE
        world.look()
        assert finalizers(world) == [FINALIZER]
        later(world, seconds=1).look()
        assert finalizers(world) == []
        assert events(world).count("BackupsLeft") == 1
        assert world.repository.labels
        assert list(phases(world).values()) == ["Completed"]


def test_a_namespace_that_is_being_deleted_is_not_held_up(caplog: pytest.LogCaptureFixture) -> None:
    """No Job can be made there any more."""
    with World() as world:
        stopped(backed_up(world))
        world.server.terminating.add(NAMESPACE)
        deleted(world)
        world.settle_until(lambda: finalizers(world) == [], limit=10)
        assert world.repository.labels, "nobody could delete them"
        assert "its namespace is being deleted" in caplog.text


def test_what_was_deleted_before_its_namespace_went_is_not_called_left(caplog: pytest.LogCaptureFixture) -> None:
    with World() as world:
        backed_up(world)
        deleted(world).settle_until(lambda: world.repository.labels == [])
        world.server.terminating.add(NAMESPACE)
        world.settle_until(lambda: finalizers(world) == [], limit=10)
        assert "is left in the object store" not in caplog.text
        assert world.look() == 0


def test_a_running_erasure_is_left_alone() -> None:
    with World() as world:
        stopped(backed_up(world))
        pass_by(deleted(world), 8)
        (job,) = jobs(world, "backup")
        assert world.look() == 0
        assert jobs(world, "backup") == [job]


def test_a_store_that_never_had_a_repository_goes_at_once() -> None:
    with World() as world:
        world.make({"backup": {"objectStore": STORE}, "reclaimPolicy": {"backups": "Delete"}}).settle()
        assert world.states["Stalled"] == ("True", "SecretMissing")
        assert finalizers(world) == [FINALIZER]
        deleted(world).look()
        assert finalizers(world) == []


def test_a_spec_that_cannot_be_read_holds_nothing() -> None:
    with World() as world:
        backed_up(world)
        deleted(world).change(postgres={"instances": 0}).look()
        assert finalizers(world) == []
