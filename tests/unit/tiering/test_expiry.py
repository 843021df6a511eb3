"""When nothing of a deleted thread is left."""

from datetime import UTC, datetime, timedelta

import pytest

from checkpointstore.features.tiering.expiry import erased_by

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


def test_nobody_knows_when_backups_are_made_by_hand() -> None:
    assert erased_by(LAST, "*/10 * * * *", DAY, None) is None
