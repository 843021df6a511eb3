"""The golden cases: each is a short story of one store, told in the simulated world up to the look that is planned."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from checkpointstore.features.schema.outcome import Outcome
from checkpointstore.kernel.naming import SHAPE
from tests.contract import nature
from tests.contract.world import NAMESPACE, World

from . import backup
from .look import applied, deleted, planned

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
TWO: dict[str, Any] = {"postgres": {"instances": 2}}
EXTERNAL: dict[str, Any] = {"postgres": {"provider": "External", "external": {"secretRef": {"name": "rds"}}}}
SCALED: dict[str, Any] = {"pooler": {"autoscaling": {"prometheus": {"url": "http://prometheus.monitoring.svc:9090"}}}}
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
    world.settle_until(lambda: planned(world, "Publish"))


def highly_available_synchronous(world: World) -> None:
    """A lone instance gets two standbys and waits for one of them."""
    world.make().settle()
    world.change(postgres={"instances": 3, "synchronous": {"number": 1}})


def rolling_change(world: World) -> None:
    """The standby is done: the primary hands over before it is replaced."""
    world.make(TWO).settle()
    world.change(postgres={"resources": {"limits": {"memory": "2Gi"}}})
    world.settle_until(lambda: planned(world, "Switchover"))


def rolling_change_of_a_lone_instance(world: World) -> None:
    world.make().settle()
    world.change(postgres={"resources": {"limits": {"memory": "2Gi"}}})
    world.settle_until(lambda: ("Pod", "agents-0") in deleted(world))


def unready_and_outdated(world: World) -> None:
    """A standby that is not ready goes first: the change may be what mends it."""
    world.make(TWO).settle()
    nature.tell(world.server, world.need("Pod", "agents-1"), phase="Running", ready=False)
    world.change(postgres={"resources": {"limits": {"memory": "2Gi"}}})
    world.settle_until(lambda: bool(deleted(world)))


def unready_and_leaving(world: World) -> None:
    """It goes once."""
    unready_and_outdated(world)
    world.delete("Pod", "agents-1")


def parameter_raised(world: World) -> None:
    """Standbys restart in their pods first."""
    world.make(TWO).settle()
    world.change(postgres={"parameters": {"max_connections": "200"}})
    world.settle_until(lambda: planned(world, "Restart"))


def parameter_lowered(world: World) -> None:
    """A standby must not have less than its primary: the primary restarts first."""
    world.make(TWO).settle()
    world.change(postgres={"parameters": {"max_connections": "70"}})
    world.settle_until(lambda: planned(world, "Restart"))


def parameter_of_a_lone_instance(world: World) -> None:
    world.make().settle()
    world.change(postgres={"parameters": {"max_connections": "200"}})
    world.settle_until(lambda: planned(world, "Restart"))


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
    world.settle_until(lambda: planned(world, "Publish"))


def external_verified(world: World) -> None:
    """The server's authority is known: poolers verify it, and get nothing else of the Secret."""
    world.rds(sslmode="verify-ca", **{"ca.crt": "an authority"})
    world.make({"postgres": {**EXTERNAL["postgres"], "images": {"pullSecrets": ["registry"]}}})
    world.settle_until(lambda: "Deployment" in applied(world))


def external_secret_missing(world: World) -> None:
    world.make(EXTERNAL)


def external_secret_incomplete(world: World) -> None:
    world.rds(port=None)
    world.make(EXTERNAL)


def tiering_due(world: World) -> None:
    """The recaller stands; the Job that moves threads is due."""
    world.bucket().make(backup.TIERED).settle()
    world.server.now += timedelta(hours=1)


def blobs_first_pass(world: World) -> None:
    """Applications get a Secret of their own."""
    world.buckets().make(backup.OUTSIDE)


def blobs_due(world: World) -> None:
    world.buckets().make(backup.OUTSIDE).settle()
    world.server.now += timedelta(hours=1)


def blobs_secret_missing(world: World) -> None:
    world.make(backup.OUTSIDE).settle()


def tiering_secret_missing(world: World) -> None:
    world.make(backup.TIERED).settle()


POOLER = {"app.kubernetes.io/component": "pooler"}


def pooler_grows(world: World) -> None:
    """Four pods instead of two, each with half the connections: the two become smaller before the others come."""
    world.make(SCALED).settle()
    world.load_asks(2, 40).settle()
    world.load_asks(4, 20)


def pooler_rebalances(world: World) -> None:
    """One of three pods is full: idle clients of it that came before the last pod was there connect anew."""
    world.make(SCALED).settle()
    world.load_asks(3, 20).settle()
    full = world.server.all("Pod", None, POOLER)[0]["metadata"]["name"]
    # Nobody new comes to it since the last look.
    world.load_is_uneven([full], 150).look()


def pooler_shrinks(world: World) -> None:
    """Two pods leave; those that stay grow when they have gone."""
    world.make(SCALED).settle()
    world.load_asks(4, 20).settle()
    world.load_asks(2, 40)


def pooler_limited(world: World) -> None:
    world.make(SCALED).settle()
    world.load_asks(2, 13, "ServerConnectionsExhausted", "Clients wait, and there is nothing left").settle()


def cost_told(world: World) -> None:
    """A backup has been made, both volumes tell what they hold, and threads have moved to the cold tier."""
    world.bucket().make({**TWO, **backup.TIERED, "backup": backup.BACKUP, "monitoring": {"cost": {}}}).settle()
    world.server.now += timedelta(hours=1)
    world.settle()


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
        *backup.STORIES,
        cost_told,
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
        pooler_grows,
        pooler_rebalances,
        pooler_shrinks,
        pooler_limited,
        tiering_due,
        tiering_secret_missing,
        blobs_first_pass,
        blobs_due,
        blobs_secret_missing,
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
