"""Jobs that come by a schedule, one at a time: when one is due, and what it has come to."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from .action import Manifest
from .condition import Status
from .cron import last_due, next_due
from .job import finished
from .values import moment

# What says nothing of the checkpoints: nobody could look.
UNKNOWN = frozenset({"JobFailed", "TookTooLong", "Unavailable"})


def due(schedule: str, known: Mapping[str, Any], now: datetime) -> str:
    """The due time that a run is to be begun for, "" when there is none; what was missed is made up for by one run."""
    last = datetime.fromisoformat(str(known.get("lastRun") or known["since"]))
    at = last_due(schedule, now)
    return moment(at) if at > last else ""


def following(schedule: str, now: datetime) -> timedelta | None:
    """How long it is until the next run."""
    at = next_due((schedule,), now)
    return at - now if at else None


def failure(live: Manifest | None, said: Mapping[str, Any], seconds: int) -> dict[str, str] | None:
    """Reason and message of a run that failed, which may take so long; None where it did not."""
    if not finished(live, "Failed"):
        return None
    late = any(item.get("reason") == "DeadlineExceeded" for item in (live or {})["status"].get("conditions", ()))
    reason = str(said.get("reason") or ("TookTooLong" if late else "JobFailed"))
    return {"reason": reason, "message": str(said.get("message") or _silent(late, seconds))}


def judged(reason: str) -> Status:
    """What the reason of a failure makes of the condition."""
    return Status.UNKNOWN if reason in UNKNOWN else Status.FALSE


def rounded(count: int) -> int:
    """Two digits are enough for people, and change less."""
    return round(count, 2 - len(str(count)))


def _silent(late: bool, seconds: int) -> str:
    if late:
        return f"It was ended after {seconds // 60} minutes"
    return "The Job's pod ended without a word: it was killed, or its image could not be pulled"
