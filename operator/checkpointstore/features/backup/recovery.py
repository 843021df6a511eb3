"""`spec.bootstrap.recovery`: before there is an instance, its volume is filled from a repository and made to lead."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...kernel import predecessor
from ...kernel.action import Action, Delete, Emit, Manifest, Ref
from ...kernel.compute import Resources
from ...kernel.condition import INITIALIZED, Condition, broken, waiting
from ...kernel.contribution import Contribution
from ...kernel.env import Env
from ...kernel.job import finished, outcome, pods
from ...kernel.observed import Observed
from ...kernel.values import bytes_text, digest
from .archiving import STEPS
from .pod import SMALL, Work, job
from .record import COMPLETED
from .recovery_spec import Recovery, RecoveryTarget, Source, recorded
from .repository import Repository, base, missing, publish

COMPONENT = "recovery"
RETRY_AFTER = timedelta(minutes=2)
LOOKING = 600
RESTORING = 48 * 3600
AGAIN = timedelta(seconds=5)
FOUND = {"uid": "uid", "backupId": "backupID", "databaseSize": "databaseBytes"}
"""What a look says, and where status.recovery keeps it."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The first instance's volume, as its provider wants it."""

    claim: Manifest
    size: int
    resources: Resources
    placement: Mapping[str, Any]
    data: str
    blocked: Condition | None
    """Why none can be made."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a recovery is."""

    condition: Condition
    desired: tuple[Manifest, ...] = ()
    actions: tuple[Action, ...] = ()
    status: Mapping[str, Any] | None = None
    again: timedelta | None = None


def contribute(
    spec: Recovery,
    env: Env,
    observed: Observed,
    volume: Volume,
    created: datetime,
    known: Mapping[str, Any],
    begun: bool,
    now: datetime,
) -> tuple[Contribution, bool]:
    """The contribution, and whether there is nothing to recover any more.

    `known` is what was told of the recovery so far, and `begun` says that the data is there.
    """
    if begun:
        kept = env.names.source in observed.secrets
        return Contribution(actions=(Delete(Ref("Secret", env.names.source)),) if kept else ()), True
    stand = _prepared(spec, env, observed, volume, created, known, now)
    return Contribution(
        desired=stand.desired,
        actions=stand.actions,
        conditions=(stand.condition,),
        status={"recovery": stand.status} if stand.status else {},
        again=stand.again,
    ), False


def _prepared(
    spec: Recovery,
    env: Env,
    observed: Observed,
    volume: Volume,
    created: datetime,
    known: Mapping[str, Any],
    now: datetime,
) -> Stand:
    """What must be there before a repository can be looked into."""
    if going := predecessor.leaving(observed, created):
        return Stand(going, again=AGAIN)
    if older := predecessor.volumes(observed, created):
        told = f"Volumes of an earlier store of this name exist ({', '.join(older)}), and a recovery never overwrites "
        return _stalled("DataExists", told + "data: delete them, or give the new store another name")
    if volume.blocked:
        return Stand(volume.blocked, again=AGAIN)
    found = _source(spec, env, observed)
    if isinstance(found, Stand):
        return found
    source, target = found
    place = base(source.object_store, source.namespace or env.namespace, source.store or env.name)
    repository = Repository(source.object_store, source.encryption, place)
    if lacking := missing(repository, observed):
        return _stalled(*lacking)
    written = publish(repository, env, observed, env.names.source, {})
    if written or env.names.source not in observed.secrets:
        writing = waiting(INITIALIZED, "Recovering", "The repository's configuration is being written")
        # What failed begins again at once: whoever mends a Secret does not wait. What runs goes on with what it has.
        over = (item for item in observed.all("Job", COMPONENT) if finished(item, "Failed"))
        gone = (Delete(Ref("Job", item["metadata"]["name"])) for item in over)
        return Stand(writing, actions=(written, *gone) if written else ())
    wanted = {"base": place, "target": target.request(), **({"uid": source.uid} if source.uid else {})}
    return _looked(env, observed, volume, wanted, known, now)


def _source(spec: Recovery, env: Env, observed: Observed) -> tuple[Source, RecoveryTarget] | Stand:
    target = spec.recovery_target
    if spec.source:
        return spec.source, target
    name = spec.backup.name if spec.backup else ""
    status = (observed.origin or {}).get("status") or {}
    if observed.origin is None:
        return _stalled("BackupMissing", f"CheckpointBackup {name} is not in this namespace")
    if status.get("phase") != COMPLETED:
        return _stalled("BackupMissing", f"CheckpointBackup {name} was not completed: there is nothing to recover from")
    if target == RecoveryTarget():
        target = RecoveryTarget(backup_id=status.get("backupID"))
    source = recorded(observed.origin)
    if source is None:
        return _stalled("BackupMissing", f"The status of CheckpointBackup {name} says no place: somebody has edited it")
    return source, target


def _looked(
    env: Env, observed: Observed, volume: Volume, wanted: Mapping[str, Any], known: Mapping[str, Any], now: datetime
) -> Stand:
    """Choose what to recover from: nothing is made before it is known that it can be done."""
    name = f"{env.names.look}-{_digest(wanted)}"
    work = Work(
        program="look",
        component=COMPONENT,
        request=wanted,
        repository=env.names.source,
        image=env.images.postgres,
        resources=SMALL,
        seconds=LOOKING,
    )
    look = job(env, name, work)
    live, said = observed.get("Job", name), outcome(observed, COMPONENT, name)
    if known.get("look") == name:
        # Its pod, and with it what it said, may be gone long before the volume is filled.
        said = {key: known[told] for key, told in FOUND.items()}
    elif not finished(live, "Complete"):
        return _unfinished(look, live, said, "Looking for the backup to recover from", now)
    if not said.get("backupId"):
        return _again(name, waiting(INITIALIZED, "Recovering", "Looking again"))
    if said["databaseSize"] > volume.size:
        told = f"The backup holds {bytes_text(said['databaseSize'])}: raise spec.postgres.storage.size"
        return Stand(broken(INITIALIZED, "VolumeTooSmall", told), desired=(look,))
    return _restored(env, observed, volume, look, {**wanted, **said}, now)


