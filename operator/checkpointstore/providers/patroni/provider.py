"""PostgreSQL by Patroni: what shall exist, which instance to replace next, and what to tell."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ...kernel import predecessor
from ...kernel.action import Action, Emit, Switchover
from ...kernel.command import RESTART, Commands
from ...kernel.condition import (
    INITIALIZED,
    POSTGRES_AVAILABLE,
    RECONCILING,
    Condition,
    Status,
    broken,
    changing,
    true,
    waiting,
)
from ...kernel.contribution import Contribution, Database, Instances
from ...kernel.env import Env
from ...kernel.observed import Observed
from ...kernel.pki import hosts, leaf
from ..spec import Postgres
from . import archive, backoff, config, fullness, growth, network, revision, workload
from .member import Member, initialized, leader, members, synchronous
from .parameter import RESERVED_CONNECTIONS, SOCKET, max_connections
from .place import CONFIG, PGDATA
from .renewal import AGAIN, loaded, renew
from .rolling import Step, evacuate, roll, switchover
from .sizing import made, shape

SOON, YOUNG = timedelta(seconds=1), timedelta(minutes=2)
"""How soon Patroni's records are looked at again while a change is no older than that; then after AGAIN."""


def contribute(
    spec: Postgres,
    env: Env,
    observed: Observed,
    now: datetime,
    previous: Mapping[str, Any],
    commands: Commands,
    created: datetime,
    adopt: bool,
    recovered: bool,
    delete_volumes: bool,
    archives: bool,
) -> tuple[Contribution, Database | None]:
    """`previous` is the store's status as it was, `created` its age; what follows comes from the rest of its spec."""
    # A command that is taken back has been carried out all the same: nothing is restarted for its absence.
    commands = replace(commands, restart=commands.restart or _restart_in_force(env, observed))
    found = members(observed)
    primary = leader(env, observed)
    full = fullness.full(observed)
    serving = primary not in full and any(member.name == primary and member.ready for member in found)
    database = Database(
        provider="Patroni",
        logins=("app_a", "app_b"),
        admin=env.names.admin_tls,
        admin_version="",
        certificates=True,
        settled=loaded(spec, env, observed),
        server_tls="verify-full",
        host=env.host(env.names.rw),
        port=config.PORT,
        database=config.DATABASE,
        primary=primary,
        serving=serving,
        max_connections=max_connections(spec.resources.memory(), spec.parameters),
        measured=True,
        reserved_connections=RESERVED_CONNECTIONS,
        spare=fullness.spare(observed, [env.names.instance(ordinal) for ordinal in range(spec.instances)]),
    )
    if blocked := _blocked(env, observed, previous, created, adopt, spec):
        return Contribution(conditions=(blocked,), again=timedelta(seconds=10)), None
    now_shape, resizing = shape(spec, env, observed, commands, found, primary)
    reloads = renew(env, observed, now)
    synced = len(synchronous(env, observed))
    unsynced = synced < _wanted(spec)
    parameters = config.server(spec, archives)
    waits = reloads or unsynced or revision.awaited(env, observed, previous, now)
    bootstraps = not recovered and not predecessor.volumes(observed, created)
    if commands.hibernate:
        handed: tuple[Action, ...] = ()
        step, conditions = Step(), _hibernated(was_initialized(previous))
    else:
        commanded = switchover(spec, env, observed, commands, found, primary)
        handed = commanded or evacuate(spec, env, observed, found, primary)
        step = roll(spec, env, observed, commands, found, primary)
        done = was_initialized(previous) or (initialized(env, observed) and bool(primary))
        advice = growth.advice(spec.storage, observed, now_shape.size)
        conditions = _conditions(spec, done, found, database, step, synced, observed, advice)
    return Contribution(
        desired=(
            *network.account(env),
            *network.services(env, observed),
            config.file(spec, env, observed, archives, bootstraps=bootstraps),
            config.dynamic(spec, env, parameters, revision.wanted(parameters, env, observed, now)),
            workload.disruption_budget(spec, env),
            workload.statefulset(spec, env, delete_volumes, commands, now_shape),
        ),
        actions=(
            *_certificates(env, observed, now),
            *resizing,
            *step.actions,
            *backoff.renewed(observed),
            # Patroni has one failover record: the rolling change's own comes first.
            *(() if any(isinstance(action, Switchover) for action in (*resizing, *step.actions)) else handed),
            *reloads,
            *_warning(conditions, previous),
        ),
        conditions=conditions,
        status={"postgres": {**_status(spec, found, primary, now_shape.size), **revision.told(spec, env, observed)}},
        release=step.release,
        # Nobody tells us of a change of Patroni's records, nor of what a server has loaded.
        again=SOON if unsynced and _young(previous, now) else AGAIN if waits else None,
    ), database


def instances(spec: Postgres, env: Env, observed: Observed) -> Instances:
    """Where backups find the servers."""
    pods = env.host(env.names.pods)
    return Instances(
        hosts=tuple(f"{env.names.instance(ordinal)}.{pods}" for ordinal in range(spec.instances)),
        host_port=archive.HOST_PORT,
        host_config=f"{CONFIG}/{archive.FILE}",
        data=PGDATA,
        socket=SOCKET,
        queue=archive.limit(env, observed),
    )


def room(spec: Postgres, env: Env, observed: Observed) -> int:
    """Bytes that each volume may still grow by itself."""
    return growth.room(spec.storage, observed, made(env, observed))


def _restart_in_force(env: Env, observed: Observed) -> str:
    live = observed.get("StatefulSet", env.names.postgres)
    return str(live["spec"]["template"]["metadata"].get("annotations", {}).get(RESTART, "")) if live else ""


