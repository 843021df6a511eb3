"""Which backup is due: cron lines, a table with reasons, and months of operation with outages and failures."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.features.backup.cadence import (
    BackupType,
    Due,
    History,
    Schedules,
    due,
    full_interval,
)
from checkpointstore.kernel.cron import check, last_due, next_due

from .life import CREATED, DAY, LINES, SECOND, Life, lines, live, schedules, steady, troubled, widest

FULL, DIFF, INCR = BackupType
DAILY, SUNDAYS = "0 2 * * *", "0 2 * * 0"
MONTH = 30 * DAY


def at(text: str) -> datetime:
    """A time of March 2026, whose first day is a Sunday: day, and hour and minute unless it is 02:00."""
    day, _, time = text.partition(" ")
    return datetime.fromisoformat(f"2026-03-{day} {time or '02:00'}+00:00")


def test_pgbackrests_words() -> None:
    assert [type.word for type in BackupType] == ["full", "diff", "incr"]


@pytest.mark.parametrize("line", [*LINES, "*/5 * * * *", "0 2 * * 7", "0 0 LW JAN-MAR *", "0 0 29 2 *", "0 0 * 2 1#5"])
def test_a_line(line: str) -> None:
    assert check(line) == line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "five fields are needed, minute, hour, .* not 0"),
        ("@daily", "five fields are needed, .* not 1"),
        ("0 0 2 * * *", r"five fields are needed, .* \(in UTC\), not 6"),
        ("60 2 * * *", r"not a cron line such as 0 2 \* \* 0 \(Sundays at 02:00 UTC\): bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 2 0 * *", "bad day-of-month"),
        ("0 2 * 13 *", "bad month"),
        ("0 2 * * 8", "bad day-of-week"),
        ("*/0 2 * * *", "bad minute"),
        ("0 2 31 2 *", "bad day-of-month"),
        ("0 2 31 4,6 *", "bad day-of-month"),
        ("0 2 */20 * 1#2", "never due: no day is"),
    ],
)
def test_no_line(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(line)


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (at("02 02:00:00"), at("02")),
        (at("02 02:00:00.000001"), at("02")),
        (at("02 01:59:59.999999"), at("01")),
        (at("02 02:00:59.999999"), at("02")),
    ],
)
def test_a_line_is_due_from_the_very_second_on(now: datetime, last: datetime) -> None:
    assert last_due(DAILY, now) == last


@given(line=lines, after=st.timedeltas(timedelta(0), 800 * DAY))
def test_last_and_next_due_time_are_neighbours(line: str, after: timedelta) -> None:
    now = CREATED + after
    last, upcoming = last_due(line, now), next_due((line,), now)
    assert upcoming is not None
    assert last <= now < upcoming
    assert next_due((line,), last) == upcoming
    assert next_due((line,), last - SECOND) == last
    assert last_due(line, upcoming - SECOND) == last


def test_the_next_look_is_at_the_soonest_line() -> None:
    assert next_due((SUNDAYS, DAILY), at("03 12:00")) == at("04")
    assert next_due((SUNDAYS, DAILY), at("04")) == at("05")
    assert next_due((), at("03")) is None


@pytest.mark.parametrize(
    ("reason", "given", "days", "interval"),
    [
        ("full backups are made without a line of their own", {DIFF: DAILY}, 30, 7),
        ("a short window needs them more often", {INCR: DAILY}, 3, 3),
        ("with a line, it is the line that says when", {FULL: SUNDAYS, DIFF: DAILY}, 30, 30),
    ],
)
def test_the_interval_of_full_backups(reason: str, given: Schedules, days: int, interval: int) -> None:
    assert full_interval(given, days * DAY) == interval * DAY, reason


BOTH = {FULL: SUNDAYS, DIFF: DAILY}
ALL = {INCR: "0 * * * *", DIFF: DAILY, FULL: SUNDAYS}
SUNDAY = at("01 02:00:05")
ROWS: list[tuple[str, Schedules, History, datetime, Due | None]] = [
    (
        "the first backup waits for no schedule",
        BOTH,
        History(None, {}),
        at("04 10:20:30.5"),
        Due(FULL, at("04 10:20"), False, {FULL: at("04 10:20"), DIFF: at("04")}),
    ),
    (
        "not even for one to exist",
        {},
        History(None, {}),
        at("04 10:20"),
        Due(FULL, at("04 10:20"), False, {FULL: at("04 10:20")}),
    ),
    ("it failed in this very minute", BOTH, History(None, {FULL: at("04 10:20")}), at("04 10:20:59"), None),
    (
        "it failed, a minute later it is made again",
        {DIFF: DAILY},
        History(None, {FULL: at("04 10:20"), DIFF: at("04")}),
        at("04 10:21"),
        Due(FULL, at("04 10:21"), False, {FULL: at("04 10:21"), DIFF: at("04")}),
    ),
    ("nothing is due", BOTH, History(SUNDAY, {FULL: at("01"), DIFF: at("01")}), at("02 01:59:59"), None),
    ("nothing is given", {}, History(SUNDAY, {FULL: at("01")}), at("29"), None),
    (
        "a differential is due from its very second on",
        BOTH,
        History(SUNDAY, {FULL: at("01"), DIFF: at("01")}),
        at("02"),
        Due(DIFF, at("02"), False, {FULL: at("01"), DIFF: at("02")}),
    ),
    (
        "it was started, whatever came of it",
        BOTH,
        History(SUNDAY, {FULL: at("01"), DIFF: at("02")}),
        at("02 02:01"),
        None,
    ),
    (
        "several types at once: the strongest, which settles the weaker ones",
        ALL,
        History(SUNDAY, {FULL: at("01"), DIFF: at("07"), INCR: at("08 01:00")}),
        at("08 02:00:03"),
        Due(FULL, at("08"), False, {FULL: at("08"), DIFF: at("08"), INCR: at("08")}),
    ),
    (
        "after an outage one backup, also for what was due after the strongest",
        ALL,
        History(SUNDAY, {FULL: at("01"), DIFF: at("05"), INCR: at("05 09:00")}),
        at("10 12:30"),
        Due(FULL, at("08"), False, {FULL: at("08"), DIFF: at("10"), INCR: at("10 12:00")}),
    ),
    (
        "a differential before an incremental",
        ALL,
        History(SUNDAY, {FULL: at("01"), DIFF: at("03"), INCR: at("03 09:00")}),
        at("04 12:30"),
        Due(DIFF, at("04"), False, {FULL: at("01"), DIFF: at("04"), INCR: at("04 12:00")}),
    ),
    (
        "a stronger backup did for the line that is new",
        {FULL: SUNDAYS, INCR: "0 1 * * 0"},
        History(SUNDAY, {FULL: at("01")}),
        at("01 12:00"),
        None,
    ),
    (
        "a weaker one did not",
        {DIFF: "0 1 * * *", INCR: DAILY},
        History(SUNDAY, {FULL: at("01"), INCR: at("02")}),
        at("02 12:00"),
        Due(DIFF, at("02 01:00"), False, {FULL: at("01"), DIFF: at("02 01:00"), INCR: at("02")}),
    ),
    (
        "without a line for full ones, a differential is full every week, though it starts some seconds late",
        {DIFF: DAILY},
        History(SUNDAY, {FULL: at("01"), DIFF: at("07")}),
        at("08 02:00:03"),
        Due(FULL, at("08"), True, {FULL: at("08"), DIFF: at("08")}),
    ),
    (
        "and not before",
        {DIFF: DAILY},
        History(SUNDAY, {FULL: at("01"), DIFF: at("06")}),
        at("07 02:00:03"),
        Due(DIFF, at("07"), False, {FULL: at("01"), DIFF: at("07")}),
    ),
    (
        "an incremental too",
        {INCR: DAILY},
        History(SUNDAY, {FULL: at("01"), INCR: at("07")}),
        at("08 02:00:03"),
        Due(FULL, at("08"), True, {FULL: at("08"), INCR: at("08")}),
    ),
    (
        "how old the full one is counts at the last due time, not at the strongest's",
        {DIFF: SUNDAYS, INCR: DAILY},
        History(at("03"), {FULL: at("03"), DIFF: at("01"), INCR: at("05")}),
        at("10 12:00"),
        Due(FULL, at("08"), True, {FULL: at("08"), DIFF: at("08"), INCR: at("10")}),
    ),
    (
        "with a line for full ones, a month of 31 days does not make another on its last day",
        {FULL: "0 2 1 * *", DIFF: DAILY},
        History(at("01"), {FULL: at("01"), DIFF: at("30")}),
        at("31 02:03"),
        Due(DIFF, at("31"), False, {FULL: at("01"), DIFF: at("31")}),
    ),
    (
        "with a line for full ones, one is made when the newest is older than the window, as when the last one failed",
        {FULL: "0 2 28 * *", DIFF: DAILY},
        History(at("28") - MONTH - SECOND, {FULL: at("27"), DIFF: at("27")}),
        at("28 02:00:01"),
        Due(FULL, at("28"), False, {FULL: at("28"), DIFF: at("28")}),
    ),
    (
        "it failed again, so that the next differential is full",
        {FULL: "0 2 28 * *", DIFF: DAILY},
        History(at("28") - MONTH, {FULL: at("28"), DIFF: at("28")}),
        at("29 02:00:01"),
        Due(FULL, at("29"), True, {FULL: at("29"), DIFF: at("29")}),
    ),
]


@pytest.mark.parametrize(("reason", "given", "history", "now", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_what_is_due(reason: str, given: Schedules, history: History, now: datetime, expected: Due | None) -> None:
    """With a window of 30 days, and backups switched on long ago."""
    assert due(given, MONTH, history, at("01") - MONTH, now) == expected, reason


@pytest.mark.parametrize(("created", "found"), [(at("02 01:59:59"), DIFF), (at("02"), None), (at("02 02:00:01"), None)])
def test_what_was_due_before_backups_were_switched_on_is_not_made_up_for(
    created: datetime, found: BackupType | None
) -> None:
    history = History(SUNDAY, {})
    told = due({DIFF: DAILY}, MONTH, history, created, at("02 09:00"))
    assert (told and told.type) == found


def rises(times: Iterable[datetime]) -> bool:
    several = list(times)
    return several == sorted(set(several))


@given(life=troubled)
def test_every_second_of_the_window_can_be_restored(life: Life) -> None:
    """Also when backups fail: a window after the first one, and for ever."""
    lived = live(life)
    complete = next((each.ended for each in lived.attempts if each.succeeded), life.end) + life.window + SECOND
    for repository, since, till in lived.states(life.end):
        # The earliest target is the hardest: a backup that is before it is before all later ones.
        if complete < till:
            assert repository.recoverable(max(since, complete) - life.window)


@given(life=steady)
def test_space_is_bounded(life: Life) -> None:
    """Whenever a backup has ended, and with it expire; until the next one only WAL is added."""
    lived = live(life)
    period = widest([CREATED, *life.due_times()])
    most = life.window + life.interval() + period + widest([CREATED, *lived.passes]) + life.lasts
    assert all(each.ended - each.repository.backups[0].start <= most for each in lived.attempts)


@given(life=troubled)
def test_no_due_time_has_two_backups(life: Life) -> None:
    lived = live(life)
    assert rises(each.due.at for each in lived.attempts)
    for sooner, later in pairwise(lived.attempts):
        assert all(later.due.settled[type] >= time for type, time in sooner.due.settled.items())
        assert later.due.settled != sooner.due.settled


@given(life=troubled)
def test_the_last_full_backup_is_never_expired(life: Life) -> None:
    newest = None
    for each in live(life).attempts:
        if each.succeeded and each.due.type is FULL:
            newest = each.asked
        assert [full.start for full in each.repository.fulls()][-1:] == ([newest] if newest else [])
        assert all(each.repository.whole(backup) for backup in each.repository.backups)


@given(life=troubled)
def test_what_was_missed_is_made_up_for_once(life: Life) -> None:
    """The first pass after a due time starts a backup, and no later pass starts one for what was due by then."""
    lived = live(life)
    asked = {each.asked for each in lived.attempts}
    for time in life.due_times():
        first = next((each for each in lived.passes if each >= time), None)
        assert first is None or first in asked
    for sooner, later in pairwise(lived.attempts):
        assert later.due.at > sooner.asked or not sooner.repository.backups


@given(given=schedules, days=st.integers(1, 60), away=st.integers(1, 2000))
def test_an_outage_costs_one_backup(given: Schedules, days: int, away: int) -> None:
    """From the first backup on, however long it was and whatever was due."""
    start = CREATED + days * DAY
    history = History(start, {FULL: start.replace(second=0)})
    now = start + timedelta(hours=away)
    missed = any(last_due(line, now) > start for line in given.values())
    found = due(given, MONTH, history, start, now)
    assert bool(found) is missed
    if found:
        newest = now if found.type is FULL else start
        assert due(given, MONTH, History(newest, found.settled), start, now) is None
