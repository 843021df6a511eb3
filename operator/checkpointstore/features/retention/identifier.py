"""Checkpoint ids: UUIDs of version 6, which as text sort by the time in them."""

from datetime import UTC, datetime, timedelta

TIMED = "^[0-9a-f]{8}-[0-9a-f]{4}-6[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
"""An id of any other form tells no time, for Python and PostgreSQL alike."""
_EPOCH = datetime(1582, 10, 15, tzinfo=UTC)


def lowest(at: datetime) -> str:
    """The id that is not above any id of that time, nor below any of an earlier one."""
    ticks = max(0, (at - _EPOCH) // timedelta(microseconds=1) * 10)
    digits = f"{ticks:015x}"
    return f"{digits[:8]}-{digits[8:12]}-6{digits[12:]}-8000-000000000000"
