"""Restores to a moment, to the end and through kills; and what verify finds: real pgBackRest, real PostgreSQL."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checkpointstore.repository import clock
from tests.integration import repository
from tests.integration.repository import Stand
from tests.integration.server import free_port
from tests.integration.test_repository_backup import TABLE, dig


class History:
    backup: str
    # The commit time of each checkpoint of the thread, in order.
    times: list[datetime]
    end: str


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with repository.running() as stand:
        yield stand


@pytest.fixture(scope="module")
def history(stand: Stand) -> History:
    history = History()
    stand.sql(TABLE)
    stand.sql("CREATE ROLE app_a LOGIN PASSWORD 'canary-x'; CREATE ROLE app_b LOGIN PASSWORD 'canary-y'")
    # What somebody set once must not act on a recovery, nor on the new store.
    stand.sql("ALTER SYSTEM SET recovery_target_name = 'stale'")
    stand.put("thread", 1)
    result = stand.backup()
    assert result.code == 0, result
    history.backup = result.outcome["backupId"]
    time.sleep(max(0.0, clock.parse(result.outcome["completedAt"]).timestamp() + 1.01 - time.time()))
    history.times = [stand.put("thread", number) for number in range(2, 6)]
    stand.archive()
    history.times += [stand.put("thread", number) for number in range(6, 9)]
    stand.archive()
    history.times += [stand.put("thread", 9)]
    history.end = stand.archive()
    return history


def numbers(stand: Stand, name: str) -> list[int]:
    with stand.opened(name) as connection:
        rows = connection.execute("SELECT checkpoint_id FROM public.checkpoints ORDER BY 1").fetchall()
        passwords = connection.execute("SELECT count(*) AS n FROM pg_authid WHERE rolpassword IS NOT NULL").fetchone()
        assert passwords == {"n": 0}
    return [int(row["checkpoint_id"]) for row in rows]


def test_exactly_what_was_committed_by_the_time_is_there(stand: Stand, history: History) -> None:
    moment = history.times[4]
    result = stand.restore("time", history.backup, time=clock.exact(moment))
    assert (result.code, result.outcome.get("clamped")) == (0, False), result
    assert result.outcome["recoveredTo"] == clock.exact(moment)
    assert result.outcome["timeline"] == 2
    assert result.outcome["bytes"] > 20_000_000
    assert numbers(stand, "time") == [number for number in range(1, 10) if number <= 6]
    again = stand.restore("time", history.backup, time=clock.exact(moment))
    assert (again.outcome, len(again.log)) == (result.outcome, 1)
    other = stand.restore("time", history.backup)
    assert (other.code, other.outcome["reason"]) == (64, "DirectoryNotEmpty")
    assert not (stand.folder / "volumes/time/postgresql.auto.conf").exists()


def test_a_time_after_the_last_commit_is_the_last_commit(stand: Stand, history: History) -> None:
    target = datetime.now(UTC)
    result = stand.restore("clamped", history.backup, time=clock.exact(target))
    assert (result.code, result.outcome.get("clamped")) == (0, True), result
    assert result.outcome["recoveredTo"] == clock.exact(history.times[-1])
    assert numbers(stand, "clamped") == list(range(1, 10))


def test_a_restore_that_is_killed_anywhere_is_done_by_the_next(stand: Stand, history: History) -> None:
    request = stand.recovery("killed", history.backup)
    # As one that is killed early leaves it: folders by which pgBackRest does not know its own restore again.
    begun = stand.folder / "volumes/killed.recovery"
    begun.write_text('{"request": {}}')
    (stand.folder / "volumes/killed/base").mkdir(parents=True)
    for path in (begun, stand.folder / "volumes/killed", stand.folder / "volumes/killed/base"):
        repository.own(path)
    (stand.folder / "volumes/killed").chmod(0o700)
    for phase in ("restoring", "replaying"):
        port = free_port()
        process = stand.start("restore", request, CHECKPOINTSTORE_PROGRESS_PORT=str(port))
        metrics = _wait_for(port, f'{{phase="{phase}"}} 1')
        assert 'checkpointstore_restore_bytes{state="total"} 30000000' in metrics
        _kill(process, stand.folder / "volumes/killed.lock")
    result = stand.run("restore", request)
    assert (result.code, result.outcome.get("clamped")) == (0, False), result
    assert numbers(stand, "killed") == list(range(1, 10))


def _kill(process: "subprocess.Popen[str]", lock: Path) -> None:
    """With all that it has begun, as a container's end does; what has not been tied to it yet would go on for ever."""
    process.kill()
    process.wait()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if handle.samefile(lock):
                os.kill(int(handle.parts[2]), signal.SIGKILL)
    process.communicate()


