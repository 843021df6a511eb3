"""BackupVerified: when the newest backup was last restored, replayed to the end of the archive and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Emit, Manifest
from ...kernel.condition import BACKUP_VERIFIED, Condition, Status, true
from ...kernel.contribution import Database
from ...kernel.cron import last_due, next_due
from ...kernel.env import Env
from ...kernel.job import finished, outcome, pods
from ...kernel.observed import Observed
from ...kernel.values import digest, moment
from .memory import Memory
from .pod import Work, image, job
from .spec import Verification

COMPONENT = "verification"
RETRY_AFTER = timedelta(minutes=30)
PATIENCE = timedelta(minutes=2)
ROOM = 5 * 1024**3
SUCCESS = frozenset({"asked", "succeeded", "backupID", "recoveredTo", "duration"})
# What says nothing of the backups themselves: they may be good, and nobody could see.
UNKNOWN = frozenset(
    {
        "BucketMissing",
        "CertificateRejected",
        "CredentialsRejected",
        "InstanceUnreachable",
        "InvalidRequest",
        "JobFailed",
        "PgBackRestFailed",
        "RepositoryUnreachable",
        "SecretIncomplete",
        "SystemError",
        "TookTooLong",
    }
)


@dataclass(frozen=True, slots=True)
class Proof:
    """A part of the backup room's contribution."""

    desired: tuple[Manifest, ...] = ()
    actions: tuple[Action, ...] = ()
    conditions: tuple[Condition, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    again: timedelta | None = None


def contribute(
    spec: Verification,
    env: Env,
    observed: Observed,
    database: Database,
    data: str,
    place: str,
    memory: Memory,
    able: bool,
    rests: bool,
    asked: str,
    now: datetime,
) -> Proof:
    """`asked` is the command by which a person asks for it, `data` the data directory, `place` the repository's path
    without the store's uid."""
    known: dict[str, Any] = dict(memory.verified or {})
    if memory.succeeded is None:
        return Proof(conditions=(Condition(BACKUP_VERIFIED, Status.UNKNOWN, "Pending", "There is no backup yet"),))
    actions: tuple[Action, ...] = ()
    begun = str(known.get("begun", ""))
    if begun:
        ended = _ended(env, observed, begun, now)
        if ended:
            known, actions = {**_kept(known), **ended}, _told(ended)
            begun = ""
    if not begun and able and _is_due(spec, known, memory, asked, now):
        begun = moment(now)
        known = {**known, "begun": begun, "asked": asked or None}
    going = bool(begun) and (able or (not rests and observed.get("Job", _name(env, begun)) is not None))
    running = (_job(spec, env, observed, database, data, place, memory, begun),) if going else ()
    return Proof(
        desired=running,
        actions=actions,
        conditions=(_condition(known, begun if going else "", env, observed, now),),
        status={"verification": known, **({"lastVerified": known["succeeded"]} if "succeeded" in known else {})},
        again=PATIENCE if begun else _next(spec, known, now),
    )


def _kept(known: Mapping[str, Any]) -> dict[str, Any]:
    """What stays true of the last success whatever comes after it."""
    return {name: value for name, value in known.items() if name in SUCCESS}


def _ended(env: Env, observed: Observed, begun: str, now: datetime) -> dict[str, Any] | None:
    """What the run that was begun then has come to; None while it runs."""
    name = _name(env, begun)
    live, said = observed.get("Job", name), outcome(observed, COMPONENT, name)
    if finished(live, "Complete") and said.get("backupId"):
        return {
            "ended": moment(now),
            "succeeded": moment(now),
            "backupID": said["backupId"],
            "recoveredTo": str(said.get("recoveredTo", "")),
            "duration": f"{round(float(said.get('seconds', 0)))}s",
        }
    if finished(live, "Complete") or finished(live, "Failed"):
        late = any(item.get("reason") == "DeadlineExceeded" for item in (live or {})["status"].get("conditions", ()))
        reason = str(said.get("reason") or ("TookTooLong" if late else "JobFailed"))
        message = str(said.get("message") or _silent(late))
        return {"ended": moment(now), "reason": reason, "message": message}
    return None


def _silent(late: bool) -> str:
    if late:
        return "It took longer than spec.backup.verification.timeout"
    return "The Job's pod ended without a word: it was killed, or had too little memory or room"


def _told(ended: Mapping[str, Any]) -> tuple[Action, ...]:
    if "reason" not in ended:
        told = f"{ended['backupID']} was restored and checked in {ended['duration']}"
        return (Emit("Normal", "BackupVerified", told),)
    return (Emit("Warning", "VerificationFailed", str(ended["message"])),)


def _is_due(spec: Verification, known: Mapping[str, Any], memory: Memory, asked: str, now: datetime) -> bool:
    """After the first backup, at each time of the schedule, when somebody asks, soon again where nobody could see, and
    after the next backup where the one before was not sound."""
    if asked and asked != known.get("asked"):
        return True
    ended = known.get("ended")
    if ended is None:
        return True
    last = datetime.fromisoformat(str(ended))
    if known.get("reason") in UNKNOWN and last + RETRY_AFTER <= now:
        return True
    if "reason" in known and memory.succeeded and memory.succeeded > last:
        return True
    return last_due(spec.schedule, now) > last


def _next(spec: Verification, known: Mapping[str, Any], now: datetime) -> timedelta | None:
    following = next_due((spec.schedule,), now)
    times = [following - now] if following else []
    if known.get("reason") in UNKNOWN:
        times.append(max(datetime.fromisoformat(str(known["ended"])) + RETRY_AFTER - now, timedelta(seconds=1)))
    return min(times, default=None)


def _condition(known: Mapping[str, Any], begun: str, env: Env, observed: Observed, now: datetime) -> Condition:
    if begun and (stuck := _stuck(env, observed, begun, now)):
        return Condition(BACKUP_VERIFIED, Status.UNKNOWN, "NoRoom", stuck)
    if "reason" in known:
        status = Status.UNKNOWN if known["reason"] in UNKNOWN else Status.FALSE
        return Condition(BACKUP_VERIFIED, status, str(known["reason"]), str(known["message"]))
    if "succeeded" in known:
        to = f", recovered to {known['recoveredTo']}" if known.get("recoveredTo") else ""
        told = f"{known['backupID']} was restored at {known['succeeded']} in {known['duration']}{to}, and is sound"
        return true(BACKUP_VERIFIED, "Restored", told)
    return Condition(BACKUP_VERIFIED, Status.UNKNOWN, "Pending", "The newest backup is being restored to be checked")


def _stuck(env: Env, observed: Observed, begun: str, now: datetime) -> str:
    """Why the throw-away instance does not start, "" when it does or has had too little time."""
    name = _name(env, begun)
    live = observed.get("Job", name)
    if live is None or now - datetime.fromisoformat(live["metadata"]["creationTimestamp"]) < PATIENCE:
        return ""
    found = pods(observed, COMPONENT, name)
    if not found:
        return "No pod is made for the throw-away instance: a ResourceQuota or a policy of the namespace is in the way"
    for item in found[0].get("status", {}).get("conditions", ()):
        if item.get("type") == "PodScheduled" and item.get("status") == "False":
            return f"The throw-away instance finds no room: {item.get('message', '')}"
    return ""


def _name(env: Env, begun: str) -> str:
    return f"{env.names.verification}-{digest(begun)[:10]}"


def _job(
    spec: Verification,
    env: Env,
    observed: Observed,
    database: Database,
    data: str,
    place: str,
    memory: Memory,
    begun: str,
) -> Manifest:
    request = {
        "base": place,
        "uid": env.uid,
        "dataDirectory": data,
        "database": database.database,
        "memory": spec.resources.memory(),
        "live": {"host": database.host, "port": database.port},
    }
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        # What is restored, and as much again for what is replayed.
        "resources": {"requests": {"storage": str(2 * memory.database + ROOM)}},
    }
    class_ = spec.storage_class_name or _class(observed)
    if class_:
        claim["storageClassName"] = class_
    name = _name(env, begun)
    work = Work(
        program="verify",
        component=COMPONENT,
        request=request,
        repository=env.names.repository,
        image=image(env, observed),
        resources=spec.resources,
        seconds=spec.seconds(),
        tries=2,
        data={"ephemeral": {"volumeClaimTemplate": {"spec": claim}}},
        certificates={"admin": database.admin},
    )
    return job(env, name, work)


def _class(observed: Observed) -> str:
    """The StorageClass of the instances' volumes."""
    claims = observed.all("PersistentVolumeClaim")
    return str(claims[0]["spec"].get("storageClassName", "")) if claims else ""
