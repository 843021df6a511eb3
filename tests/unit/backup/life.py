"""Months of a store's backups in a moment: late passes, outages of the operator, backups that fail, expiry."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cronsim import CronSim
from hypothesis import strategies as st

from checkpointstore.features.backup.cadence import BackupType, Due, History, Schedules, due, full_interval
from checkpointstore.features.backup.retention import options
from checkpointstore.kernel.cron import next_due

from .expire import Repository, expire

CREATED = datetime(2026, 1, 14, 9, 17, 23, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@dataclass(frozen=True)
class Attempt:
    due: Due
    asked: datetime
    succeeded: bool
    ended: datetime
    repository: Repository
    """As it is from this attempt's end to the next one's."""


@dataclass(frozen=True)
class Life:
    schedules: Schedules
    window: timedelta
    late: timedelta
    """How long after it was asked for each pass comes."""
    lasts: timedelta
    """How long a backup takes."""
    outages: tuple[tuple[int, int], ...]
    """On which day the operator goes, and for how many hours."""
    failing: frozenset[int] = frozenset()
    """Which attempts fail."""

    @property
    def end(self) -> datetime:
        return CREATED + 3 * self.window + 75 * DAY

    def interval(self) -> timedelta:
        return full_interval(self.schedules, self.window)

    def due_times(self) -> list[datetime]:
        """All that come after CREATED, and of each line one after the end."""
        return sorted({at for line in self.schedules.values() for at in self._of(line)})

    def _of(self, line: str) -> Iterator[datetime]:
        for at in CronSim(line, CREATED):
            yield at
            if at > self.end:
                return

    def comes(self, time: datetime) -> datetime:
        """When the pass for that time is: a little later, or once the operator is there again."""
        for day, hours in sorted(self.outages):
            gone = CREATED + day * DAY
            if gone <= time < gone + timedelta(hours=hours):
                time = gone + timedelta(hours=hours)
        return time + self.late


@dataclass(frozen=True)
class Lived:
    passes: list[datetime]
    attempts: list[Attempt]

    def states(self, end: datetime) -> Iterator[tuple[Repository, datetime, datetime]]:
        """The repository, and from when till when it was like that."""
        ends = [attempt.ended for attempt in self.attempts]
        for attempt, till in zip(self.attempts, [*ends[1:], end], strict=True):
            yield attempt.repository, attempt.ended, till


def live(life: Life) -> Lived:
    lived = Lived([], [])
    repository, scheduled = Repository((), CREATED), dict[BackupType, datetime]()
    now, most = life.comes(CREATED), 1 + len(life.failing) + len(life.due_times())
    while now < life.end:
        # Else a mistake in the cadence would make this a life of backups.
        assert len(lived.attempts) <= most
        lived.passes.append(now)
        fulls = repository.fulls()
        history = History(fulls[-1].start if fulls else None, scheduled)
        found = due(life.schedules, life.window, history, CREATED, now)
        if not found:
            now = life.comes(next_due(life.schedules.values(), now) or life.end)
            continue
        scheduled = dict(found.settled)
        # The Job goes on when the operator does not.
        ended, succeeded = now + life.lasts, len(lived.attempts) not in life.failing
        if succeeded:
            repository = expire(repository.added(found.type, now, ended), options(life.window), ended)
        lived.attempts.append(Attempt(found, now, succeeded, ended, repository))
        now = life.comes(ended)
    return lived


def widest(times: list[datetime]) -> timedelta:
    return max((later - sooner for sooner, later in pairwise(times)), default=timedelta(0))


DAILY, WEEKLY, MONTHLY = "30 2 * * *", "0 3 * * SUN", "15 4 1 * *"
LINES = (
    DAILY,
    WEEKLY,
    MONTHLY,
    "0 */6 * * *",
    "45 1,13 * * 1-5",
    "59 23 * * *",
    "0 0 */3 * *",
    "30 2 * * 3#1",
    "0 12 L * *",
    "20 5 29 2 *",
)
lines = st.sampled_from(LINES) | st.builds(
    "{} {} * * {}".format, st.integers(0, 59), st.integers(0, 23), st.sampled_from(("*", "0", "1-6", "2,5"))
)
schedules = st.dictionaries(st.sampled_from(BackupType), lines, min_size=1)
steady = st.builds(
    Life,
    schedules=schedules,
    window=st.integers(1, 40).map(lambda days: days * DAY),
    late=st.integers(0, 1800).map(lambda seconds: seconds * SECOND),
    lasts=st.integers(1, 8 * 3600).map(lambda seconds: seconds * SECOND),
    outages=st.lists(st.tuples(st.integers(0, 150), st.integers(1, 400)), max_size=4).map(tuple),
)
troubled = st.builds(replace, steady, failing=st.frozensets(st.integers(0, 80), max_size=40))
