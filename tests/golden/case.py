"""The golden cases: each is a short story of one store, told in the simulated world up to the look that is planned."""

from collections.abc import Callable
from typing import Any

from checkpointstore.features.schema.outcome import Outcome
from checkpointstore.kernel.action import Apply, Delete
from checkpointstore.kernel.naming import SHAPE
from checkpointstore.kernel.observed import Archiver
from tests.contract import nature
from tests.contract.world import NAMESPACE, World

Story = Callable[[World], object]

FULL: dict[str, Any] = {
    "postgres": {
        "instances": 3,
        "synchronous": {"number": 1, "dataDurability": "Preferred"},
        "storage": {"size": "50Gi", "storageClassName": "fast"},
        "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        "parameters": {"work_mem": "16MB"},
        "updateStrategy": "Supervised",
        "scheduling": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "database", "operator": "Exists", "effect": "NoSchedule"}],
            "priorityClassName": "important",
        },
        "images": {"postgres": "registry.example/postgres@sha256:0123", "pullSecrets": ["registry"]},
    },
    "schema": {"modules": ["LangGraph"]},
    "pooler": {"poolMode": "Session", "instances": 3, "resources": {"limits": {"memory": "128Mi"}}},
    "reclaimPolicy": {"volumes": "Delete"},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"team": "agents"}}}]},
}
STORE: dict[str, Any] = {
    "url": "s3://backups/agents",
    "endpoint": "https://s3.example:9000",
    "credentials": {"name": "s3"},
    "ca": {"name": "s3-ca", "key": "ca.crt"},
}
BACKUP: dict[str, Any] = {"objectStore": STORE}
RECOVERY: dict[str, Any] = {
    "source": {"objectStore": STORE, "namespace": "lost", "store": "old"},
    "recoveryTarget": {"targetTime": "2026-01-01T00:00:00Z"},
}
REFUSED = {"reason": "CredentialsRejected", "message": "mend the credentials"}
TWO: dict[str, Any] = {"postgres": {"instances": 2}}
EXTERNAL: dict[str, Any] = {"postgres": {"provider": "External", "external": {"secretRef": {"name": "rds"}}}}
SHALLOW = Outcome.failure("ShallowSchema", "public.checkpoints has the shape of ShallowPostgresSaver")


def minimal_first_pass(world: World) -> None:
    world.make()


def full_first_pass(world: World) -> None:
    world.make_class("fast").make(FULL)


def storage_class_missing(world: World) -> None:
    world.make(FULL)


def converged(world: World) -> None:
    world.make().settle()


def schema_done(world: World) -> None:
    """The Job has just completed: the binding is published."""
    world.make()
    world.settle_until(lambda: _planned(world, "Publish"))


def highly_available_synchronous(world: World) -> None:
    """A lone instance gets two standbys and waits for one of them."""
    world.make().settle()
    world.change(postgres={"instances": 3, "synchronous": {"number": 1}})


def rolling_change(world: World) -> None:
    """The standby is done: the primary hands over before it is replaced."""
    world.make(TWO).settle()
    world.change(postgres={"resources": {"limits": {"memory": "2Gi"}}})
    world.settle_until(lambda: _planned(world, "Switchover"))


def rolling_change_of_a_lone_instance(world: World) -> None:
    world.make().settle()
    world.change(postgres={"resources": {"limits": {"memory": "2Gi"}}})
    world.settle_until(lambda: ("Pod", "agents-0") in _deleted(world))


def unready_and_outdated(world: World) -> None:
    """A standby that is not ready goes first: the change may be what mends it."""
    world.make(TWO).settle()
    nature.tell(world.server, world.need("Pod", "agents-1"), phase="Running", ready=False)
    world.change(postgres={"resources": {"limits": {"memory": "2Gi"}}})
    world.settle_until(lambda: bool(_deleted(world)))


def unready_and_leaving(world: World) -> None:
    """It goes once."""
    unready_and_outdated(world)
    world.delete("Pod", "agents-1")


def parameter_raised(world: World) -> None:
    """Standbys restart in their pods first."""
    world.make(TWO).settle()
    world.change(postgres={"parameters": {"max_connections": "200"}})
    world.settle_until(lambda: _planned(world, "Restart"))


