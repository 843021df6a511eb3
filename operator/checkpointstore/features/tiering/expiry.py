"""When nothing of a deleted thread is left anywhere. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ...kernel.cron import next_due
from .compaction import DAY


@dataclass(frozen=True, slots=True)
class Outside:
    """How values outside are collected that nothing refers to."""

    schedule: str
    grace: timedelta
    window: timedelta
    """How long a run that has seen one leaves it."""


def erased_by(
    last: datetime, schedule: str, grace: timedelta, backups: timedelta | None, outside: Outside | None = None
) -> datetime | None:
    """When nothing has what was deleted until then: its object is written anew within a day, and the old one goes.

    `backups` is how long one may hold it; None where nobody knows, and nobody knows then.
    """
    if backups is None:
        return None
    gone = [_second(schedule, last + DAY, grace)]
    if outside:
        # Rows may begin to refer to one for a grace, and one more it is not looked at.
        gone.append(_second(outside.schedule, last + 2 * outside.grace, outside.window))
    known = [at for at in gone if at]
    return max(*known, last + backups) if len(known) == len(gone) else None


def _second(schedule: str, since: datetime, after: timedelta) -> datetime | None:
    """The first run so long after the first one since then; that one itself where it need not wait."""
    first = next_due((schedule,), since)
    return next_due((schedule,), first + after) if first and after else first
