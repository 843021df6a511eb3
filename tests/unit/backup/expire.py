"""What pgBackRest's expire command does to a repository with time-based retention, after its `expire.c`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from checkpointstore.features.backup.cadence import BackupType


@dataclass(frozen=True)
class Backup:
    type: BackupType
    start: datetime
    stop: datetime
    prior: datetime | None
    """The start of the backup that this one is the difference to."""


@dataclass(frozen=True)
class Repository:
    backups: tuple[Backup, ...]
    """Oldest first."""
    wal: datetime
    """All WAL since then is there."""

    def fulls(self) -> list[Backup]:
        return [backup for backup in self.backups if backup.type is BackupType.FULL]

    def added(self, type: BackupType, start: datetime, stop: datetime) -> "Repository":
        """With a backup that ended well; the first one is full whatever was asked for."""
        priors = {
            BackupType.FULL: None,
            BackupType.DIFFERENTIAL: self.fulls()[-1].start if self.backups else None,
            BackupType.INCREMENTAL: self.backups[-1].start if self.backups else None,
        }
        made = Backup(type if self.backups else BackupType.FULL, start, stop, priors[type])
        return Repository((*self.backups, made), self.wal)

    def recoverable(self, target: datetime) -> bool:
        """Whether restore finds a backup that ended before the target, with all that it builds on and its WAL."""
        return any(backup.stop < target and self.wal <= backup.start and self.whole(backup) for backup in self.backups)

    def whole(self, backup: Backup) -> bool:
        there = {each.start: each for each in self.backups}
        while backup.prior is not None:
            if backup.prior not in there:
                return False
            backup = there[backup.prior]
        return True


def expire(repository: Repository, options: Mapping[str, str], now: datetime) -> Repository:
    """The repository after `pgbackrest expire`, which also ends every successful `pgbackrest backup`."""
    assert options["repo1-retention-full-type"] == "time"
    assert not any(option.startswith("repo1-retention-archive") for option in options)
    limit = now - timedelta(days=int(options["repo1-retention-full"]))
    # From the newest on: the first full one that ended before the limit is kept, and all that is newer.
    met = next((full for full in reversed(repository.fulls()) if full.stop < limit), None)
    if met is None:
        # "time-based archive retention not met - archive logs will not be expired"
        return repository
    kept = list(repository.backups)
    while kept[0] != met:
        kept = _without(kept, kept[0])
    # repo-retention-archive becomes the number of full backups left: WAL is kept from the start of the oldest of them.
    return Repository(tuple(kept), max(repository.wal, met.start))


def _without(backups: list[Backup], gone: Backup) -> list[Backup]:
    """Without one and all that depend on it; dependents come after what they depend on."""
    starts = {gone.start}
    for backup in backups:
        if backup.prior in starts:
            starts.add(backup.start)
    return [backup for backup in backups if backup.start not in starts]