def parameter_lowered(world: World) -> None:
    """A standby must not have less than its primary: the primary restarts first."""
    world.make(TWO).settle()
    world.change(postgres={"parameters": {"max_connections": "70"}})
    world.settle_until(lambda: _planned(world, "Restart"))


def parameter_of_a_lone_instance(world: World) -> None:
    world.make().settle()
    world.change(postgres={"parameters": {"max_connections": "200"}})
    world.settle_until(lambda: _planned(world, "Restart"))


def release_waits_its_turn(world: World) -> None:
    """Another store is taking the new release up."""
    world.make().settle()
    old = {"containers": [{"name": "postgres", "image": "images/postgres:0"}]}
    world.edit("Pod", "agents-0", {"spec": old, "metadata": {"annotations": {SHAPE: "another"}}})
    world.turn = False


def supervised_waiting(world: World) -> None:
    world.make({"postgres": {**TWO["postgres"], "updateStrategy": "Supervised"}}).settle()
    world.change(postgres={"resources": {"limits": {"memory": "2Gi"}}})
    world.look()
    world.tick(2)


def backup_first_pass(world: World) -> None:
    """A store that serves is told where backups go."""
    world.make().settle()
    world.bucket().change(backup=BACKUP)


def backup_due(world: World) -> None:
    """The first backup waits for no schedule."""
    backup_first_pass(world)
    world.settle_until(lambda: "CheckpointBackup" in _applied(world))


def backup_made(world: World) -> None:
    """The Job has ended: its outcome is written down, and the first verification begins."""
    backup_first_pass(world)
    world.settle_until(lambda: _planned(world, "BackupCompleted"))


def backup_verified(world: World) -> None:
    backup_first_pass(world)
    world.settle_until(lambda: _planned(world, "BackupVerified"))


def backup_failed(world: World) -> None:
    backup_first_pass(world)
    world.repository.failures["backup"] = (1, REFUSED)
    world.settle_until(lambda: _planned(world, "BackupFailed"))


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
    world.settle_until(lambda: "Job" in _applied(world))


