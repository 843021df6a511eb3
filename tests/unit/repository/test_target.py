"""Which backup a target begins with, and which targets cannot be reached."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from checkpointstore.repository import archive, backup, clock, info, target
from checkpointstore.repository.archive import Archive, Segment
from checkpointstore.repository.failure import Failure
from checkpointstore.repository.job import Request
from tests.unit.repository.captured import INFO, LISTING

BACKUPS = info.read(INFO).backups
FULL, DIFF = BACKUPS
NOW = DIFF.stop + 10_000


def at(seconds: float) -> str:
    return clock.exact(datetime.fromtimestamp(seconds, UTC))


def chosen(**values: Any) -> str:
    return target.choose(BACKUPS, target.parse(Request(values)), NOW).label


def refusal(segments: list[Segment], **values: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        path(segments, **values)
    return caught.value


def path(segments: list[Segment], **values: Any) -> list[Segment]:
    wanted = target.parse(Request(values))
    found = Archive(tuple(segments), frozenset(segment.timeline for segment in segments))
    return target.path(target.choose(BACKUPS, wanted, NOW), found, wanted, NOW)


def test_real_info_is_read() -> None:
    assert (FULL.label, FULL.kind, FULL.archive_id) == ("20261124-153940F", "full", "15-1")
    assert (DIFF.copied, DIFF.stored, DIFF.size) == (1753354, 183438, 30551250)
    assert (DIFF.timeline, DIFF.first_segment, DIFF.last_segment, DIFF.damaged) == (1, 4, 4, False)
    assert info.read([]) == info.Stanza(False, ())
    broken = {**INFO[0], "repo": [{"status": {"code": 99, "message": "[ServiceError] [503] Slow Down"}}]}
    with pytest.raises(Failure, match="RepositoryUnreachable"):
        info.read([broken])


def test_the_newest_backup_that_ends_before_the_target_is_taken() -> None:
    assert chosen() == chosen(immediate=True) == DIFF.label
    assert chosen(backupId=FULL.label) == FULL.label
    assert chosen(time=at(DIFF.stop + 1)) == DIFF.label
    # In the second in which a backup ended, commits came before its end too.
    assert chosen(time=at(DIFF.stop + 0.999)) == FULL.label
    assert chosen(lsn=DIFF.lsn_stop) == DIFF.label
    assert chosen(lsn="0/40000FF") == FULL.label


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"time": at(FULL.stop)}, "TargetBeforeFirstBackup"),
        ({"lsn": "0/2000028"}, "TargetBeforeFirstBackup"),
        ({"time": at(NOW + 1)}, "TargetInFuture"),
        ({"backupId": "20200101-000000F"}, "BackupNotFound"),
        ({"time": "2026-11-24T15:00:00"}, "InvalidRequest"),
        ({"lsn": "17"}, "InvalidRequest"),
        ({"timeline": "new"}, "InvalidRequest"),
        ({"immediate": True, "backupId": FULL.label}, "InvalidRequest"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(Failure) as caught:
        chosen(**values)
    assert (caught.value.reason, caught.value.code) == (reason, 64)


def test_no_backup_is_refused() -> None:
    with pytest.raises(Failure, match="NoBackup"):
        target.choose((), target.Target(), NOW)


def test_a_backup_of_a_later_timeline_is_of_no_use() -> None:
    later = replace(DIFF, wal_start="000000020000000000000004")
    assert target.choose((FULL, later), target.Target(timeline=1), NOW) == FULL


def test_only_a_target_behind_a_hole_is_refused() -> None:
    hole = [Segment(1, n, DIFF.stop + 100 * n) for n in (4, 5, 8)]
    since, until = DIFF.stop + 500, DIFF.stop + 800
    behind: list[dict[str, Any]] = [{}, {"time": at(since + 1)}, {"lsn": "0/6000001"}]
    for values in behind:
        failure = refusal(hole, **values)
        assert (failure.reason, failure.code) == ("TargetInGap", 64)
        assert clock.whole(since) in failure.message
        assert clock.whole(until) in failure.message
        assert "0/6000000" in failure.message
    reachable: list[dict[str, Any]] = [{"time": at(since + 0.9)}, {"lsn": "0/6000000"}, {"immediate": True}]
    for values in reachable:
        assert path(hole, **values)[0].number == 4


def test_a_backup_without_its_own_wal_is_of_no_use() -> None:
    failure = refusal([Segment(1, 5, 50)], immediate=True)
    assert (failure.reason, failure.code) == ("TargetInGap", 64)
    assert DIFF.label in failure.message


def test_the_end_of_the_archive_and_unknown_timelines() -> None:
    whole = [Segment(1, 4, 40), Segment(2, 5, 50)]
    assert refusal(whole, lsn="0/6000001").reason == "TargetInFuture"
    assert path(whole, lsn="0/6000000") == whole
    assert path(whole, timeline=1) == whole[:1]
    unknown = refusal(whole, timeline=3)
    assert unknown.reason == "TargetTimelineUnknown"
    assert "1, 2" in unknown.message


def test_a_backup_tells_its_facts() -> None:
    facts = backup.outcome(FULL, DIFF, LISTING)
    assert facts["repositorySize"] == sum(entry.get("size", 0) for entry in LISTING.values())
    assert archive.lsn(facts["beginLsn"]) == 0x4000028
