"""`spec.backup`: backups that are due become CheckpointBackups, each is made by a Job, and what came of it is told."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Apply, Delete, Emit, Manifest, Ref
from ...kernel.condition import (
    CONTINUOUS_ARCHIVING,
    LAST_BACKUP_SUCCEEDED,
    Condition,
    Status,
    broken,
    true,
)
from ...kernel.contribution import Contribution, Database, Instances
from ...kernel.cron import next_due
from ...kernel.env import Env
from ...kernel.job import finished, outcome
from ...kernel.observed import Observed
from ...kernel.pki import leaf
from ...kernel.values import digest
from . import archiving, cadence, verification
from .cadence import BackupType
from .memory import Memory
from .pod import Work, image, job
from .record import COMPLETED, FAILED, KIND, Record, completed, failed, manifest, records, running
from .repository import COMPONENT, Repository, base, missing, publish
from .retention import options, window
from .spec import Backup

RETRY_AFTER = timedelta(minutes=10)
LOOK_SOON = timedelta(seconds=5)
LOOK_AGAIN = timedelta(seconds=20)
KEPT_FAILURES = 3
SECONDS = 24 * 3600


def contribute(
    spec: Backup,
    env: Env,
    observed: Observed,
    database: Database,
    instances: Instances,
    previous: Mapping[str, Any],
    now: datetime,
    rests: bool,
    asked: str,
) -> Contribution:
    """`previous` is the store's status as it was; a store that `rests` begins nothing.

    `asked` is the command to verify.
    """
    repository = _repository(spec, env)
    lacking = missing(repository, observed)
    settings = {"repo1-path": f"{repository.base}/{env.uid}", **options(window(spec.retention_policy))}
    published = None if lacking else publish(repository, env, observed, env.names.repository, settings)
    place = f"s3://{spec.object_store.bucket}{settings['repo1-path']}"
    source = _source(spec, env)
    seen, told = _settled(env, observed, place, source, now)
    memory = Memory.read(previous, place, seen, now)
    archiver = observed.archivers.get(database.primary)
    last, stands = _last(seen, place), memory.full_began is not None
    tried = last.message if last.status is Status.FALSE and not stands else ""
    lost = archiving.dropped_since(archiver, memory.full_began)
    able = database.serving and not rests and not lacking and env.names.repository in observed.secrets
    current = next((record for record in seen if not record.over), None)
    due: tuple[Action, ...] = ()
    if able:
        mended = lost and archiver is not None and not archiver.failing
        timeline = int(previous.get("postgres", {}).get("timeline", 0))
        due = _due(spec, env, seen, memory, _besides(memory, mended, timeline), place, now)
    # What runs goes on: without a primary for a moment it tries again by itself.
    runs = not rests and current is not None and observed.get("Job", _name(env, current)) is not None
    making = runs or (able and env.names.backup_tls in observed.secrets)
    proven = verification.contribute(
        spec.verification, env, observed, database, instances.data, repository.base, memory, able, rests, asked, now
    )
    return Contribution(
        desired=(
            *((_job(spec, env, observed, database, instances, current),) if making and current else ()),
            *proven.desired,
        ),
        actions=(
            *((published,) if published else ()),
            *leaf(env, observed, now, env.names.backup_tls, "backup"),
            *told,
            *due,
            *proven.actions,
            *_outlived(seen, memory, place),
        ),
        conditions=(
            broken(CONTINUOUS_ARCHIVING, *lacking)
            if lacking
            else archiving.condition(archiver, instances.queue, lost, stands, tried),
            last,
            *proven.conditions,
        ),
        status={"backup": {**memory.status(place), **proven.status}},
        again=LOOK_SOON
        if lacking
        else _again(spec, seen, archiver is not None and archiver.failing, proven.again, now),
    )


def archives(spec: Backup, env: Env, observed: Observed) -> bool:
    """Whether instances know where to archive to, or will before any of them starts.

    From the first: Patroni does not take up what changes while its server is starting.
    """
    return env.names.repository in observed.secrets or not missing(_repository(spec, env), observed)


def _repository(spec: Backup, env: Env) -> Repository:
    return Repository(spec.object_store, spec.encryption, base(spec.object_store, env.namespace, env.name))


def without(env: Env, observed: Observed, now: datetime) -> Contribution:
    """Backups are not configured: whoever asks for one is told, and no credentials are left with the instances."""
    told = "The store has no spec.backup: say there where backups go"
    asked = (record for record in records(observed) if not record.over)
    gone = (Delete(Ref("Secret", name)) for name in (env.names.repository, env.names.backup_tls))
    return Contribution(
        actions=(
            *(failed(record, "NotConfigured", told, now)[1] for record in asked),
            *(action for action in gone if action.ref.name in observed.secrets),
        ),
        status={"backup": None},
    )


def _source(spec: Backup, env: Env) -> dict[str, Any]:
    """What a recovery needs to find the repository: `spec.bootstrap.recovery.source`, filled in."""
    encryption = {"encryption": spec.encryption.model_dump(mode="json", by_alias=True)} if spec.encryption else {}
    store = spec.object_store.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"objectStore": store, **encryption, "namespace": env.namespace, "store": env.name, "uid": env.uid}


def _settled(
    env: Env, observed: Observed, place: str, source: Mapping[str, Any], now: datetime
) -> tuple[tuple[Record, ...], tuple[Action, ...]]:
    """The records as they are once their Jobs' ends are written down, and what writes that."""
    seen: list[Record] = []
    actions: list[Action] = []
    for record in records(observed):
        live = None if record.over else observed.get("Job", _name(env, record))
        changed = _progress(record, live, outcome(observed, COMPONENT, _name(env, record)), source, place, now)
        if changed:
            seen.append(changed[0])
            actions.extend(changed[1])
        else:
            seen.append(record)
    return tuple(seen), tuple(actions)


