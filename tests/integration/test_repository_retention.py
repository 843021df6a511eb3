"""Two stores in one bucket while weeks go by on a shifted clock: the windows hold, and neither touches the other's."""

import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checkpointstore.features.backup import cadence, retention
from checkpointstore.features.backup.cadence import BackupType, History
from checkpointstore.repository import clock
from tests.integration import repository
from tests.integration.repository import UID, Stand
from tests.integration.test_repository_backup import TABLE

DAYS = 60
LIBRARIES = Path("/usr/lib")
MEMORY = Path("/dev/shm")
DAY = timedelta(days=1)


@dataclass
class Shifted:
    """The clock that PostgreSQL and pgBackRest read, and nobody else: libfaketime's, moved by a file."""

    file: Path
    days: int = 0

    def move(self, days: int) -> None:
        self.days = days
        self.file.write_text(f"+{days}d")

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)

    def environment(self) -> dict[str, str]:
        (library,) = LIBRARIES.glob("*/faketime/libfaketime.so.1")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


@dataclass
class Store:
    """One of the two, with the operator's own choice of backups."""

    stand: Stand
    schedules: cadence.Schedules
    window: timedelta
    created: datetime
    history: History = field(default_factory=lambda: History(None, {}))
    written: list[datetime] = field(default_factory=list)

    def live(self, now: datetime) -> None:
        """A day of it: backups that are due are made, and something is written."""
        while due := cadence.due(self.schedules, self.window, self.history, self.created, now):
            done = self.stand.backup(due.type.word)
            assert done.code == 0, done
            began = clock.parse(done.outcome["startedAt"])
            assert abs(began - now) < DAY, "the clock is shifted for pgBackRest too"
            full = began if done.outcome["type"] == BackupType.FULL.word else self.history.newest_full
            self.history = History(full, due.settled)
        self.written.append(self.stand.put("thread", len(self.written)))
        self.stand.archive()

    def files(self) -> Mapping[Path, int]:
        """What is in its repository."""
        return {path: path.stat().st_mtime_ns for path in self.stand.repository.rglob("*") if path.is_file()}


@contextmanager
def store(base: Path, shifted: Shifted, window: str, **lines: str) -> Iterator[Store]:
    span = retention.window(window)
    settings = retention.options(span)
    with repository.running(base, settings, shifted.environment()) as stand:
        stand.sql(TABLE)
        schedules = {BackupType(name.title()): line for name, line in lines.items()}
        yield Store(stand, schedules, span, shifted.now())


@pytest.fixture
def shared() -> Iterator[Path]:
    """A bucket."""
    folder = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
    # What is killed leaves it behind.
    for path in MEMORY.glob("*faketime_*"):
        path.unlink()


def test_the_window_of_each_holds_and_neither_harms_the_other(shared: Path, soak: bool) -> None:
    shifted = Shifted(shared / "clock")
    shifted.move(0)
    step = 1 if soak else 15
    with (
        store(shared / "shop/agents", shifted, "14d", full="0 3 * * 0", differential="0 3 * * 1-6") as weekly,
        store(shared / "shop/other", shifted, "21d", incremental="0 4 * * *") as daily,
    ):
        stores = (weekly, daily)
        for day in range(0, DAYS + 1, step):
            shifted.move(day)
            for one, other in (stores, stores[::-1]):
                before = other.files()
                one.live(shifted.now())
                assert other.files() == before
            for one in stores:
                reaches(one, shifted.now())
        for one in stores:
            assert max(one.written) - min(one.written) > timedelta(days=DAYS - 1)
            expired(one, shifted.now(), step * DAY)
            brought_back(one, shifted.now())


def reaches(one: Store, now: datetime) -> None:
    """Every moment of the window, or of the store's life if that is shorter, has a backup before it."""
    first = clock.parse(one.stand.look().outcome["firstRecoverabilityPoint"])
    assert first <= max(now - one.window, one.created + timedelta(minutes=10)), (first, now)


def expired(one: Store, now: datetime, step: timedelta) -> None:
    """What nobody needs is gone: at most a window, the interval between two full backups and a step are kept."""
    first = clock.parse(one.stand.look().outcome["firstRecoverabilityPoint"])
    assert first > now - one.window - cadence.full_interval(one.schedules, one.window) - step - DAY, (first, now)


def brought_back(one: Store, now: datetime) -> None:
    """A moment of the window holds what was written until then, and nothing else."""
    inside = [at for at in one.written if at > now - one.window]
    target = random.choice(inside) + timedelta(seconds=0.0005)
    found = one.stand.look(time=target.isoformat())
    assert found.code == 0, found
    asked = one.stand.recovery("back", found.outcome["backupId"], UID, time=target.isoformat())
    restored = one.stand.run("restore", asked, LD_PRELOAD="")
    assert restored.code == 0, restored
    with one.stand.opened("back") as connection:
        (row,) = connection.execute("SELECT count(*) AS rows FROM checkpoints").fetchall()
    assert row["rows"] == sum(at <= target for at in one.written)
