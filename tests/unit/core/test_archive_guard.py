"""What looks at the queue before pgBackRest does: the script as the shell runs it, in a directory of names only."""

import subprocess
from pathlib import Path

import pytest

from checkpointstore.kernel.values import MIB
from checkpointstore.providers.patroni import archive

FIRST = "000000020000000A000000FE"
SECOND = "000000020000000A000000FF"
THIRD = "000000020000000B00000000"


class Directory:
    """PostgreSQL's data directory, and beside it what the operator and the script write."""

    def __init__(self, folder: Path) -> None:
        self.data, self.config, self.note = folder / "pgdata", folder / "pgbackrest.conf", folder / "dropped"
        self.status = self.data / "pg_wal/archive_status"
        self.status.mkdir(parents=True)
        self.allow(2)

    def allow(self, segments: int) -> None:
        self.config.write_text(f"[global]\narchive-async=y\n{archive.OPTION}={segments * 16 * MIB}\nprocess-max=2\n")

    def wait(self, *names: str) -> None:
        for name in names:
            (self.status / f"{name}.ready").touch()

    def drops(self, name: str) -> bool:
        """Whether the file is dropped; PostgreSQL then takes it from the queue."""
        script = archive.guard(str(self.config), str(self.note))
        done = subprocess.run(
            ["sh", "-c", script, "sh", f"pg_wal/{name}"], cwd=self.data, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        self.said = done.stderr
        if done.returncode == 0:
            (self.status / f"{name}.ready").unlink()
        return done.returncode == 0


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def test_what_may_wait_is_left_to_pgbackrest(directory: Directory) -> None:
    directory.wait(FIRST, SECOND)
    assert not directory.drops(FIRST)
    assert not directory.note.exists()
    assert directory.said == ""


def test_all_that_waits_is_dropped_when_too_much_does(directory: Directory) -> None:
    directory.wait(FIRST, SECOND, THIRD)
    assert directory.drops(FIRST)
    assert directory.note.read_text() == f"{THIRD}\n"
    assert directory.said == f"WARN: 3 WAL files wait, more than may: dropped up to {THIRD}\n"
    assert directory.drops(SECOND)
    later = "000000020000000B00000001"
    directory.wait(later)
    assert [directory.drops(name) for name in (THIRD, later)] == [True, False]
    assert directory.note.read_text() == f"{THIRD}\n", "the note's time is when it was dropped"


def test_a_later_timelines_wal_is_no_part_of_what_was_dropped(directory: Directory) -> None:
    directory.note.write_text(f"{SECOND}\n")
    directory.wait("000000030000000A000000FE")
    assert not directory.drops("000000030000000A000000FE")


def test_a_history_file_does_not_hold_up_what_is_behind_it(directory: Directory) -> None:
    directory.wait("00000002.history", FIRST, SECOND)
    assert directory.drops("00000002.history")
    assert directory.drops(FIRST)


def test_without_a_limit_nothing_is_dropped(directory: Directory) -> None:
    directory.config.write_text("[global]\n")
    directory.wait(FIRST, SECOND, THIRD)
    assert not directory.drops(FIRST)


def test_what_cannot_be_noted_is_not_dropped(directory: Directory) -> None:
    directory.note.mkdir()
    directory.wait(FIRST, SECOND, THIRD)
    assert not directory.drops(FIRST)
    assert "WARN" not in directory.said


def test_where_the_guard_is_missing_all_is_archived() -> None:
    first, otherwise = archive.COMMAND.split(" || ")
    assert first == "sh /etc/patroni/drop-wal.sh %p"
    assert otherwise.startswith("pgbackrest ")
