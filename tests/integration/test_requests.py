"""What archiving asks of an object store, counted by one, against what the bill reckons of two real backups."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from checkpointstore.features.monitoring.cost import HOURS, READS, WRITES, holdings
from checkpointstore.kernel.action import Ref
from checkpointstore.kernel.env import Env, Images
from checkpointstore.kernel.observed import Observed
from tests.integration import repository, s3
from tests.integration.repository import RETENTION, Stand
from tests.integration.s3 import Bucket

ENV = Env("agents", "shop", "uid", Images("postgres", "pgbouncer", "operator"), "cluster.local", "system")
FILES = 3


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with s3.serving(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(scope="module")
def stand(bucket: Bucket) -> Iterator[Stand]:
    with repository.running(settings={**bucket.settings(), **RETENTION, "archive-async": "y"}) as found:
        yield found


def backup(stand: Stand) -> dict[str, Any]:
    made = stand.backup()
    assert made.code == 0, made.log
    return made.outcome


def archived(stand: Stand, bucket: Bucket, rows: int, times: int = 1) -> tuple[int, int, int]:
    """How many files are archived when rows are written, and what is asked for that writes or lists, and reads."""
    deadline = time.monotonic() + 120
    # A backup's own history file is archived after the last segment of it.
    while stand.sql("SELECT name FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"):
        assert time.monotonic() < deadline, stand.log()
        time.sleep(0.05)
    files, before = counted(stand), bucket.asked.copy()
    for _ in range(times):
        stand.sql(
            f"CREATE TABLE t AS SELECT md5(i::text || random()) FROM generate_series(1, {rows}) AS i; DROP TABLE t"
        )
        name = stand.sql("SELECT pg_walfile_name(pg_switch_wal()) AS name")[0]["name"]
        deadline = time.monotonic() + 120
        while archiver(stand)["last_archived_wal"] != name:
            assert time.monotonic() < deadline, stand.log()
            time.sleep(0.05)
    asked = bucket.asked - before
    return counted(stand) - files, asked["write"] + asked["list"], asked["read"]


def archiver(stand: Stand) -> dict[str, Any]:
    return stand.sql("SELECT archived_count, last_archived_wal FROM pg_stat_archiver")[0]


def counted(stand: Stand) -> int:
    return int(archiver(stand)["archived_count"])


def test_what_is_reckoned_is_what_the_object_store_counts(stand: Stand, bucket: Bucket) -> None:
    first = backup(stand)
    assert archived(stand, bucket, 1000, FILES) == (FILES, FILES * WRITES, FILES * READS)
    second = backup(stand)
    found = reckoned(first, second) / HOURS
    # A backup ends one file itself, and begins in another.
    assert FILES <= found <= FILES + 3


def test_a_file_that_is_sent_in_pieces_takes_more(stand: Stand, bucket: Bucket) -> None:
    files, writes, _ = archived(stand, bucket, 400_000)
    print(f"  large files of WAL: {files}, requests that write or list: {writes}")
    assert writes > files * WRITES


def reckoned(first: dict[str, Any], second: dict[str, Any]) -> int:
    """Files a month, as if the backups had begun an hour apart."""
    began = datetime.fromisoformat(first["startedAt"])
    backups = {
        Ref("CheckpointBackup", made["backupId"]): {
            "metadata": {"name": made["backupId"]},
            "status": {
                "phase": "Completed",
                "repository": "here",
                "startedAt": (began + timedelta(hours=hours)).isoformat(),
                "beginWAL": made["beginWal"],
            },
        }
        for hours, made in enumerate((first, second))
    }
    found = holdings(ENV, Observed(objects=backups), (), {"repository": "here"}).archived
    assert found is not None
    return int(found)
