"""What to recover to, and the backup to begin with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from . import archive, clock
from .archive import Archive, Hole, Segment
from .failure import Failure, refused
from .info import Backup
from .job import REQUEST, Request

KINDS = ("time", "lsn", "immediate", "backupId")


@dataclass(frozen=True, slots=True)
class Target:
    """At most one of the first four; none is the end of the archive. `timeline` None is the newest."""

    time: datetime | None = None
    lsn: int | None = None
    immediate: bool = False
    backup_id: str = ""
    timeline: int | None = None
    exclusive: bool = False

    @property
    def ends_with_backup(self) -> bool:
        return self.immediate or bool(self.backup_id)

    @property
    def latest(self) -> bool:
        return self.time is None and self.lsn is None and not self.ends_with_backup


def parse(request: Request) -> Target:
    given = [kind for kind in KINDS if request.values.get(kind)]
    if len(given) > 1:
        raise refused("InvalidRequest", f"{REQUEST}: target: give one of {', '.join(given)}")
    time, lsn = request.text("time", ""), request.text("lsn", "")
    timeline = str(request.values.get("timeline") or "latest")
    try:
        return Target(
            clock.parse(time) if time else None,
            archive.lsn(lsn) if lsn else None,
            request.flag("immediate"),
            request.text("backupId", ""),
            None if timeline == "latest" else int(timeline),
            request.flag("exclusive"),
        )
    except ValueError:
        raise refused(
            "InvalidRequest",
            f"{REQUEST}: target: time is RFC 3339 with a zone, lsn like 1/A0000000, timeline a number",
        ) from None


def choose(backups: Sequence[Backup], target: Target, now: float) -> Backup:
    """The newest backup that ends no later than the target; for a target without a place in time, that one."""
    if not backups:
        raise refused("NoBackup", "the repository holds no backup that has ended")
    if target.backup_id:
        return named(backups, target.backup_id)
    if target.time and target.time.timestamp() > now:
        raise refused(
            "TargetInFuture", f"{clock.exact(target.time)} has not come yet; give no target for the newest state"
        )
    usable = [backup for backup in backups if _before(backup, target)]
    if not usable:
        first = min(backups, key=lambda backup: backup.stop)
        raise refused(
            "TargetBeforeFirstBackup",
            f"the oldest backup, {first.label}, can be recovered from {clock.whole(first.recoverable)} "
            f"(lsn {first.lsn_stop}, timeline {first.timeline}) on; give a later target",
        )
    return max(usable, key=lambda backup: backup.stop)


def named(backups: Iterable[Backup], label: str) -> Backup:
    found = next((backup for backup in backups if backup.label == label), None)
    if found is None:
        there = ", ".join(backup.label for backup in sorted(backups, key=lambda b: b.stop, reverse=True))
        raise refused("BackupNotFound", f"there is no backup {label}; there are {there}")
    return found


def _before(backup: Backup, target: Target) -> bool:
    if target.timeline is not None and backup.timeline > target.timeline:
        return False
    if target.time:
        return backup.recoverable <= target.time.timestamp()
    return target.lsn is None or archive.lsn(backup.lsn_stop) <= target.lsn


def path(backup: Backup, found: Archive, target: Target, now: float) -> list[Segment]:
    """The segments to read for the target; refused when one that it needs is missing."""
    timeline = target.timeline
    if timeline is not None and timeline not in found.timelines:
        known = ", ".join(map(str, sorted(found.timelines)))
        raise refused("TargetTimelineUnknown", f"there is no timeline {timeline}; there are {known}")
    whole = archive.chain(found.segments, timeline)
    segments = archive.settled(whole, backup.first_segment, now)
    for hole in archive.holes(segments, backup.first_segment, backup.last_segment)[:1]:
        if _needed(hole, backup, target):
            raise gap(hole, backup)
    end = (segments[-1].number + 1) * archive.SEGMENT_BYTES if segments else 0
    if target.lsn is not None and target.lsn > end:
        raise refused(
            "TargetInFuture",
            f"the archive ends at lsn {archive.lsn_text(end)}; give that or an earlier one, or none for the newest",
        )
    return segments


def _needed(hole: Hole, backup: Backup, target: Target) -> bool:
    """Whether the target surely lies behind the hole; with a time it may yet turn out to, when all before is read."""
    if hole.first <= backup.last_segment or target.latest:
        return True
    if target.time:
        # The whole second in which it was archived counts as before.
        return hole.since is not None and target.time.timestamp() >= hole.since + 1
    return target.lsn is not None and target.lsn > hole.first * archive.SEGMENT_BYTES


def gap(hole: Hole, backup: Backup) -> Failure:
    """Says from when to when nothing can be recovered, and what can."""
    since = clock.whole(hole.since) if hole.since is not None else clock.whole(backup.start)
    until = f" to {clock.whole(hole.until)}" if hole.until is not None else " on"
    missing = f"{hole.last - hole.first + 1} WAL segments are missing from the archive, from {since}{until}"
    if hole.first <= backup.last_segment:
        out = f"backup {backup.label} cannot be used without them; give an earlier target"
    else:
        end = archive.lsn_text(hole.first * archive.SEGMENT_BYTES)
        out = f"from backup {backup.label} it goes up to lsn {end}; give that, or a target after a later backup"
    return refused("TargetInGap", f"{missing}; {out}")
