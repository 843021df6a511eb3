"""Backups, what looks at them, and what refuses them: real pgBackRest, real PostgreSQL, a folder as repository."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checkpointstore.repository import archive, clock
from tests.integration import repository
from tests.integration.repository import UID, Result, Stand

TABLE = (
    Path(__file__).parents[2] / "operator/checkpointstore/features/schema/langgraph/01_checkpoints.sql"
).read_text()


class History:
    """What was done to the shared stand, in this order."""

    first: Result
    diff: Result
    incr: Result
    last: datetime
    end: str


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with repository.running() as stand:
        yield stand


@pytest.fixture(scope="module")
def history(stand: Stand) -> History:
    history = History()
    history.first = stand.backup("incr")
    stand.sql(TABLE)
    for number in range(30):
        stand.put(f"thread-{number}", 1)
    stand.put("thread-7", 2)
    history.diff = stand.backup("diff")
    stand.put("thread-7", 3)
    with stand.archiving():
        history.incr = stand.backup("incr", hosts=["127.0.0.2", "localhost"])
    stand.archive()
    stand.put("thread-7", 4)
    stand.archive()
    history.last = stand.put("thread-7", 5)
    history.end = stand.archive()
    return history


def test_the_first_backup_is_full_and_later_ones_are_as_asked(history: History) -> None:
    for result, kind in ((history.first, "full"), (history.diff, "diff"), (history.incr, "incr")):
        assert (result.code, result.outcome.get("type")) == (0, kind), result


def test_an_instance_that_is_gone_holds_no_backup_up(history: History) -> None:
    assert [line["host"] for line in history.incr.log if line["event"] == "no-answer"] == ["127.0.0.2"]


def test_archiving_that_does_not_end_holds_no_backup_up(stand: Stand, history: History) -> None:
    """The one before was made while it went on; only to make a repository pgBackRest wants it to pause."""
    assert history.incr.code == 0, history.incr
    with repository.running() as other, other.archiving():
        result = other.backup()
    assert (result.code, result.outcome["reason"]) == (1, "RepositoryBusy"), result


def test_a_backup_tells_its_facts(stand: Stand, history: History) -> None:
    first, diff = history.first.outcome, history.diff.outcome
    assert first["firstBackup"] == diff["firstBackup"] == first["backupId"]
    assert clock.parse(first["firstRecoverabilityPoint"]) == clock.parse(first["completedAt"]) + timedelta(seconds=1)
    assert clock.parse(first["startedAt"]) <= clock.parse(first["completedAt"]) <= clock.parse(diff["startedAt"])
    assert archive.lsn(first["beginLsn"]) < archive.lsn(first["endLsn"]) < archive.lsn(diff["beginLsn"])
    assert archive.position(first["beginWal"]) == (first["timeline"], archive.lsn(first["beginLsn"]) >> 24)
    assert diff["backupSize"] < first["backupSize"] == first["databaseSize"]
    assert 0 < diff["storedSize"] < first["storedSize"] < first["repositorySize"] < diff["repositorySize"]
    stored = sum(path.stat().st_size for path in stand.repository.rglob("*") if path.is_file())
    assert history.incr.outcome["repositorySize"] <= stored


def test_each_backup_leaves_a_marker_with_threads(stand: Stand, history: History) -> None:
    rows = stand.sql("SELECT * FROM checkpointstore.marker ORDER BY taken")
    assert [len(row["threads"]) for row in rows] == [0, 20, 20]
    for row, result in zip(rows, (history.first, history.diff, history.incr), strict=True):
        assert archive.lsn(row["lsn"]) <= archive.lsn(result.outcome["beginLsn"])
    for thread in rows[1]["threads"]:
        newest = 2 if thread["thread_id"] == "thread-7" else 1
        assert (thread["checkpoint_id"], thread["count"]) == (f"{newest:08d}", newest)
        assert thread["checkpoint_ns"] == ""
    owner = "SELECT nspowner::regrole::text AS owner FROM pg_namespace WHERE nspname = 'checkpointstore'"
    assert stand.sql(owner) == [{"owner": "postgres"}]


def test_a_failure_has_a_reason_and_a_code(stand: Stand, history: History) -> None:
    cases: list[tuple[str, int, dict[str, Any]]] = [
        ("InvalidRequest", 64, {"type": "partial"}),
        ("InstanceUnreachable", 1, {"primary": "nobody.invalid"}),
        ("InstanceUnreachable", 1, {"hostPort": 1}),
    ]
    for reason, code, changed in cases:
        kind = changed.pop("type", "full")
        result = stand.backup(kind, **changed)
        assert (result.code, result.outcome["reason"]) == (code, reason), result


def test_a_repository_of_another_database_is_refused(stand: Stand, history: History) -> None:
    with repository.running() as other:
        shutil.copytree(stand.repository, other.repository, symlinks=True)
        for path in (other.repository, *other.repository.rglob("*")):
            repository.own(path)
        result = other.backup()
    assert (result.code, result.outcome["reason"]) == (64, "ForeignRepository"), result


def test_looking_takes_the_newest_backup_before_the_target(stand: Stand, history: History) -> None:
    latest = stand.look().outcome
    assert latest["backupId"] == history.incr.outcome["backupId"]
    assert latest["firstRecoverabilityPoint"] == history.first.outcome["firstRecoverabilityPoint"]
    assert latest["timeline"] == 1
    assert latest["databaseSize"] > 0
    assert clock.parse(latest["lastArchived"]) >= history.last.replace(microsecond=0)
    between = clock.parse(history.diff.outcome["completedAt"]) + timedelta(seconds=1)
    assert stand.look(time=between.isoformat()).outcome["backupId"] == history.diff.outcome["backupId"]
    lsn = history.diff.outcome["beginLsn"]
    assert stand.look(lsn=lsn).outcome["backupId"] == history.first.outcome["backupId"]
    first = history.first.outcome["firstRecoverabilityPoint"]
    assert stand.look(time=first).outcome["backupId"] == history.first.outcome["backupId"]


def test_looking_refuses_what_cannot_be_recovered(stand: Stand, history: History) -> None:
    second = timedelta(seconds=1)
    cases = {
        "TargetBeforeFirstBackup": {"time": history.first.outcome["completedAt"]},
        "TargetInFuture": {"time": (datetime.now(UTC) + 60 * second).isoformat()},
        "TargetTimelineUnknown": {"timeline": 7},
        "BackupNotFound": {"backupId": "20200101-000000F"},
        "InvalidRequest": {"time": "yesterday"},
    }
    for reason, target in cases.items():
        result = stand.look(**target)
        assert (result.code, result.outcome["reason"]) == (64, reason), result
    assert history.incr.outcome["backupId"] in stand.look(backupId="x").outcome["message"]


def test_looking_finds_the_one_repository_or_names_all(stand: Stand, history: History) -> None:
    request = {"base": str(stand.base), "target": {}}
    assert stand.run("look", request).outcome["uid"] == UID
    other = stand.copy("other")
    try:
        result = stand.run("look", request)
        assert (result.code, result.outcome["reason"]) == (64, "AmbiguousRepository")
        assert UID in result.outcome["message"]
        assert "other" in result.outcome["message"]
    finally:
        shutil.rmtree(other)
    nothing = stand.run("look", {"base": f"{stand.folder}/repository/shop/nobody", "target": {}})
    assert (nothing.code, nothing.outcome["reason"]) == (64, "NoRepository"), nothing


def test_looking_refuses_a_target_behind_a_hole(stand: Stand, history: History) -> None:
    holed = stand.copy("holed")
    try:
        after, since, until = dig(holed, history.end)
        for target in ({}, {"time": (since + timedelta(seconds=1)).isoformat()}):
            result = stand.look("holed", **target)
            assert (result.code, result.outcome["reason"]) == (64, "TargetInGap"), result
            assert clock.whole(since.timestamp()) in result.outcome["message"]
            assert clock.whole(until.timestamp()) in result.outcome["message"]
        assert stand.look("holed", lsn=after).code == 0
        assert after in stand.look("holed").outcome["message"]
    finally:
        shutil.rmtree(holed)


def test_a_page_with_a_wrong_checksum_is_named(stand: Stand, history: History) -> None:
    stand.sql("CREATE TABLE damaged AS SELECT generate_series(1, 5000) AS n; CHECKPOINT")
    name = stand.sql("SELECT pg_relation_filepath('damaged') AS name")[0]["name"]
    content = bytearray((stand.data / name).read_bytes())
    content[8192 + 5000] ^= 0xFF
    (stand.data / name).write_bytes(content)
    result = stand.backup("incr")
    assert (result.code, result.outcome["reason"]) == (64, "ChecksumMismatch"), result
    assert name in result.outcome["message"]


def dig(uid: Path, end: str) -> tuple[str, datetime, datetime]:
    """Take the segment before the last out; where the hole begins in WAL, and when what is around it was archived."""
    found = {path.name[:24]: path for path in uid.glob("archive/main/*/*/*-*")}
    before, missing, after = sorted(name for name in found if name <= end)[-3:]
    found[missing].unlink()
    since, until = (datetime.fromtimestamp(int(found[name].stat().st_mtime), UTC) for name in (before, after))
    return archive.lsn_text(archive.position(missing)[1] * archive.SEGMENT_BYTES), since, until