def _certificates(env: Env, observed: Observed, now: datetime) -> tuple[Action, ...]:
    names = env.names
    served = (*hosts(env, names.rw, names.ro), f"*.{env.host(names.pods)}")
    return leaf(env, observed, now, names.postgres_tls, "standby", served)


def _young(previous: Mapping[str, Any], now: datetime) -> bool:
    """Whether the store has come to change lately: what is awaited then is a matter of seconds."""
    found = (item for item in previous.get("conditions", ()) if (item["type"], item["status"]) == (RECONCILING, "True"))
    since = next((datetime.fromisoformat(item["lastTransitionTime"]) for item in found), now)
    return now - since < YOUNG


def was_initialized(previous: Mapping[str, Any]) -> bool:
    return any(item["type"] == INITIALIZED and item["status"] == "True" for item in previous.get("conditions", ()))


def _hibernated(initialized_: bool) -> tuple[Condition, ...]:
    off = Condition(POSTGRES_AVAILABLE, Status.FALSE, "Hibernated", "Hibernated: no pods run, the volumes stay")
    if initialized_:
        return true(INITIALIZED, "BootstrapCompleted", "The data directory exists"), off
    return (off,)


def _blocked(
    env: Env, observed: Observed, previous: Mapping[str, Any], created: datetime, adopt: bool, spec: Postgres
) -> Condition | None:
    """Why nothing may be started: volumes of an earlier store, or no StorageClass to make one from."""
    if observed.get("StatefulSet", env.names.postgres) is not None or was_initialized(previous):
        return None
    if going := predecessor.leaving(observed, created):
        return going
    volumes = predecessor.volumes(observed, created)
    if volumes and not adopt:
        return broken(
            INITIALIZED,
            "DataExists",
            f"Volumes of an earlier store of this name exist ({', '.join(volumes)}): set spec.bootstrap.adopt to true "
            "to take them over, or delete them",
        )
    return without_class(spec, observed)


def without_class(spec: Postgres, observed: Observed) -> Condition | None:
    """Why no volume can be made."""
    if spec.storage.storage_class_name is not None and not observed.storage_class:
        return broken(
            INITIALIZED,
            "StorageClassMissing",
            f"StorageClass {spec.storage.storage_class_name} does not exist: create it, or name another in a new store",
        )
    if not observed.storage_class:
        return broken(
            INITIALIZED,
            "NoDefaultStorageClass",
            "The cluster has no default StorageClass: set spec.postgres.storage.storageClassName in a new store, "
            "or mark a StorageClass as default",
        )
    return None


def _conditions(
    spec: Postgres,
    initialized_: bool,
    found: tuple[Member, ...],
    database: Database,
    step: Step,
    synced: int,
    observed: Observed,
    advice: str,
) -> tuple[Condition, ...]:
    first = (
        true(INITIALIZED, "BootstrapCompleted", "The data directory exists")
        if initialized_
        else waiting(INITIALIZED, "Bootstrapping", "The first instance is making the data directory")
    )
    return first, _available(spec, found, database, step, synced, observed, advice)


def _available(
    spec: Postgres,
    found: tuple[Member, ...],
    database: Database,
    step: Step,
    synced: int,
    observed: Observed,
    advice: str,
) -> Condition:
    ready = sum(member.ready for member in found)
    count = f"{ready} of {spec.instances} instances are ready"
    if not database.serving and (full := fullness.full(observed)):
        return fullness.stopped(full, advice)
    if not database.serving:
        return waiting(POSTGRES_AVAILABLE, "NoPrimary", f"No primary serves; {count}")
    if step.rolling:
        return changing(POSTGRES_AVAILABLE, "RollingChange", f"Replacing instances, the primary last; {count}")
    if step.release:
        return changing(POSTGRES_AVAILABLE, "WaitingForTurn", f"Another store takes up the new release first; {count}")
    if len(found) != spec.instances or ready < spec.instances:
        return changing(POSTGRES_AVAILABLE, "InstancesMissing", count)
    if synced < _wanted(spec):
        told = f"{synced} of {_wanted(spec)} standbys are synchronous; only those may take over"
        return changing(POSTGRES_AVAILABLE, "NotSynchronous", told)
    if filling := fullness.filling(observed):
        return fullness.warned(filling, advice)
    if step.waits:
        told = f"{', '.join(step.waits)} must restart: set the annotation {RESTART} to a new value when it suits"
        return true(POSTGRES_AVAILABLE, "RestartRequired", told)
    return true(POSTGRES_AVAILABLE, "AllInstancesReady", count)


def _warning(conditions: tuple[Condition, ...], previous: Mapping[str, Any]) -> tuple[Action, ...]:
    """Told once, as a serving store's conditions are watched by nobody."""
    reason = "VolumeNearlyFull"
    told = any(item["reason"] == reason for item in previous.get("conditions", ()))
    news = (item.message for item in conditions if item.reason == reason and not told)
    return tuple(Emit("Warning", "VolumeNearlyFull", message) for message in news)


def _wanted(spec: Postgres) -> int:
    """How many standbys shall have all that was acknowledged."""
    return spec.synchronous.number if spec.synchronous else 0


def _status(spec: Postgres, found: tuple[Member, ...], primary: str, volume_size: str) -> dict[str, Any]:
    lead = next((member for member in found if member.name == primary), None)
    return {
        "provider": spec.provider.value,
        "primary": primary,
        "instances": spec.instances,
        "readyInstances": sum(member.ready for member in found),
        "volumeSize": volume_size,
        "timeline": lead.timeline if lead else 0,
    }
