"""What a recovery needs before it can begin: room, Secrets, no older data, and something to recover from."""

from datetime import timedelta

import pytest

from tests.contract.repository import UID
from tests.contract.world import DEFAULT_CLASS, NAMESPACE, World
from tests.golden.backup import RECOVERY, STORE
from tests.unit.backup.story import (
    SOUND,
    backed_up,
    jobs,
    kinds,
    level,
    looking,
    pass_by,
    request,
)

SMALL = {"postgres": {"storage": {"size": "16Mi"}}}


def recovers(world: World) -> World:
    return world.bucket().make({"bootstrap": {"recovery": RECOVERY}})


def test_a_volume_that_is_too_small_is_told_and_may_be_made_larger() -> None:
    with World() as world:
        world.bucket().make({**SMALL, "bootstrap": {"recovery": RECOVERY}})
        pass_by(world, 8)
        assert world.states["Stalled"] == ("True", "VolumeTooSmall")
        assert world.condition("Initialized")["message"] == "The backup holds 29Mi: raise spec.postgres.storage.size"
        assert "PersistentVolumeClaim" not in kinds(world)
        world.change(postgres={"storage": {"size": "1Gi"}}).settle()
        assert level(world) == SOUND


def test_volumes_of_an_earlier_store_are_never_written_over() -> None:
    with World() as world:
        world.make().settle()
        world.delete("CheckpointStore", "agents").tick(5)
        before = world.need("PersistentVolumeClaim", "data-agents-0")
        recovers(world)
        pass_by(world, 5)
        assert world.states["Stalled"] == ("True", "DataExists")
        assert "data-agents-0" in world.condition("Initialized")["message"]
        assert jobs(world, "recovery") == []
        assert world.need("PersistentVolumeClaim", "data-agents-0") == before
        world.delete("PersistentVolumeClaim", "data-agents-0").settle()
        assert level(world) == SOUND


def test_no_volume_can_be_made_is_known_before_anything_is_looked_for() -> None:
    with World() as world:
        world.delete_class()
        recovers(world)
        pass_by(world, 3)
        assert world.states["Stalled"] == ("True", "NoDefaultStorageClass")
        assert kinds(world) == set()
        world.server.create(DEFAULT_CLASS)
        world.settle()
        assert level(world) == SOUND


@pytest.mark.parametrize(("name", "reason"), [("s3", "SecretMissing"), ("s3-ca", "SecretMissing")])
def test_a_missing_secret_is_told_and_the_recovery_goes_on_when_it_is_there(name: str, reason: str) -> None:
    with World() as world:
        world.bucket()
        secret = world.secret(name)
        world.delete("Secret", name).make({"bootstrap": {"recovery": RECOVERY}})
        pass_by(world, 3)
        assert world.states["Stalled"] == ("True", reason)
        assert f"Secret {name} is not in this namespace" in world.condition("Initialized")["message"]
        assert kinds(world) == set()
        assert world.again == timedelta(seconds=5)
        world.give(name, secret).settle()
        assert level(world) == SOUND


def test_a_missing_key_is_told() -> None:
    with World() as world:
        world.bucket().edit("Secret", "s3", {"data": {"AWS_ACCESS_KEY_ID": None}})
        world.make({"bootstrap": {"recovery": RECOVERY}}).look()
        assert world.states["Stalled"] == ("True", "SecretIncomplete")
        assert world.condition("Stalled")["message"] == "Secret s3 lacks AWS_ACCESS_KEY_ID"


def lost(world: World) -> World:
    """A store with a backup is gone, with its volumes."""
    backed_up(world)
    world.delete("CheckpointStore", "agents").tick(4).delete("PersistentVolumeClaim", "data-agents-0")
    return world.tick()


