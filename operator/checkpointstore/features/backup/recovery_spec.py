"""`spec.bootstrap.recovery`: which repository, and which moment of it, the first data comes from."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ...kernel.fragment import Fragment
from ...kernel.object_store import ObjectStore, Place, SecretKey, SecretReference

TARGETS = ("target_time", "target_lsn", "target_immediate", "backup_id")


def _moment(text: str) -> str:
    """The pattern asks for the offset; whether there is such a day, it cannot tell."""
    datetime.fromisoformat(text)
    return text


Moment = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"),
    AfterValidator(_moment),
]


class Source(Place):
    """The repository of a store. The store need not live: the bucket is enough."""

    object_store: ObjectStore
    """Where the store kept its backups: its spec.backup.objectStore."""
    encryption: SecretKey | None = None
    """The passphrase that they are encrypted with, if they are."""
    namespace: str | None = Field(default=None, max_length=63)
    """The namespace the store was in; this one's when absent."""
    store: str | None = Field(default=None, max_length=40)
    """The store's name; this one's when absent."""
    uid: str | None = Field(default=None, pattern=r"^[0-9a-f-]{36}$")
    """The store's metadata.uid. Only needed where several stores of that name have left backups."""


def recorded(origin: Mapping[str, Any] | None) -> Source | None:
    """Where a CheckpointBackup is, as its status says; None where it does not, or somebody has edited it."""
    try:
        return Source.model_validate(((origin or {}).get("status") or {}).get("source"))
    except ValidationError:
        return None


class RecoveryTarget(Fragment):
    """The moment to recover to. The newest that is archived when nothing is set."""

    target_time: Moment | None = None
    """A time, such as 2026-11-24T15:04:05Z: what was committed until then is there, and nothing else."""
    target_lsn: str | None = Field(default=None, alias="targetLSN", pattern=r"^[0-9A-F]{1,8}/[0-9A-F]{1,8}$")
    """A position in the write-ahead log."""
    target_immediate: bool = False
    """As soon as the newest backup is consistent."""
    backup_id: str | None = Field(
        default=None, alias="backupID", pattern=r"^[0-9]{8}-[0-9]{6}F(_[0-9]{8}-[0-9]{6}[DI])?$"
    )
    """As soon as this backup is consistent."""
    target_tli: str | None = Field(default=None, alias="targetTLI", pattern=r"^(latest|[1-9][0-9]{0,8})$")
    """The timeline to follow: latest (the default) or a number."""
    exclusive: bool = False
    """Stop just before the target, not just after it."""

    @model_validator(mode="after")
    def _one(self) -> "RecoveryTarget":
        if sum(bool(getattr(self, name)) for name in TARGETS) > 1:
            raise ValueError("set at most one of targetTime, targetLSN, targetImmediate, backupID")
        return self

    def request(self) -> dict[str, Any]:
        """For the Job, which knows them by shorter names."""
        given = {
            "time": self.target_time,
            "lsn": self.target_lsn,
            "immediate": self.target_immediate or None,
            "backupId": self.backup_id,
            "timeline": self.target_tli,
            "exclusive": self.exclusive or None,
        }
        return {name: value for name, value in given.items() if value is not None}


class Recovery(Fragment):
    """The first data comes from a backup: of a store that lives or is lost, or of this one's name before."""

    source: Source | None = None
    """The repository to recover from."""
    backup: SecretReference | None = None
    """A CheckpointBackup of this namespace, which says the repository and the backup."""
    recovery_target: RecoveryTarget = RecoveryTarget()
    """The moment to recover to."""

    @model_validator(mode="after")
    def _from(self) -> "Recovery":
        if (self.source is None) == (self.backup is None):
            raise ValueError("set exactly one of source and backup")
        return self


RULES = (
    {
        "rule": "has(self.source) != has(self.backup)",
        "message": "set exactly one of source and backup",
    },
)
TARGET_RULES = (
    {
        "rule": "[has(self.targetTime), has(self.targetLSN), has(self.targetImmediate) && self.targetImmediate, "
        "has(self.backupID)].filter(set, set).size() <= 1",
        "message": "set at most one of targetTime, targetLSN, targetImmediate, backupID",
    },
)
