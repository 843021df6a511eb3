"""Which backup is due: cron lines in UTC, the recovery window and what was done so far, against the time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ...kernel.cron import last_due

WEEK = timedelta(days=7)


class BackupType(StrEnum):
    """From the strongest to the weakest: a backup also does for all weaker ones that were due."""

    FULL = "Full"
    DIFFERENTIAL = "Differential"
    INCREMENTAL = "Incremental"

    @property
    def word(self) -> str:
        """What pgBackRest calls it."""
        return {self.FULL: "full", self.DIFFERENTIAL: "diff", self.INCREMENTAL: "incr"}[self]


Schedules = Mapping[BackupType, str]
"""Cron lines that `check` has let through, for the types that have one."""


@dataclass(frozen=True, slots=True)
class History:
    newest_full: datetime | None
    """When the newest successful full backup in the repository started."""
    scheduled: Mapping[BackupType, datetime]
    """The last due time of each type that a backup was started for, whatever came of it."""


@dataclass(frozen=True, slots=True)
class Due:
    type: BackupType
    at: datetime
    """The due time: of this type, no other backup of the store has it."""
    promoted: bool
    """A weaker one was due, and the newest full backup is too old."""
    settled: Mapping[BackupType, datetime]
    """The history's `scheduled` once this backup was started."""


def due(schedules: Schedules, window: timedelta, history: History, created: datetime, now: datetime) -> Due | None:
    """The backup to start now, if any, unless one runs.

    `created` is when backups were switched on: what was due before is not made up for. What was missed since is made up
    for by one backup, the strongest that is due.
    """
    missed = _missed(schedules, history, created, now)
    if history.newest_full is None:
        return _first(missed, history, now)
    if not missed:
        return None
    # The strongest, as they come in that order.
    asked, at = next(iter(missed.items()))
    promoted = asked is not BackupType.FULL and _aged(history.newest_full, max(missed.values()), schedules, window)
    type = BackupType.FULL if promoted else asked
    return Due(type, at, promoted, {**history.scheduled, **missed, type: at})


def full_interval(schedules: Schedules, window: timedelta) -> timedelta:
    """The age at which a full backup is followed by another whatever is due.

    pgBackRest removes a full backup only when a newer one is as old as the window, so without it space is not bounded.
    """
    return window if BackupType.FULL in schedules else min(window, WEEK)


def _first(missed: Mapping[BackupType, datetime], history: History, now: datetime) -> Due | None:
    """Without a full backup nothing can be restored, so it waits for no schedule."""
    minute = now.replace(second=0, microsecond=0)
    if history.scheduled.get(BackupType.FULL) == minute:
        return None
    return Due(BackupType.FULL, minute, False, {**history.scheduled, **missed, BackupType.FULL: minute})


def _missed(schedules: Schedules, history: History, created: datetime, now: datetime) -> Mapping[BackupType, datetime]:
    """The last due time of each type that no backup was started for, the strongest type first."""
    missed, done = {}, created
    for type in BackupType:
        # A backup does for the weaker ones that were due before it, so `done` is what any stronger one has reached.
        done = max(done, history.scheduled.get(type, done))
        if type in schedules and (last := last_due(schedules[type], now)) > done:
            missed[type] = last
    return missed


def _aged(full: datetime, at: datetime, schedules: Schedules, window: timedelta) -> bool:
    interval = full_interval(schedules, window)
    if BackupType.FULL in schedules:
        # Exactly: a month of 31 days with a window of 30 must not get a second full backup on its last day.
        return at - full > interval
    # By the date: a backup starts a little after its due time, so a daily one would be full every eighth day only.
    return at.date() - full.date() >= interval
