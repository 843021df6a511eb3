"""When nothing of a deleted thread is left."""

from datetime import UTC, datetime, timedelta

import pytest

from checkpointstore.features.tiering.expiry import Outside, erased_by

LAST = datetime(2026, 11, 28, 12, 3, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("grace", "backups", "at"),
    [
        (DAY, timedelta(0), LAST + 2 * DAY + timedelta(minutes=17)),
        (30 * DAY, timedelta(0), LAST + 31 * DAY + timedelta(minutes=17)),
        (30 * DAY, 44 * DAY, LAST + 44 * DAY),
    ],
)
def test_objects_and_backups_have_gone(grace: timedelta, backups: timedelta, at: datetime) -> None:
    """Its object is written anew by the first run after a day, and the old one goes by the first after its grace."""
    assert erased_by(LAST, "*/10 * * * *", grace, backups) == at


@pytest.mark.parametrize(
    ("outside", "at"),
    [
        (Outside("30 3 * * *", 7 * DAY, timedelta()), datetime(2026, 12, 13, 3, 30, tzinfo=UTC)),
        (Outside("30 3 * * *", 7 * DAY, 30 * DAY), datetime(2027, 1, 13, 3, 30, tzinfo=UTC)),
        (Outside("30 3 * * 0", 7 * DAY, DAY), datetime(2026, 12, 20, 3, 30, tzinfo=UTC)),
        (Outside("* * * * *", timedelta(hours=1), timedelta()), LAST + 2 * DAY + timedelta(minutes=17)),
    ],
)
def test_values_outside_have_gone(outside: Outside, at: datetime) -> None:
    """Twice their grace later a run looks at it, and one that comes when no recovery may need it removes it."""
    assert erased_by(LAST, "*/10 * * * *", DAY, timedelta(), outside) == at


def test_nobody_knows_when_backups_are_made_by_hand() -> None:
    assert erased_by(LAST, "*/10 * * * *", DAY, None) is None
