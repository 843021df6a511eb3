"""CheckpointBackup objects as the plan sees them, and what is written into their status."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ...kernel.action import Manifest, Ref, Tell
from ...kernel.condition import Condition, Status, written
from ...kernel.env import Env
from ...kernel.naming import MANAGED_BY, MANAGED_BY_LABEL, labels
from ...kernel.observed import Observed
from ...kernel.values import bytes_text, moment
from .cadence import BackupType

KIND = "CheckpointBackup"
COMPLETED, FAILED, RUNNING = "Completed", "Failed", "Running"
SUCCEEDED = "Succeeded"
STAMP = "%Y%m%d%H%M"


@dataclass(frozen=True, slots=True)
class Record:
    """One CheckpointBackup."""

    name: str
    uid: str
    generation: int
    type: BackupType
    created: datetime
    scheduled: bool
    """The operator made it, and nobody asked."""
    status: Mapping[str, Any]

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", ""))

    @property
    def over(self) -> bool:
        return self.phase in (COMPLETED, FAILED)

    @property
    def backup_id(self) -> str:
        return str(self.status.get("backupID", ""))

    @property
    def repository(self) -> str:
        return str(self.status.get("repository", ""))

    @property
    def full(self) -> bool:
        return self.status.get("type") == BackupType.FULL.value

    @property
    def due(self) -> datetime:
        """When a scheduled one was due, as its name says: the API server's clock may be another."""
        return _stamp(self.name) or self.created

    @property
    def completed(self) -> datetime:
        """When it was over; a failed one was made to begin with."""
        return datetime.fromisoformat(str(self.status.get("completedAt") or self.created.isoformat()))

    @property
    def error(self) -> tuple[str, str]:
        """Reason and message."""
        found = self.status.get("error", {})
        return str(found.get("reason", "")), str(found.get("message", ""))

    def told(self, status: Mapping[str, Any], condition: Condition, now: datetime) -> "tuple[Record, Tell]":
        """The record with another status, and what writes it."""
        conditions = written((condition,), self.status.get("conditions", ()), self.generation, now)
        whole = {**self.status, **status, "observedGeneration": self.generation, "conditions": conditions}
        return replace(self, status=whole), Tell(Ref(KIND, self.name), whole)


def records(observed: Observed) -> tuple[Record, ...]:
    """The oldest first."""
    found = (_record(item) for item in observed.all(KIND))
    return tuple(sorted(found, key=lambda record: (record.created, record.name)))


def _record(item: Manifest) -> Record:
    meta = item["metadata"]
    return Record(
        name=meta["name"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 0)),
        type=BackupType(item["spec"].get("type", BackupType.FULL.value)),
        created=datetime.fromisoformat(meta["creationTimestamp"]),
        scheduled=meta.get("labels", {}).get(MANAGED_BY_LABEL) == MANAGED_BY and _stamp(meta["name"]) is not None,
        status=item.get("status") or {},
    )


def _stamp(name: str) -> datetime | None:
    """The time at the end of a name; anybody may give an object any name."""
    try:
        return datetime.strptime(name.rpartition("-")[2], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def manifest(env: Env, type_: BackupType, at: datetime) -> Manifest:
    """A backup that is due. It survives its store, so nobody owns it."""
    return {
        "apiVersion": "checkpointstore.dev/v1alpha1",
        "kind": KIND,
        "metadata": {
            "name": f"{env.name}-{type_.value.lower()}-{at:{STAMP}}",
            "namespace": env.namespace,
            "labels": labels(env.name, "backup"),
        },
        "spec": {"store": {"name": env.name}, "type": type_.value},
    }


def running(
    record: Record, since: datetime, source: Mapping[str, Any], repository: str, now: datetime
) -> tuple[Record, Tell]:
    """`source` is where a recovery finds the backup; what the spec says later is about later ones."""
    condition = Condition(SUCCEEDED, Status.UNKNOWN, "Running", "The backup is being made")
    status = {"phase": RUNNING, "startedAt": moment(since), "repository": repository, "source": source}
    return record.told(status, condition, now)


def completed(record: Record, said: Mapping[str, Any], now: datetime) -> tuple[Record, Tell]:
    """`said` is the Job's outcome."""
    begun, ended = (datetime.fromisoformat(str(said[key])) for key in ("startedAt", "completedAt"))
    seconds = max(1, round((ended - begun).total_seconds()))
    made = next(type_ for type_ in BackupType if type_.word == said["type"])
    status = {
        "phase": COMPLETED,
        "backupID": said["backupId"],
        "type": made.value,
        "startedAt": moment(begun),
        "completedAt": moment(ended),
        "beginLSN": said["beginLsn"],
        "endLSN": said["endLsn"],
        "beginWAL": said["beginWal"],
        "endWAL": said["endWal"],
        "timeline": said["timeline"],
        "databaseBytes": said["databaseSize"],
        "changedBytes": said["backupSize"],
        "storedBytes": said["storedSize"],
        "size": bytes_text(said["storedSize"]),
        "duration": f"{seconds}s",
        "throughput": f"{bytes_text(said['backupSize'] / seconds)}/s",
        "repositoryBytes": said["repositorySize"],
        "firstBackup": said["firstBackup"],
        "firstRecoverabilityPoint": said["firstRecoverabilityPoint"],
        "error": None,
    }
    text = f"{made.value} backup {said['backupId']}: {status['size']} stored in {status['duration']}"
    return record.told(status, Condition(SUCCEEDED, Status.TRUE, "Completed", text), now)


def failed(record: Record, reason: str, message: str, now: datetime) -> tuple[Record, Tell]:
    error = {"reason": reason, "message": message}
    status = {"phase": FAILED, "completedAt": moment(now), "error": error}
    return record.told(status, Condition(SUCCEEDED, Status.FALSE, reason, message), now)