def _progress(
    record: Record,
    live: Manifest | None,
    said: Mapping[str, Any],
    source: Mapping[str, Any],
    place: str,
    now: datetime,
) -> tuple[Record, tuple[Action, ...]] | None:
    """A record whose Job has come further than its status says."""
    if live is None:
        return None
    if not record.phase:
        since = datetime.fromisoformat(live["metadata"]["creationTimestamp"])
        after, tell = running(record, since, source, place, now)
        return after, (tell,)
    if finished(live, "Complete") and said.get("backupId"):
        after, tell = completed(record, said, now)
        size, duration = after.status["size"], after.status["duration"]
        return after, (tell, Emit("Normal", "BackupCompleted", f"{record.name}: {size} stored in {duration}"))
    if finished(live, "Complete") or finished(live, "Failed"):
        reason = str(said.get("reason") or "JobFailed")
        message = str(said.get("message") or "The Job's pod ended without a word: it was killed, or took too long")
        after, tell = failed(record, reason, message, now)
        return after, (tell, Emit("Warning", "BackupFailed", f"{record.name}: {message}"))
    return None


def _besides(memory: Memory, mended: bool, timeline: int) -> BackupType | None:
    """What events ask for: a full backup once WAL was dropped and archiving goes on, and a small one after a failover.

    What a lost primary had not archived yet nobody archives: from the next backup on it is not needed.
    """
    if mended:
        return BackupType.FULL
    return BackupType.INCREMENTAL if 0 < memory.timeline < timeline else None


def _due(
    spec: Backup,
    env: Env,
    seen: tuple[Record, ...],
    memory: Memory,
    besides: BackupType | None,
    place: str,
    now: datetime,
) -> tuple[Action, ...]:
    """What makes the next CheckpointBackup; `besides` is due whatever the schedule."""
    if any(not record.over for record in seen):
        return ()
    here = (record for record in seen if record.repository == place)
    newest = max(here, key=lambda record: record.completed, default=None)
    # Archiving goes on, so the repository answers: what failed before need not be waited for, but a try of the same.
    closes = besides is BackupType.FULL and newest and not (newest.scheduled and newest.type is BackupType.FULL)
    if newest and newest.phase == FAILED and newest.completed + RETRY_AFTER > now and not closes:
        return ()
    history = cadence.History(memory.full_began, memory.scheduled)
    found = cadence.due(spec.schedules.lines(), window(spec.retention_policy), history, memory.since, now)
    type_, at = (found.type, found.at) if found else (None, now)
    if besides is BackupType.FULL or type_ is None:
        type_ = besides
    if type_ is None and newest and newest.phase == FAILED:
        type_ = newest.type
    if type_ is None:
        return ()
    return (Apply(manifest(env, type_, at), new=False),)


def _outlived(seen: Iterable[Record], memory: Memory, place: str) -> Iterator[Action]:
    """Objects whose backup is no longer in the repository, and failures beyond the newest few."""
    failures = [record for record in seen if record.phase == FAILED]
    for record in failures[:-KEPT_FAILURES]:
        yield Delete(Ref(KIND, record.name))
    for record in seen:
        if record.phase == COMPLETED and record.repository == place and record.backup_id < memory.first_backup:
            yield Delete(Ref(KIND, record.name))


def _last(seen: Iterable[Record], place: str) -> Condition:
    over = [record for record in seen if record.over and record.repository == place]
    newest = max(over, key=lambda record: record.completed, default=None)
    if newest is None:
        return Condition(LAST_BACKUP_SUCCEEDED, Status.UNKNOWN, "Pending", "No backup has been made yet")
    if newest.phase == FAILED:
        reason, message = newest.error
        return Condition(LAST_BACKUP_SUCCEEDED, Status.FALSE, reason, f"{newest.name}: {message}")
    told = f"{newest.name} was completed: {newest.status.get('size')} stored"
    return true(LAST_BACKUP_SUCCEEDED, "Completed", told)


def _again(
    spec: Backup, seen: tuple[Record, ...], failing: bool, proving: timedelta | None, now: datetime
) -> timedelta | None:
    """When something is due that nobody wakes us for."""
    times = [proving] if proving else []
    if failing:
        # How long it may go on is told.
        times.append(LOOK_AGAIN)
    if following := next_due(spec.schedules.lines().values(), now):
        times.append(following - now)
    failures = [record.completed for record in seen if record.phase == FAILED]
    if failures and max(failures) + RETRY_AFTER > now:
        times.append(max(failures) + RETRY_AFTER - now)
    return min(times, default=None)


def _name(env: Env, record: Record) -> str:
    return f"{env.names.backup}-{digest(record.uid)[:10]}"


def _job(
    spec: Backup, env: Env, observed: Observed, database: Database, instances: Instances, record: Record
) -> Manifest:
    request = {
        "store": f"{env.namespace}/{env.name}",
        "type": record.type.word,
        "hosts": instances.hosts,
        "hostPort": instances.host_port,
        "hostConfig": instances.host_config,
        "primary": database.host,
        "port": database.port,
        "database": database.database,
        "dataDirectory": instances.data,
        "socket": instances.socket,
    }
    work = Work(
        program="backup",
        component=COMPONENT,
        request=request,
        repository=env.names.repository,
        image=image(env, observed),
        resources=spec.resources,
        seconds=SECONDS,
        certificates={"backup": env.names.backup_tls, "admin": database.admin},
    )
    return job(env, _name(env, record), work)
