"""Cron lines of five fields, in UTC: whether one can be due, and when it was and will be."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

FIELD = r"[0-9A-Za-z*,/#-]+"
# cronsim looks 50 years ahead, and the rarest line (the fifth Monday of a February) is due every 40 years at least.
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def check(text: str) -> str:
    """The line, when it is one of five fields that is due at some time.

    Raises ValueError when it is not.
    """
    fields = len(text.split())
    if fields != 5:
        raise ValueError(
            f"five fields are needed, minute, hour, day of the month, month and day of the week (in UTC), not {fields}"
        )
    try:
        first = next(CronSim(text, _ANY_TIME), None)
    except CronSimError as error:
        raise ValueError(f"not a cron line such as 0 2 * * 0 (Sundays at 02:00 UTC): {str(error).lower()}") from None
    if first is None:
        raise ValueError("never due: no day is of that month, day of the month and day of the week")
    return text


Cron = Annotated[str, Field(pattern=rf"^{FIELD}( {FIELD}){{4}}$", max_length=100), AfterValidator(check)]


def last_due(line: str, now: datetime) -> datetime:
    """The newest due time that is not after now."""
    # Backwards, cronsim begins before the time that it is given, and for it a fraction of a second is a step.
    return next(CronSim(line, now + timedelta(microseconds=1), reverse=True))


def next_due(lines: Iterable[str], now: datetime) -> datetime | None:
    """When one of them is due after now: the time to look again."""
    return min((next(CronSim(line, now)) for line in lines), default=None)
