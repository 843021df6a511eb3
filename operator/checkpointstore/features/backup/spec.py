"""`spec.backup`: where backups go, when they are made, how long they are kept, and when they are proven."""

from typing import Annotated

from pydantic import AfterValidator, Field

from ...kernel.compute import Resources
from ...kernel.cron import Cron
from ...kernel.fragment import Fragment
from ...kernel.object_store import ObjectStore, Place, SecretKey
from ...kernel.values import seconds
from .cadence import BackupType
from .retention import window


def _window(text: str) -> str:
    window(text)
    return text


class Schedules(Fragment):
    """When base backups are made: cron lines of five fields, in UTC. A line that is absent makes none of that type."""

    full: Cron | None = None
    """Everything."""
    differential: Cron | None = None
    """What has changed since the last full one."""
    incremental: Cron | None = None
    """What has changed since the last one of any type."""

    def lines(self) -> dict[BackupType, str]:
        given = {
            BackupType.FULL: self.full,
            BackupType.DIFFERENTIAL: self.differential,
            BackupType.INCREMENTAL: self.incremental,
        }
        return {type_: line for type_, line in given.items() if line is not None}


class Verification(Fragment):
    """How backups are proven: the newest is restored into a throw-away instance, replayed to the end and checked."""

    schedule: Cron = "0 5 * * 0"
    """When: a cron line of five fields, in UTC. Also after the first backup."""
    resources: Resources = Resources(requests={"cpu": "100m", "memory": "512Mi"}, limits={"memory": "1Gi"})
    """Requests and limits of the throw-away instance."""
    storage_class_name: str | None = None
    """StorageClass of its volume; that of the store's instances when absent."""
    timeout: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[mh]$")] = "6h"
    """How long it may take, in minutes (m) or hours (h)."""

    def seconds(self) -> int:
        return int(seconds(self.timeout))


class Backup(Place):
    """Backups: every write is archived within a minute, and base backups are made, kept and proven by schedule."""

    object_store: ObjectStore
    """Where they are kept, below NAMESPACE/NAME/UID of the store."""
    encryption: SecretKey | None = None
    """A passphrase that everything in the object store is encrypted with. Keep a copy outside the cluster: without it
    no backup can be read. It cannot be changed for a repository that exists."""
    schedules: Schedules = Schedules(full="0 3 * * 0", differential="0 3 * * 1-6")
    """When base backups are made."""
    retention_policy: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[dw]$"), AfterValidator(_window)] = "30d"
    """The recovery window, in days (d) or weeks (w): any second inside it can be brought back."""
    verification: Verification = Verification()
    """How and when backups are proven."""
    resources: Resources = Resources(requests={"cpu": "100m", "memory": "128Mi"}, limits={"memory": "512Mi"})
    """Requests and limits of the pods that make backups."""