def _restored(
    env: Env, observed: Observed, volume: Volume, look: Manifest, wanted: Mapping[str, Any], now: datetime
) -> Stand:
    request = {
        **{key: wanted[key] for key in ("base", "target", "uid", "backupId", "databaseSize")},
        "dataDirectory": volume.data,
        "memory": volume.resources.memory(),
    }
    name = f"{env.names.restore}-{_digest(request)}"
    work = Work(
        program="restore",
        component=COMPONENT,
        request=request,
        repository=env.names.source,
        image=env.images.postgres,
        resources=volume.resources,
        seconds=RESTORING,
        data={"persistentVolumeClaim": {"claimName": env.names.volume(0)}},
        placement=volume.placement,
    )
    restore = job(env, name, work)
    desired = (volume.claim, look)
    live, said = observed.get("Job", name), outcome(observed, COMPONENT, name)
    if finished(live, "Complete") and said.get("backupId"):
        return Stand(
            waiting(INITIALIZED, "Recovering", "The data is there: the first instance starts on it"),
            desired=(*desired, restore),
            actions=(Emit("Normal", "Recovered", _story(said)),),
            status=_done(said, wanted),
            again=timedelta(seconds=1),
        )
    if finished(live, "Complete"):
        # It says again what it has said.
        stand = _again(name, waiting(INITIALIZED, "Recovering", "Asking again what was recovered"))
    else:
        stand = _unfinished(restore, live, said, _progress(env, observed, name, wanted), now)
    found = {told: wanted[key] for key, told in FOUND.items()}
    return Stand(
        stand.condition,
        desired=(*desired, *stand.desired),
        actions=stand.actions,
        status={"phase": "Recovering", "look": look["metadata"]["name"], **found},
        again=stand.again or AGAIN,
    )


def _again(name: str, condition: Condition) -> Stand:
    """A Job is deleted, and made anew in the next pass."""
    return Stand(condition, actions=(Delete(Ref("Job", name)),), again=timedelta(seconds=1))


def _unfinished(wanted: Manifest, live: Manifest | None, said: Mapping[str, Any], doing: str, now: datetime) -> Stand:
    """A Job that runs, or has failed and is made again after a while: what is in the way may be mended."""
    failed = finished(live, "Failed")
    if failed is None:
        why = f"; last try: {said['message']}" if said.get("message") else ""
        return Stand(waiting(INITIALIZED, "Recovering", doing + why), desired=(wanted,))
    reason = str(said.get("reason") or "JobFailed")
    message = str(said.get("message") or f"Job {wanted['metadata']['name']} failed: see its pod's log")
    due = failed + RETRY_AFTER - now
    if due > timedelta():
        return Stand(broken(INITIALIZED, reason, message), desired=(wanted,), again=due)
    return _again(wanted["metadata"]["name"], broken(INITIALIZED, reason, message))


def _progress(env: Env, observed: Observed, name: str, wanted: Mapping[str, Any]) -> str:
    total = int(wanted["databaseSize"])
    doing = f"Backup {wanted['backupId']} is being restored, {bytes_text(total)} in all"
    for pod in pods(observed, COMPONENT, name):
        told = observed.progress.get(pod["metadata"]["name"])
        if told and told.phase == "replaying":
            return f"Backup {wanted['backupId']} is restored; what was written since is being replayed"
        if told:
            # In tenths: a message that changes each time would be written each time.
            return f"{doing}, {min(9, 10 * told.done // max(1, total)) * 10} % done{_rest(told.left)}"
    return doing


def _rest(seconds: float | None) -> str:
    """How long it takes yet, in steps for the same reason."""
    if seconds is None:
        return ""
    minutes = next((step for step in STEPS if seconds <= step * 60), None)
    if minutes is None:
        return ", the rest in more than a day"
    return f", the rest within {minutes} minutes" if minutes > 1 else ", the rest within a minute"


def _story(said: Mapping[str, Any]) -> str:
    to = f" to {said['recoveredTo']}" if said.get("recoveredTo") else ""
    clamped = ", the last commit that is archived, as the target is later" if said.get("clamped") else ""
    return f"Backup {said['backupId']} was restored and recovered{to}{clamped}"


def _done(said: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    seconds = round(float(said.get("restoreSeconds", 0)) + float(said.get("replaySeconds", 0)))
    return {
        **dict.fromkeys(("look", *FOUND.values())),
        "phase": COMPLETED,
        "origin": "/".join((*wanted["base"].split("/")[-2:], wanted["uid"])),
        "backupID": said["backupId"],
        "recoveredTo": str(said.get("recoveredTo", "")),
        "recoveredLSN": str(said.get("recoveredLsn", "")),
        "clamped": bool(said.get("clamped")),
        "bytes": int(said.get("bytes", 0)),
        "duration": f"{seconds}s",
    }


def _digest(request: Mapping[str, Any]) -> str:
    """Another request is another Job; other credentials are not, as a restore of hours would never end."""
    return digest(json.dumps(request, sort_keys=True))[:10]


def _stalled(reason: str, message: str) -> Stand:
    return Stand(broken(INITIALIZED, reason, message), again=AGAIN)
