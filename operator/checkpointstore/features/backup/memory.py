"""What the store's status remembers of its backups, as the objects that told it may be deleted by anybody."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from ...kernel.values import moment
from .cadence import BackupType
from .record import FAILED, Record


@dataclass(frozen=True, slots=True)
class Memory:
    """`status.backup`, for one repository: another one begins with nothing."""

    since: datetime
    """When backups into this repository were switched on."""
    scheduled: Mapping[BackupType, datetime]
    full_began: datetime | None = None
    succeeded: datetime | None = None
    failed: datetime | None = None
    first_backup: str = ""
    """The label of the oldest backup in the repository."""
    recoverable_from: str = ""
    stored: int = 0
    database: int = 0
    """Size of the database in the newest backup, in bytes."""
    timeline: int = 0
    """The newest backup's."""
    verified: Mapping[str, Any] | None = None
    """status.backup.verification as it was."""

    @classmethod
    def read(cls, previous: Mapping[str, Any], place: str, seen: Iterable[Record], now: datetime) -> Self:
        """From the status as it was and what the records say now."""
        old = previous.get("backup") or {}
        if old.get("repository") != place:
            old = {}
        known = cls(
            since=_time(old.get("since")) or now.replace(microsecond=0),
            scheduled={BackupType(type_): datetime.fromisoformat(at) for type_, at in old.get("scheduled", {}).items()},
            full_began=_time(old.get("lastFull")),
            succeeded=_time(old.get("lastSuccessful")),
            failed=_time(old.get("lastFailed")),
            first_backup=str(old.get("firstBackup", "")),
            recoverable_from=str(old.get("firstRecoverabilityPoint", "")),
            stored=int(old.get("repositoryBytes", 0)),
            database=int(old.get("databaseBytes", 0)),
            timeline=int(old.get("timeline", 0)),
            verified=old.get("verification"),
        )
        for record in seen:
            if record.scheduled and max(record.created, record.due) >= known.since:
                known = known._asked(record)
            if record.repository == place and record.over:
                known = known._after(record)
        return known

    def _asked(self, record: Record) -> Self:
        """Whatever was due when it was made, it was made for."""
        at = max(record.created, record.due, self.scheduled.get(record.type, record.due))
        return replace(self, scheduled={**self.scheduled, record.type: at})

    def _after(self, record: Record) -> Self:
        if record.phase == FAILED:
            return replace(self, failed=_latest(self.failed, record.completed))
        status = record.status
        began = _time(status.get("startedAt")) if record.full else None
        newest = self.succeeded is None or record.completed >= self.succeeded
        known = replace(
            self,
            succeeded=_latest(self.succeeded, record.completed),
            full_began=_latest(self.full_began, began),
        )
        if not newest:
            return known
        return replace(
            known,
            first_backup=str(status.get("firstBackup", self.first_backup)),
            recoverable_from=str(status.get("firstRecoverabilityPoint", self.recoverable_from)),
            stored=int(status.get("repositoryBytes", self.stored)),
            database=int(status.get("databaseBytes", self.database)),
            timeline=int(status.get("timeline", self.timeline)),
        )

    def status(self, place: str) -> dict[str, Any]:
        """`status.backup` but for what verification tells."""
        told = {
            "lastSuccessful": self.succeeded,
            "lastFull": self.full_began,
            "lastFailed": self.failed,
        }
        return {
            "repository": place,
            "since": moment(self.since),
            "scheduled": {type_.value: moment(at) for type_, at in self.scheduled.items()},
            # None takes back what was told of another repository.
            **{name: moment(at) if at else None for name, at in told.items()},
            "firstBackup": self.first_backup or None,
            "firstRecoverabilityPoint": self.recoverable_from or None,
            "repositoryBytes": self.stored or None,
            "databaseBytes": self.database or None,
            "timeline": self.timeline or None,
            "verification": self.verified,
            "lastVerified": (self.verified or {}).get("succeeded"),
        }


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time), default=None)
