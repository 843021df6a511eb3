"""Restores a backup and replays the archive up to a target, on a PostgreSQL of our own that it leaves running."""

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import archive, client, clock, complaint, journal, target
from .archive import Segment
from .failure import Failure, refused
from .info import Backup
from .instance import Ended, Instance
from .pgbackrest import PROCESSES, PROGRAM, STANZA, Repository, lock_path
from .progress import Progress, size
from .target import Target

TOO_SHORT = "recovery ended before configured recovery target was reached"
_FACTS = """
SELECT json_build_object(
    'at', extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000,
    'lsn', pg_last_wal_replay_lsn(),
    'wal', pg_walfile_name(pg_current_wal_lsn()));
"""


@dataclass(frozen=True, slots=True)
class Recovered:
    """`outcome` is what there is to report; `process` runs until it is stopped."""

    instance: Instance
    process: "subprocess.Popen[bytes]"
    outcome: dict[str, Any]


@contextmanager
def recovered(
    repository: Repository, backup: Backup, wanted: Target, instance: Instance, progress: Progress
) -> Iterator[Recovered]:
    """The instance, promoted; gone when the block ends, whatever happened in it."""
    start = time.monotonic()
    progress.enter("restoring")
    restore(repository, backup, instance.directory)
    restored, done = time.monotonic(), size(instance.directory)
    progress.enter("replaying")
    replay = _replay(repository, backup, wanted, instance)
    try:
        facts = _facts(instance, replay.last_commit)
        outcome = {
            "backupId": backup.label,
            **facts,
            "clamped": replay.clamped,
            "bytes": done,
            "restoreSeconds": round(restored - start, 1),
            "replaySeconds": round(time.monotonic() - restored, 1),
        }
        yield Recovered(instance, replay.process, outcome)
    finally:
        if replay.process.poll() is None:
            instance.kill(replay.process)


def restore(repository: Repository, backup: Backup, directory: Path) -> None:
    """Bring the directory to the backup's state, whatever an earlier run has left in it."""
    if not any((directory / name).exists() for name in ("PG_VERSION", "backup.manifest")):
        # Killed before it left either, pgBackRest does not know its own folders again.
        for path in directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # The preserve type leaves these alone; nobody else's settings may act on the recovery.
    for name in ("postgresql.auto.conf", "standby.signal", "recovery.signal", "postmaster.pid"):
        (directory / name).unlink(missing_ok=True)
    options = ["--delta", "--type=preserve", f"--set={backup.label}", f"--process-max={PROCESSES}"]
    where = f"--pg1-path={directory}"
    try:
        repository.call("restore", *options, where, level="error", otherwise=complaint.RESTORE_FAILED)
    except Failure as failure:
        if failure.reason != complaint.RESTORE_FAILED:
            raise
        # Which one to avoid from now on.
        raise Failure(failure.reason, f"backup {backup.label}: {failure.message}", failure.code) from None


@dataclass(frozen=True, slots=True)
class _Replay:
    """The promoted server, and what its runs before say: that the archive ended early, and the last commit by then."""

    process: "subprocess.Popen[bytes]"
    clamped: bool = False
    last_commit: datetime | None = None


def _replay(repository: Repository, backup: Backup, wanted: Target, instance: Instance) -> _Replay:
    fetch = restore_command(repository, instance)
    last_commit = None
    while True:
        before = _path(repository, backup, wanted)
        try:
            process = _run(instance, settings(wanted, fetch))
        except Ended as ended:
            if TOO_SHORT not in ended.log or wanted.ends_with_backup:
                raise ended.failure() from None
            last_commit = ended.last_commit or last_commit
        else:
            if wanted.latest:
                _require_all(instance, process, before)
            return _Replay(process, last_commit=last_commit)
        after = _path(repository, backup, wanted)
        if after == before:
            _refuse_gap(repository, backup, wanted)
            return _Replay(_go_on(instance, wanted, before), True, last_commit)
        journal.write("archive-grew", segments=len(after) - len(before))


