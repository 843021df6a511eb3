"""PostgreSQL by Patroni: what shall exist, which instance to replace next, and what to tell."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...kernel.action import Action, Delete, Emit, Ref, Switchover
from ...kernel.condition import INITIALIZED, POSTGRES_AVAILABLE, Condition, broken, changing, true, waiting
from ...kernel.contribution import Contribution, Database
from ...kernel.env import Env
from ...kernel.observed import Observed
from ...kernel.pki import hosts, leaf
from ..spec import Postgres
from . import config, network, workload
from .member import Member, initialized, leader, members
from .parameter import RESERVED_CONNECTIONS, max_connections


def contribute(
    spec: Postgres,
    env: Env,
    observed: Observed,
    now: datetime,
    previous: Mapping[str, Any],
    adopt: bool,
    delete_volumes: bool,
) -> tuple[Contribution, Database]:
    """`previous` is the store's status as it was; `adopt` and `delete_volumes` come from the rest of its spec."""
    found = members(observed)
    primary = leader(env, observed)
    serving = any(member.name == primary and member.ready for member in found)
    database = Database(
        host=env.host(env.names.rw),
        port=config.PORT,
        database="app",
        primary=primary,
        serving=serving,
        max_connections=max_connections(spec.resources.memory(), spec.parameters),
        reserved_connections=RESERVED_CONNECTIONS,
    )
    if blocked := _blocked(env, observed, previous, adopt, spec):
        return Contribution(conditions=(blocked,)), database
    replaced, rolling = _roll(env, observed, found, primary)
    return Contribution(
        desired=(
            *network.account(env),
            *network.services(env),
            config.file(spec, env),
            config.dynamic(spec, env),
            workload.disruption_budget(spec, env),
            workload.statefulset(spec, env, delete_volumes),
        ),
        actions=(*_certificates(env, observed, now), *replaced),
        conditions=_conditions(spec, env, observed, found, database, rolling),
        status={"postgres": _status(spec, found, primary)},
    ), database


def _certificates(env: Env, observed: Observed, now: datetime) -> tuple[Action, ...]:
    names = env.names
    served = (*hosts(env, names.rw, names.ro), f"*.{env.host(names.pods)}")
    return (
        *leaf(env, observed, now, names.postgres_tls, "standby", served),
        *leaf(env, observed, now, names.admin_tls, "postgres"),
    )


def _blocked(
    env: Env, observed: Observed, previous: Mapping[str, Any], adopt: bool, spec: Postgres
) -> Condition | None:
    """Why nothing may be started: volumes of an earlier store, or no StorageClass to make one from."""
    started = observed.get("StatefulSet", env.names.postgres) is not None or any(
        item.get("type") == INITIALIZED and item.get("status") == "True" for item in previous.get("conditions", ())
    )
    if started:
        return None
    volumes = [volume["metadata"]["name"] for volume in observed.all("PersistentVolumeClaim")]
    if volumes and not adopt:
        return broken(
            INITIALIZED,
            "DataExists",
            f"Volumes of an earlier store of this name exist ({', '.join(volumes)}): set spec.bootstrap.adopt to true "
            "to take them over, or delete them",
        )
    if spec.storage.storage_class_name is None and not observed.default_storage_class:
        return broken(
            INITIALIZED,
            "NoDefaultStorageClass",
            "The cluster has no default StorageClass: set spec.postgres.storage.storageClassName in a new store, "
            "or mark a StorageClass as default",
        )
    return None


def _roll(env: Env, observed: Observed, found: tuple[Member, ...], primary: str) -> tuple[tuple[Action, ...], bool]:
    """The next step of a rolling change: standbys first, one at a time, the primary last and after a switchover."""
    live = observed.get("StatefulSet", env.names.postgres)
    wanted = str((live or {}).get("status", {}).get("updateRevision", ""))
    old = [member for member in found if wanted and member.revision != wanted]
    if not old:
        return (), False
    settled = all(member.ready for member in found) and bool(primary)
    broken_first = [member for member in old if not member.ready]
    if broken_first:
        return (Delete(Ref("Pod", broken_first[0].name)),), True
    if not settled:
        return (), True
    standby = next((member for member in old if member.name != primary), None)
    if standby:
        return (Delete(Ref("Pod", standby.name)),), True
    target = next((member for member in found if member.name != primary), None)
    if target is None:
        return (
            Emit("Normal", "InstanceReplaced", f"Replacing the only instance {primary}: writes pause"),
            Delete(Ref("Pod", primary)),
        ), True
    return (
        Emit(
            "Normal",
            "Switchover",
            f"Handing the primary over from {primary} to {target.name} for a rolling change",
        ),
        Switchover(f"{env.names.rw}-failover", primary, target.name),
    ), True


def _conditions(
    spec: Postgres, env: Env, observed: Observed, found: tuple[Member, ...], database: Database, rolling: bool
) -> tuple[Condition, ...]:
    ready = sum(member.ready for member in found)
    started = initialized(env, observed) and (database.serving or bool(database.primary))
    first = (
        true(INITIALIZED, "BootstrapCompleted", "The data directory exists")
        if started
        else waiting(INITIALIZED, "Bootstrapping", "The first instance is making the data directory")
    )
    if not database.serving:
        now = waiting(
            POSTGRES_AVAILABLE,
            "NoPrimary",
            f"No primary serves; {ready} of {spec.instances} instances are ready",
        )
    elif rolling:
        now = changing(POSTGRES_AVAILABLE, "RollingChange", "Instances are being replaced one by one, the primary last")
    elif ready < spec.instances:
        now = changing(POSTGRES_AVAILABLE, "InstancesMissing", f"{ready} of {spec.instances} instances are ready")
    else:
        now = true(POSTGRES_AVAILABLE, "AllInstancesReady", f"{ready} of {spec.instances} instances are ready")
    return first, now


def _status(spec: Postgres, found: tuple[Member, ...], primary: str) -> dict[str, Any]:
    lead = next((member for member in found if member.name == primary), None)
    return {
        "provider": spec.provider.value,
        "primary": primary,
        "instances": spec.instances,
        "readyInstances": sum(member.ready for member in found),
        "timeline": lead.timeline if lead else 0,
    }