def recovery_restores(world: World) -> None:
    world.bucket().make({"bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: "PersistentVolumeClaim" in _applied(world))


def recovery_done(world: World) -> None:
    """Patroni finds the data."""
    world.bucket().make({"bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: world.status.get("recovery", {}).get("phase") == "Completed")


def recovery_refused(world: World) -> None:
    world.repository.failures["look"] = (64, {"reason": "TargetInGap", "message": "the archive has a hole"})
    world.bucket().make({"bootstrap": {"recovery": RECOVERY}})
    world.settle_until(lambda: "TargetInGap" in str(world.status))


def paused(world: World) -> None:
    """A change is due and nobody may make it."""
    world.make(TWO).settle()
    world.command("paused", "true").change(postgres={"instances": 3})


def hibernated(world: World) -> None:
    world.make(TWO).settle()
    world.command("hibernate", "true").settle()


def hibernate(world: World) -> None:
    world.make(TWO).settle()
    world.command("hibernate", "true")


def switchover(world: World) -> None:
    world.make(TWO).settle()
    world.command("switchover", "agents-1")


def switchover_refused(world: World) -> None:
    world.make(TWO).settle()
    world.command("switchover", "agents-7")


def rotation(world: World) -> None:
    world.make().settle()
    world.command("rotate-credentials", "2026-01-01")


def authority_rotation(world: World) -> None:
    world.make().settle()
    world.command("rotate-authority", "2026-01-01")


def unreachable_pooler(world: World) -> None:
    world.make().settle()
    world.silent = frozenset({world.server.all("Pod", NAMESPACE, POOLER)[0]["status"]["hostIP"]})


def name_taken(world: World) -> None:
    """A stranger's ConfigMap was there first; the first pass stumbled over it."""
    meta = {"name": "agents-postgres", "namespace": NAMESPACE}
    world.server.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {}}, "kubectl-create")
    world.make()
    world.look()
    world.tick()


def data_exists(world: World) -> None:
    """An earlier store of the name has left its volume."""
    world.make().settle()
    world.delete("CheckpointStore", "agents").tick(5).make()


def adopted(world: World) -> None:
    world.make().settle()
    world.delete("CheckpointStore", "agents").tick(5).make({"bootstrap": {"adopt": True}})


def no_default_storage_class(world: World) -> None:
    world.delete_class()
    world.make()


def refused_schema(world: World) -> None:
    world.refusal = SHALLOW
    world.make()
    for _ in range(6):
        world.look()
        world.tick()


def refused_schema_again(world: World) -> None:
    """Two minutes later the Job is tried again."""
    refused_schema(world)
    world.tick(120)


def volume_growth(world: World) -> None:
    world.make(TWO).settle()
    world.change(postgres={"storage": {"size": "20Gi"}})


def scale_down_past_the_primary(world: World) -> None:
    world.make(TWO).settle()
    world.command("switchover", "agents-1").settle()
    world.change(postgres={"instances": 1})


def no_primary(world: World) -> None:
    """The lone instance is gone; nothing is written, Ready is False."""
    world.make().settle()
    world.delete("Pod", "agents-0")


def certificate_lost(world: World) -> None:
    """The poolers that run have read theirs: they stay while another is made."""
    world.make().settle()
    world.delete("Secret", "agents-pooler-tls")


def stranger(world: World) -> None:
    """Somebody edits a Service of ours, deletes a budget and leaves a ConfigMap under our label."""
    world.make().settle()
    world.edit("Deployment", "agents-pooler", {"spec": {"replicas": 9}})
    world.delete("PodDisruptionBudget", "agents")
    world.edit("Secret", "agents-app", {"data": {"password": ""}})


def external_first_pass(world: World) -> None:
    world.rds()
    world.make(EXTERNAL)


def external_converged(world: World) -> None:
    world.rds()
    world.make(EXTERNAL).settle()


def external_rotation(world: World) -> None:
    """Database and poolers let the second login in: the binding follows."""
    external_converged(world)
    world.command("rotate-credentials", "2026-01-01")
    world.settle_until(lambda: _planned(world, "Publish"))


def external_verified(world: World) -> None:
    """The server's authority is known: poolers verify it, and get nothing else of the Secret."""
    world.rds(sslmode="verify-ca", **{"ca.crt": "an authority"})
    world.make({"postgres": {**EXTERNAL["postgres"], "images": {"pullSecrets": ["registry"]}}})
    world.settle_until(lambda: "Deployment" in _applied(world))


def external_secret_missing(world: World) -> None:
    world.make(EXTERNAL)


def external_secret_incomplete(world: World) -> None:
    world.rds(port=None)
    world.make(EXTERNAL)


def _planned(world: World, what: str) -> bool:
    """Whether an action of that name, or an event of that reason, is due."""
    return any(what in (type(item).__name__, getattr(item, "reason", "")) for item in world.plan().actions)


def _applied(world: World) -> set[str]:
    return {item.manifest["kind"] for item in world.plan().actions if isinstance(item, Apply)}


def _deleted(world: World) -> list[tuple[str, str]]:
    return [(item.ref.kind, item.ref.name) for item in world.plan().actions if isinstance(item, Delete)]


POOLER = {"app.kubernetes.io/component": "pooler"}
CASES: dict[str, Story] = {
    story.__name__.replace("_", "-"): story
    for story in (
        minimal_first_pass,
        full_first_pass,
        storage_class_missing,
        schema_done,
        converged,
        highly_available_synchronous,
        rolling_change,
        rolling_change_of_a_lone_instance,
        unready_and_outdated,
        unready_and_leaving,
        parameter_raised,
        parameter_lowered,
        parameter_of_a_lone_instance,
        release_waits_its_turn,
        supervised_waiting,
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
        recovery_refused,
        paused,
        hibernate,
        hibernated,
        switchover,
        switchover_refused,
        rotation,
        authority_rotation,
        unreachable_pooler,
        name_taken,
        data_exists,
        adopted,
        no_default_storage_class,
        refused_schema,
        refused_schema_again,
        volume_growth,
        scale_down_past_the_primary,
        no_primary,
        certificate_lost,
        stranger,
        external_first_pass,
        external_converged,
        external_verified,
        external_rotation,
        external_secret_missing,
        external_secret_incomplete,
    )
}