def test_a_checkpoint_backup_says_where_and_what_to_recover() -> None:
    with World() as world:
        lost(world)
        (name,) = world.backups()
        old = world.backups()[name]["source"]["uid"]
        world.make({"bootstrap": {"recovery": {"backup": {"name": name}}}})
        world.settle_until(lambda: looking(world) != [])
        assert request(looking(world)[0]) == {
            "base": "/agents/shop/agents",
            "target": {"backupId": world.repository.labels[0]},
            "uid": old,
        }
        world.settle()
        assert level(world) == SOUND
        assert world.body["metadata"]["uid"] != old


def test_a_checkpoint_backup_may_be_a_way_to_another_moment() -> None:
    with World() as world:
        lost(world)
        (name,) = world.backups()
        target = {"targetTime": "2026-01-01T00:00:05Z"}
        world.make({"bootstrap": {"recovery": {"backup": {"name": name}, "recoveryTarget": target}}})
        world.settle_until(lambda: looking(world) != [])
        assert request(looking(world)[0])["target"] == {"time": "2026-01-01T00:00:05Z"}


def test_the_secrets_that_a_checkpoint_backup_names_are_needed_and_found() -> None:
    with World() as world:
        lost(world)
        (name,) = world.backups()
        secret = world.secret("s3")
        world.delete("Secret", "s3").make({"bootstrap": {"recovery": {"backup": {"name": name}}}})
        pass_by(world, 3)
        assert world.states["Stalled"] == ("True", "SecretMissing")
        world.give("s3", secret).settle()
        assert level(world) == SOUND


@pytest.mark.parametrize("phase", ["", "Running", "Failed"])
def test_a_checkpoint_backup_that_was_not_completed_is_nothing_to_recover_from(phase: str) -> None:
    with World() as world:
        world.ask("by-hand", store="other").bucket()
        if phase:
            world.server.patch("CheckpointBackup", NAMESPACE, "by-hand", {"status": {"phase": phase}}, "it", "status")
        world.make({"bootstrap": {"recovery": {"backup": {"name": "by-hand"}}}})
        pass_by(world, 3)
        assert world.states["Stalled"] == ("True", "BackupMissing")
        assert "by-hand was not completed" in world.condition("Initialized")["message"]
        assert kinds(world) == set()


def test_a_checkpoint_backup_that_is_missing_is_waited_for() -> None:
    with World() as world:
        lost(world)
        (name,) = world.backups()
        body = world.need("CheckpointBackup", name)
        world.delete("CheckpointBackup", name).make({"bootstrap": {"recovery": {"backup": {"name": name}}}})
        pass_by(world, 3)
        assert world.states["Stalled"] == ("True", "BackupMissing")
        assert f"CheckpointBackup {name} is not in this namespace" in world.condition("Initialized")["message"]
        world.server.create(body)
        world.settle()
        assert level(world) == SOUND


def test_a_source_of_its_own_name_and_namespace_needs_only_the_bucket() -> None:
    with World() as world:
        world.bucket().make({"bootstrap": {"recovery": {"source": {"objectStore": STORE, "uid": UID}}}})
        world.settle_until(lambda: looking(world) != [])
        assert request(looking(world)[0]) == {"base": "/agents/shop/agents", "target": {}, "uid": UID}
        world.settle()
        assert world.status["recovery"]["clamped"] is False


@pytest.mark.parametrize("edited", [None, {}, {"objectStore": "s3://backups"}])
def test_a_checkpoint_backup_whose_status_somebody_edited_is_told(edited: object) -> None:
    with World() as world:
        world.bucket().ask("broken", store="other")
        status = {"phase": "Completed", "backupID": "20260101-000000F", "source": edited}
        world.server.patch("CheckpointBackup", NAMESPACE, "broken", {"status": status}, "kubectl-edit", "status")
        world.make({"bootstrap": {"recovery": {"backup": {"name": "broken"}}}})
        world.look()
        assert world.states["Initialized"] == ("False", "BackupMissing")
        assert "somebody has edited it" in world.condition("Initialized")["message"]
