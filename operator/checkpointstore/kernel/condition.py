"""Conditions: what a person and kstatus read, and how Ready, Reconciling and Stalled follow from the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from .values import moment


class Status(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
INITIALIZED = "Initialized"
SCHEMA_APPLIED = "SchemaApplied"
POOLER_AVAILABLE = "PoolerAvailable"
POSTGRES_AVAILABLE = "PostgresAvailable"
CONTINUOUS_ARCHIVING = "ContinuousArchiving"
LAST_BACKUP_SUCCEEDED = "LastBackupSucceeded"
BACKUP_VERIFIED = "BackupVerified"
AUTOSCALING_LIMITED = "AutoscalingLimited"
THRESHOLDS_EXCEEDED = "ThresholdsExceeded"
RETENTION_SUCCEEDED = "RetentionSucceeded"
TIERING_SUCCEEDED = "TieringSucceeded"
BLOB_COLLECTION_SUCCEEDED = "BlobCollectionSucceeded"
# True is what a person should look at.
ABNORMAL = frozenset({AUTOSCALING_LIMITED, THRESHOLDS_EXCEEDED})


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of `.status.conditions`, without the two fields that only a write can know.

    `reason` is one CamelCase word of docs/api.md; `message` says what to do. `busy` marks work in progress, which
    turns Reconciling on; `stalls` marks what a person must mend, which turns Stalled on.
    """

    type: str
    status: Status
    reason: str
    message: str = ""
    busy: bool = False
    stalls: bool = False


def true(type_: str, reason: str, message: str = "") -> Condition:
    return Condition(type_, Status.TRUE, reason, message)


def changing(type_: str, reason: str, message: str = "") -> Condition:
    """So, and a change is under way."""
    return Condition(type_, Status.TRUE, reason, message, busy=True)


def waiting(type_: str, reason: str, message: str = "") -> Condition:
    """Not so yet, and the operator or Kubernetes is at it."""
    return Condition(type_, Status.FALSE, reason, message, busy=True)


def broken(type_: str, reason: str, message: str) -> Condition:
    """Not so, and it stays so until a person acts."""
    return Condition(type_, Status.FALSE, reason, message, stalls=True)


def fold(parts: Iterable[Condition], serving: bool | None, paused: bool = False) -> tuple[Condition, ...]:
    """Ready, Reconciling and Stalled as a function of the rooms' conditions, followed by those conditions.

    `serving` says whether an application can read and write through the binding now, None that nobody looked: it alone
    decides Ready, so that a change in progress on a serving store never reads as an outage. A paused store changes
    nothing, whatever is due.
    """
    parts = tuple(parts)
    rooms = tuple(part for part in parts if part.type not in (READY, RECONCILING))
    stalled = next((part for part in parts if part.stalls), None)
    busy = next((part for part in parts if part.busy), None)
    cause = stalled or busy or next((part for part in parts if _unmet(part)), None)
    if serving:
        ready = true(READY, "Serving", "Applications can read and write through the binding")
    else:
        ready = Condition(
            READY,
            Status.UNKNOWN if serving is None else Status.FALSE,
            cause.reason if cause else "Pending",
            cause.message if cause else "Not serving yet",
        )
    if paused:
        busy = None
    reconciling = (
        Condition(RECONCILING, Status.TRUE, busy.reason, busy.message)
        if busy and not stalled
        else Condition(RECONCILING, Status.FALSE, "Paused" if paused else "Stalled" if stalled else "Converged")
    )
    return (
        ready,
        reconciling,
        Condition(STALLED, Status.TRUE, stalled.reason, stalled.message)
        if stalled
        else Condition(STALLED, Status.FALSE, "Progressing" if busy else "Converged"),
        *rooms,
    )


def _unmet(part: Condition) -> bool:
    return part.status is not Status.TRUE and part.type not in ABNORMAL


def written(
    conditions: Iterable[Condition], previous: Iterable[Mapping[str, Any]], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions as `.status.conditions`; lastTransitionTime (RFC 3339, UTC) moves only when the status does."""
    before = {str(item.get("type")): item for item in previous}
    return [
        {
            "type": condition.type,
            "status": condition.status.value,
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": generation,
            "lastTransitionTime": _since(condition, before.get(condition.type), now),
        }
        for condition in conditions
    ]


def _since(condition: Condition, before: Mapping[str, Any] | None, now: datetime) -> str:
    if before and before.get("status") == condition.status.value and before.get("lastTransitionTime"):
        return str(before["lastTransitionTime"])
    return moment(now)
