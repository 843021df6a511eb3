"""The recovery window as people write it and as pgBackRest is told it; which backups that keeps, as a table."""

from datetime import UTC, datetime, timedelta

import pytest

from checkpointstore.features.backup.cadence import BackupType
from checkpointstore.features.backup.retention import options, window

from .expire import Repository, expire

FULL, DIFF, INCR = BackupType
DAY = timedelta(days=1)
START = datetime(2026, 3, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(("text", "days"), [("1d", 1), ("30d", 30), ("4w", 28), ("3650d", 3650), ("521w", 3647)])
def test_a_window(text: str, days: int) -> None:
    assert window(text) == days * DAY


@pytest.mark.parametrize(
    "text", ["", "30", "d", "0d", "05d", "-1d", "1.5d", "1m", "30D", "30 d", " 30d", "30d\n", "4w2d", "٣d"]
)
def test_no_window(text: str) -> None:
    with pytest.raises(ValueError, match="such as 30d or 4w: a whole number, then d for days or w for weeks"):
        window(text)


@pytest.mark.parametrize("text", ["3651d", "522w", "9" * 100 + "d"])
def test_too_long_a_window(text: str) -> None:
    with pytest.raises(ValueError, match=r"at most 3650d \(or 521w\)"):
        window(text)


def test_what_pgbackrest_is_told() -> None:
    assert options(window("4w")) == {
        "repo1-retention-full-type": "time",
        "repo1-retention-full": "28",
        "repo1-retention-history": "28",
    }


def repository(made: str) -> Repository:
    """Backups made on consecutive days, an hour each: f full, d differential, i incremental, a point for none."""
    found = Repository((), START - DAY)
    for day, letter in enumerate(made):
        start = START + day * DAY
        if letter != ".":
            found = found.added({"f": FULL, "d": DIFF, "i": INCR}[letter], start, start + DAY / 24)
    return found


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("reason", "made", "now", "kept", "wal"),
    [
        ("nothing is old enough", "fdi", 3 * DAY, "fdi", -DAY),
        ("the only full stays, however old", "fdi", 400 * DAY, "fdi", timedelta(0)),
        ("a newer full inside the window relieves nobody", "f......f", 8 * DAY, "f......f", timedelta(0)),
        ("a newer full before the window relieves it and what depends on it", "fidf", 11 * DAY, "f", 3 * DAY),
        ("it counts from the end of a backup, and exactly is not before", "ff", 8 * DAY + HOUR, "ff", timedelta(0)),
        ("one second later it is", "ff", 8 * DAY + HOUR + timedelta(seconds=1), "f", DAY),
        ("differentials of a kept full stay", "fdfdif", 9 * DAY + 2 * HOUR, "fdif", 2 * DAY),
    ],
)
def test_what_pgbackrest_keeps(reason: str, made: str, now: timedelta, kept: str, wal: timedelta) -> None:
    """With a window of a week."""
    left = expire(repository(made), options(window("7d")), START + now)
    letters = {FULL: "f", DIFF: "d", INCR: "i"}
    assert "".join(letters[backup.type] for backup in left.backups) == kept.replace(".", ""), reason
    assert left.wal == START + wal, reason


def test_what_can_be_restored() -> None:
    found = repository("fi")
    assert not found.recoverable(START + HOUR)
    assert found.recoverable(START + HOUR + timedelta(seconds=1))
    without_its_full = Repository(found.backups[1:], found.wal)
    assert not without_its_full.recoverable(START + 9 * DAY)
    without_wal = Repository(found.backups[:1], START + HOUR)
    assert not without_wal.recoverable(START + 9 * DAY)
