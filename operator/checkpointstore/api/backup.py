"""Kind CheckpointBackup, version v1alpha1: one base backup of one store, asked for by a schedule or a person."""

from pydantic import Field

from ..features.backup.cadence import BackupType
from ..kernel.fragment import Fragment

KIND = "CheckpointBackup"
PLURAL = "checkpointbackups"


class StoreReference(Fragment):
    """A CheckpointStore of the same namespace."""

    name: str = Field(min_length=1, max_length=40)
    """Its name."""


class BackupSpec(Fragment):
    """Which backup shall be made. It never changes."""

    store: StoreReference
    """The CheckpointStore that is backed up."""
    type: BackupType = BackupType.FULL
    """Full: everything. Differential: what has changed since the last full one. Incremental: since the last one of any
    type. Without a full one in the repository it becomes Full."""
