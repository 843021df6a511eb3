"""The golden cases of backups and of stores that begin with one."""

from typing import Any

from checkpointstore.kernel.observed import Archiver
from tests.contract.world import World

from .look import applied, planned

STORE: dict[str, Any] = {
    "url": "s3://backups/agents",
    "endpoint": "https://s3.example:9000",
    "credentials": {"name": "s3"},
    "ca": {"name": "s3-ca", "key": "ca.crt"},
}
BACKUP: dict[str, Any] = {"objectStore": STORE}
TIERED: dict[str, Any] = {
    "tiering": {
        "objectStore": STORE,
        "tiers": [{"name": "cold", "after": "90d", "storageClass": "STANDARD_IA"}],
        "schedule": "0 * * * *",
    }
}
OUTSIDE: dict[str, Any] = {
    "limits": {
        "externalize": {
            "above": "64Ki",
            "objectStore": STORE,
            "applicationCredentials": {"name": "agents-s3"},
            "schedule": "0 * * * *",
        }
    }
}
RECOVERY: dict[str, Any] = {
    "source": {"objectStore": STORE, "namespace": "lost", "store": "old"},
    "recoveryTarget": {"targetTime": "2026-01-01T00:00:00Z"},
}
REFUSED = {"reason": "CredentialsRejected", "message": "mend the credentials"}


def backup_first_pass(world: World) -> None:
    """A store that serves is told where backups go."""
    world.make().settle()
    world.bucket().change(backup=BACKUP)


def backup_due(world: World) -> None:
    """The first backup waits for no schedule."""
    backup_first_pass(world)
    world.settle_until(lambda: "CheckpointBackup" in applied(world))


def backup_made(world: World) -> None:
    """The Job has ended: its outcome is written down, and the first verification begins."""
    backup_first_pass(world)
    world.settle_until(lambda: planned(world, "BackupCompleted"))


def backup_verified(world: World) -> None:
    backup_first_pass(world)
    world.settle_until(lambda: planned(world, "BackupVerified"))


def backup_failed(world: World) -> None:
    backup_first_pass(world)
    world.repository.failures["backup"] = (1, REFUSED)
    world.settle_until(lambda: planned(world, "BackupFailed"))


def backup_settled(world: World) -> None:
    """All stands and is archived; nothing is due."""
    world.bucket().make({"postgres": {"instances": 2}, "backup": BACKUP}).settle()


def archiving_fails(world: World) -> None:
    backup_settled(world)
    world.repository.archiver = Archiver(70, 900.0, failing=True, cause="unreachable", rate=1_000_000)


def wal_dropped(world: World) -> None:
    """The object store answers again: a full backup closes the gap."""
    backup_settled(world)
    world.tick(30)
    world.repository.archiver = Archiver(dropped=world.server.now)


def backup_taken_away(world: World) -> None:
    """Somebody asks for one all the same."""
    backup_settled(world)
    world.change(backup=None).ask("by-hand")


def backup_secret_missing(world: World) -> None:
    world.make({"backup": BACKUP})
    world.settle_until(lambda: "SecretMissing" in str(world.status))


def recovery_looks(world: World) -> None:
    """Nothing is made before it is known what to recover from."""
    world.bucket().make({"bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: "Job" in applied(world))


def recovery_restores(world: World) -> None:
    world.bucket().make({"bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: "PersistentVolumeClaim" in applied(world))


def recovery_done(world: World) -> None:
    """Patroni finds the data."""
    world.bucket().make({"bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: world.status.get("recovery", {}).get("phase") == "Completed")


def recovery_deletes_again(world: World) -> None:
    """Nobody is let in before what had been deleted is deleted again."""
    world.bucket().make({**TIERED, "bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: "RepeatingDeletions" in str(world.status))


def recovery_refused(world: World) -> None:
    world.repository.failures["look"] = (64, {"reason": "TargetInGap", "message": "the archive has a hole"})
    world.bucket().make({"bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: "TargetInGap" in str(world.status))


STORIES = (
    backup_first_pass,
    backup_due,
    backup_made,
    backup_verified,
    backup_failed,
    backup_settled,
    archiving_fails,
    wal_dropped,
    backup_taken_away,
    backup_secret_missing,
    recovery_looks,
    recovery_restores,
    recovery_done,
    recovery_deletes_again,
    recovery_refused,
)