def _wait_for(port: int, text: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                metrics = str(answer.read().decode())
        except OSError:
            metrics = ""
        if text in metrics:
            return metrics
        time.sleep(0.05)
    raise AssertionError(f"never {text}")


def test_sigterm_ends_a_restore_at_once(stand: Stand, history: History) -> None:
    port = free_port()
    request = stand.recovery("ended", history.backup)
    process = stand.start("restore", request, CHECKPOINTSTORE_PROGRESS_PORT=str(port))
    _wait_for(port, '{phase="restoring"} 1')
    process.terminate()
    result = stand.wait(process)
    assert (result.code, result.outcome) == (1, {})


def test_a_directory_with_somebody_elses_files_is_left_alone(stand: Stand, history: History) -> None:
    foreign = stand.folder / "volumes/foreign"
    foreign.mkdir()
    (foreign / "PG_VERSION").write_text("15")
    for path in (foreign, foreign / "PG_VERSION"):
        repository.own(path)
    result = stand.restore("foreign", history.backup)
    assert (result.code, result.outcome["reason"]) == (64, "DirectoryNotEmpty")
    assert [path.name for path in foreign.iterdir()] == ["PG_VERSION"]


def test_a_time_that_turns_out_to_lie_in_a_hole_is_refused(stand: Stand, history: History) -> None:
    holed = stand.copy("holed")
    try:
        lsn, since, _ = dig(holed, history.end)
        # The names alone do not say so: in this very second the segment before the hole was archived.
        target = since + timedelta(milliseconds=999)
        result = stand.restore("holed", history.backup, "holed", time=clock.exact(target))
        assert (result.code, result.outcome["reason"]) == (64, "TargetInGap"), result
        assert lsn in result.outcome["message"]
        assert "replaying" in [line["event"] for line in result.log]
    finally:
        shutil.rmtree(holed)


def test_a_damaged_segment_is_no_end_of_the_archive(stand: Stand, history: History) -> None:
    damaged = stand.copy("damaged")
    try:
        segment = sorted(damaged.glob("archive/main/*/*/*-*"))[-2]
        flip(segment)
        result = stand.restore("damaged", history.backup, "damaged")
        assert (result.code, result.outcome["reason"]) == (64, "RestoreFailed"), result
        assert segment.name[:24] in result.outcome["message"]
        verified = stand.verify("unused", "damaged")
        assert (verified.code, verified.outcome["reason"]) == (64, "RepositoryDamaged"), verified
        assert segment.name in verified.outcome["message"]
    finally:
        shutil.rmtree(damaged)


def test_a_damaged_file_of_a_backup_is_named(stand: Stand, history: History) -> None:
    damaged = stand.copy("damaged")
    try:
        bundle = sorted(damaged.glob("backup/main/*F/bundle/*"))[0]
        flip(bundle)
        result = stand.verify("unused", "damaged")
        assert (result.code, result.outcome["reason"]) == (64, "RepositoryDamaged"), result
        assert history.backup in result.outcome["message"]
        restored = stand.restore("broken", history.backup, "damaged")
        assert (restored.code, restored.outcome["reason"]) == (64, "RestoreFailed"), restored
        assert restored.outcome["message"].startswith(f"backup {history.backup}: ")
    finally:
        shutil.rmtree(damaged)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_verify_proves_a_repository_and_notices_a_missing_thread(stand: Stand, history: History) -> None:
    result = stand.verify("verified")
    assert result.code == 0, result
    assert (result.outcome["threads"], result.outcome["tables"]) == (1, 1)
    assert result.outcome["recoveredTo"] == clock.exact(history.times[-1])
    assert not (stand.folder / "volumes/verified/postmaster.pid").exists()
    row = {"thread_id": "lost", "checkpoint_ns": "", "checkpoint_id": "00000001", "count": 1, "md5": ""}
    with stand.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("INSERT INTO public.checkpoints VALUES ('lost', '', '00000001', NULL, NULL, '{}')")
        sums = connection.execute("SELECT md5(c::text) AS md5 FROM public.checkpoints c WHERE thread_id = 'lost'")
        row |= sums.fetchone() or {}
    stand.sql(f"INSERT INTO checkpointstore.marker VALUES (now(), '0/0', '{json.dumps([row])}')")
    stand.archive()
    stand.sql("INSERT INTO public.checkpoints VALUES ('lost', '', '00000001', NULL, NULL, '{}')")
    missing = stand.verify("verified")
    assert (missing.code, missing.outcome["reason"]) == (64, "CheckpointsMissing"), missing
    assert "lost" in missing.outcome["message"]
