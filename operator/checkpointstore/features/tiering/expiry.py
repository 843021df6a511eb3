"""When nothing of a deleted thread is left anywhere. Pure."""

from datetime import datetime, timedelta

from ...kernel.cron import next_due
from .compaction import DAY


def erased_by(last: datetime, schedule: str, grace: timedelta, backups: timedelta | None) -> datetime | None:
    """When nothing has what was deleted until then: its object is written anew within a day, and the old one goes.

    `backups` is how long one may hold it; None where nobody knows, and nobody knows then.
    """
    if backups is None:
        return None
    first = next_due((schedule,), last + DAY)
    gone = next_due((schedule,), first + grace) if first else None
    return max(gone, last + backups) if gone else None