def _go_on(instance: Instance, wanted: Target, path: list[Segment]) -> "subprocess.Popen[bytes]":
    """From where the archive ended; no more is fetched that might overshoot, as what came is in the directory."""
    try:
        process = _run(instance, settings(Target(timeline=wanted.timeline), "false"))
    except Ended as ended:
        raise ended.failure() from None
    _require_all(instance, process, path)
    return process


def _run(instance: Instance, recovery: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    process = instance.start(recovery)
    try:
        instance.promoted(process)
    except BaseException:
        if process.poll() is None:
            instance.kill(process)
        raise
    return process


def _path(repository: Repository, backup: Backup, wanted: Target) -> list[Segment]:
    found = archive.read(repository.everything(), backup.archive_id)
    return target.path(backup, found, wanted, time.time())


def _refuse_gap(repository: Repository, backup: Backup, wanted: Target) -> None:
    """The archive ended before a target in time: behind a hole there may be more before it."""
    found = archive.read(repository.everything(), backup.archive_id)
    path = archive.chain(found.segments, wanted.timeline)
    for hole in archive.holes(path, backup.first_segment, backup.last_segment)[:1]:
        if wanted.time:
            raise target.gap(hole, backup)


def _require_all(instance: Instance, process: "subprocess.Popen[bytes]", path: list[Segment]) -> None:
    """PostgreSQL takes WAL that it cannot read for the end; the archive's names know better."""
    reached = archive.lsn(_facts(instance)["recoveredLsn"])
    end = path[-1].number * archive.SEGMENT_BYTES
    if reached < end:
        instance.kill(process)
        raise refused(
            "RestoreFailed",
            f"the WAL cannot be read from lsn {archive.lsn_text(reached)} on, though the archive goes on to "
            f"{archive.lsn_text(end)}; give the former as target",
        )


def _facts(instance: Instance, last_commit: datetime | None = None) -> dict[str, Any]:
    """`last_commit` is of the runs before: one that goes on from where another stopped may have replayed none."""
    facts = json.loads(client.ask(instance.way, "postgres", _FACTS))
    at = last_commit if facts["at"] is None else clock.from_microseconds(int(facts["at"]))
    return {
        "recoveredTo": clock.exact(at) if at else None,
        "recoveredLsn": facts["lsn"],
        "timeline": archive.position(facts["wal"])[0],
    }


def settings(wanted: Target, fetch: str) -> dict[str, str]:
    """The parameters of the recovery."""
    chosen: dict[str, str] = {}
    if wanted.time:
        chosen["recovery_target_time"] = clock.postgres(wanted.time)
    elif wanted.lsn is not None:
        chosen["recovery_target_lsn"] = archive.lsn_text(wanted.lsn)
    elif wanted.ends_with_backup:
        chosen["recovery_target"] = "immediate"
    return {
        "restore_command": fetch,
        **chosen,
        "recovery_target_inclusive": "off" if wanted.exclusive else "on",
        "recovery_target_timeline": str(wanted.timeline or "latest"),
        "recovery_target_action": "promote",
    }


def restore_command(repository: Repository, instance: Instance) -> str:
    """Fetches one file of WAL.

    PostgreSQL takes every failure up to 128 for the archive's end and would go on with less than there is: only
    pgBackRest's 1, not found, may say so.
    """
    options = [
        *repository.options(),
        f"--stanza={STANZA}",
        f"--pg1-path={instance.directory}",
        f"--lock-path={lock_path()}",
        f"--spool-path={instance.folder}/spool",
        f"--process-max={PROCESSES}",
        "--archive-async",
        "--log-level-stderr=error",
    ]
    fixed = shlex.join([PROGRAM, *options, "archive-get"]).replace("%", "%%")
    return f'{fixed} %f "%p" || exit $(($? == 1 ? 1 : 200))'
