"""What each room is asked, in the order of trust, and what all of them want and tell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .api.store import ReclaimPolicy, Store
from .features import authority, binding, network_policy
from .features.backup import recovery
from .features.backup import retention as backup_retention
from .features.backup import slice as backup
from .features.backup.spec import Backup
from .features.blobs import slice as blobs
from .features.blobs.spec import Externalize
from .features.monitoring import cost
from .features.monitoring import slice as monitoring
from .features.monitoring.advice import Server
from .features.monitoring.finding import Watch as Monitored
from .features.monitoring.question import Whose
from .features.pooler import slice as pooler
from .features.pooler.scaling import Watch
from .features.retention import slice as retention
from .features.schema import slice as schema
from .features.tiering import deletions
from .features.tiering import slice as tiering
from .features.tiering.expiry import Outside
from .kernel.command import Commands
from .kernel.compute import placement
from .kernel.condition import POOLER_AVAILABLE, Status
from .kernel.contribution import Contribution, Database
from .kernel.cron import next_due
from .kernel.duration import duration
from .kernel.env import Env, Platform
from .kernel.naming import selector
from .kernel.observed import Observed
from .kernel.prometheus import PrometheusServer
from .providers import external
from .providers.patroni import provider as patroni
from .providers.patroni import workload
from .providers.patroni.parameter import OF_A_CONNECTION, shared_buffers
from .providers.patroni.place import DATA, PGDATA
from .providers.spec import storage_bytes


@dataclass(frozen=True, slots=True)
class Rooms:
    """What all rooms want, and what runs beside the passes."""

    parts: list[Contribution]
    serving: bool = False
    watch: Watch | None = None
    monitors: Monitored | None = None


def asked(store: Store, env: Env, platform: Platform, observed: Observed, commands: Commands, now: datetime) -> Rooms:
    """The order is the way of trust: authority, then the server it certifies, then who is let in."""
    spec = store.spec
    filled, ready = _recovered(store, env, observed, now)
    if not ready:
        return Rooms([filled])
    postgres, database = _provider(store, env, observed, commands, now)
    if database is None:
        return Rooms([filled, postgres])
    tables, stands = schema.contribute(spec.schema_, spec.limits, env, observed, database, commands, now)
    # Nothing is begun that works on the tables.
    rests = commands.hibernate or commands.paused or not stands
    prometheus = PrometheusServer(url=platform.prometheus) if platform.prometheus else None
    settings = pooler.Settings(prometheus, store.status.get("pooler", {}), commands)
    pool, carried = pooler.contribute(spec.pooler, env, observed, database, settings, now)
    repeats, repeated = _repeated(store, env, observed, database, rests, now)
    bound, readable = binding.contribute(env, observed, database, stands and carried.login and repeated)
    told, monitors = _monitored(store, env, observed, database, prometheus, commands)
    reachable = any(part.type == POOLER_AVAILABLE and part.status is Status.TRUE for part in pool.conditions)
    parts = [
        authority.contribute(env, observed, commands, now, database.settled and carried.all),
        postgres,
        tables,
        pool,
        bound,
        network_policy.contribute(spec.network_policy, env, database),
        filled,
        _backed_up(store, env, observed, database, commands, now),
        told,
        _retained(store, env, observed, database, commands, rests, now),
        _tiered(store, env, observed, database, commands, rests, now),
        _outside(store, env, observed, database, commands, rests, now),
        repeats,
    ]
    parts.append(_reckoned(store, env, observed, parts, now))
    return Rooms(parts, database.serving and reachable and readable, carried.watch, monitors)


def _monitored(
    store: Store,
    env: Env,
    observed: Observed,
    database: Database,
    prometheus: PrometheusServer | None,
    commands: Commands,
) -> tuple[Contribution, Monitored | None]:
    """An external server is watched by whoever runs it."""
    spec, known = store.spec, store.status.get("monitoring", {})
    if spec.postgres.external is not None or commands.hibernate:
        return Contribution(status=monitoring.without(known)), None
    scaled = spec.pooler.autoscaling
    room = patroni.room(spec.postgres, env, observed)
    whose = Whose(store.namespace, f"{env.names.postgres}-[0-9]+", DATA, room)
    exhausted = observed.scale is not None and observed.scale.reason == "ServerConnectionsExhausted"
    memory = spec.postgres.resources.memory()
    server = Server(memory, shared_buffers(memory), OF_A_CONNECTION, database.max_connections, exhausted)
    return monitoring.contribute(
        spec.monitoring, whose, server, (scaled and scaled.prometheus) or prometheus, observed.findings, known
    )


def _reckoned(store: Store, env: Env, observed: Observed, parts: list[Contribution], now: datetime) -> Contribution:
    """Of what the other rooms want and tell."""
    spec = store.spec.monitoring.cost
    if spec is None:
        return cost.without(store.status)
    desired = [manifest for part in parts for manifest in part.desired]
    told, tiered = merged(part.status for part in parts), None
    if store.spec.tiering is not None:
        instances = 0 if store.spec.postgres.external else store.spec.postgres.instances
        tiered = cost.tiered(env, desired, told["tiering"], instances)
    held = cost.holdings(env, observed, desired, told.get("backup"), tiered, told.get("blobs"))
    return cost.contribute(spec, held, store.status.get("cost", {}), now)


def _recovered(store: Store, env: Env, observed: Observed, now: datetime) -> tuple[Contribution, bool]:
    """Before there is a server: its data from a backup, where the spec says so."""
    spec = store.spec
    if spec.bootstrap.recovery is None:
        return Contribution(), True
    volume = recovery.Volume(
        claim=workload.first_volume(spec.postgres, env),
        size=storage_bytes(spec.postgres.storage),
        resources=spec.postgres.resources,
        placement=placement(spec.postgres.scheduling, selector(env.name, "postgres")),
        data=PGDATA,
        blocked=patroni.without_class(spec.postgres, observed),
    )
    done = store.status.get("recovery", {}).get("phase") == "Completed" or patroni.was_initialized(store.status)
    known = store.status.get("recovery", {})
    return recovery.contribute(spec.bootstrap.recovery, env, observed, volume, store.created, known, done, now)


def _backed_up(
    store: Store, env: Env, observed: Observed, database: Database, commands: Commands, now: datetime
) -> Contribution:
    spec = store.spec.backup
    if spec is None:
        return backup.without(env, observed, now)
    servers = patroni.instances(store.spec.postgres, env, observed)
    rests = commands.hibernate or commands.paused
    return backup.contribute(spec, env, observed, database, servers, store.status, now, rests, commands.verify)


def _retained(
    store: Store, env: Env, observed: Observed, database: Database, commands: Commands, rests: bool, now: datetime
) -> Contribution:
    spec = store.spec.retention
    if spec is None:
        return retention.without(store.status)
    return retention.contribute(spec, env, observed, database, store.status, now, rests, commands.run_retention)


def _outside(
    store: Store, env: Env, observed: Observed, database: Database, commands: Commands, rests: bool, now: datetime
) -> Contribution:
    spec = store.spec.limits.externalize
    if spec is None:
        return blobs.without(store.status)
    asked = commands.run_blob_collection
    return blobs.contribute(spec, env, observed, database, _window(store), store.status, now, rests, asked)


def _stray(store: Store) -> bool:
    """Whether there may be values outside that nobody removes: in another store's folder, or in this one's."""
    spec, known = store.spec, store.status.get("blobs", {})
    if spec.limits.externalize is None:
        return "secret" in known
    adopted = spec.bootstrap.adopt or "origin" in store.status.get("recovery", {})
    return adopted or spec.limits.externalize.dry_run or bool(known.get("elsewhere"))


def _collected(spec: Externalize, window: timedelta | None) -> Outside:
    return Outside(spec.schedule, duration(spec.grace), blobs.kept(spec, window))


def _window(store: Store) -> timedelta | None:
    """How far back a recovery may go."""
    backups = store.spec.backup
    return backup_retention.window(backups.retention_policy) if backups else None


def _tiered(
    store: Store, env: Env, observed: Observed, database: Database, commands: Commands, rests: bool, now: datetime
) -> Contribution:
    spec, backups, retained = store.spec.tiering, store.spec.backup, store.spec.retention
    if spec is None:
        return tiering.without(store.status)
    outside = store.spec.limits.externalize
    beside = tiering.Beside(
        delete_after=retained.delete_after if retained else None,
        window=_window(store),
        backups=_holds(backups, now),
        outside=_collected(outside, _window(store)) if outside else None,
        stray=_stray(store),
    )
    return tiering.contribute(
        spec,
        env,
        observed,
        database,
        beside,
        store.status,
        now,
        rests,
        sleeps=commands.hibernate,
        asked=commands.run_tiering,
    )


def _holds(spec: Backup | None, now: datetime) -> timedelta | None:
    """How long a backup may hold what is deleted now: until a full one from afterwards is as old as the window, and
    the next one removes what is older. None where nobody knows when there is a full one."""
    if spec is None:
        return timedelta()
    first = next_due((spec.schedules.full,), now) if spec.schedules.full else None
    second = next_due((spec.schedules.full,), first) if first and spec.schedules.full else None
    return backup_retention.window(spec.retention_policy) + 2 * (second - first) if first and second else None


def _repeated(
    store: Store, env: Env, observed: Observed, database: Database, rests: bool, now: datetime
) -> tuple[Contribution, bool]:
    """Whether what had been deleted before a recovery is deleted again."""
    spec = store.spec.tiering
    if spec is None:
        return Contribution(), True
    origin = str(store.status.get("recovery", {}).get("origin", ""))
    return deletions.contribute(spec, env, observed, database, origin, store.status, now, rests)


def _provider(
    store: Store, env: Env, observed: Observed, commands: Commands, now: datetime
) -> tuple[Contribution, Database | None]:
    """The provider's contribution, and the database unless it cannot even be begun."""
    spec = store.spec
    if spec.postgres.external is not None:
        connections = int(store.status.get("postgres", {}).get("maxConnections", 0))
        return external.contribute(spec.postgres.external, env, observed, connections)
    return patroni.contribute(
        spec.postgres,
        env,
        observed,
        now,
        store.status,
        commands,
        created=store.created,
        adopt=spec.bootstrap.adopt,
        recovered=spec.bootstrap.recovery is not None,
        delete_volumes=spec.reclaim_policy.volumes is ReclaimPolicy.DELETE,
        archives=spec.backup is not None and backup.archives(spec.backup, env, observed),
    )


def merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Parts of a status laid over each other, the later one winning field by field."""
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            old = result.get(key)
            result[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result
