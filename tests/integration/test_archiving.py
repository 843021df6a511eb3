"""What a real PostgreSQL tells of archiving, and does for it: failures, dropped WAL, a server that begins anew."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from checkpointstore.features.schema.access.planner import ARCHIVE, ARCHIVING
from checkpointstore.providers.patroni import archive, place
from tests.integration import repository
from tests.integration.repository import Stand

PUSH = "pgbackrest --config={folder}/conf/host.conf --stanza=main archive-push %p"


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """One that archives behind the guard; its folder stands for an instance's volume."""
    with repository.running() as stand:
        assert stand.backup().code == 0
        config, note = (str(stand.folder / name) for name in ("conf/host.conf", Path(archive.NOTE).name))
        script = stand.folder / archive.GUARD_FILE
        script.write_text(archive.guard(config, note))
        command = f"sh {script} %p || {PUSH.format(folder=stand.folder)}"
        stand.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
        stand.sql("SELECT pg_reload_conf()")
        stand.sql("CREATE ROLE monitoring")
        function = ARCHIVE.sql("archiving", monitoring="monitoring", mark=ARCHIVING)
        stand.sql(function.replace(place.DATA, str(stand.folder)))
        yield stand


def told(stand: Stand) -> dict[str, Any]:
    return stand.sql("SELECT * FROM checkpointstore.archiving()")[0]


def write(stand: Stand, segments: int = 1) -> str:
    """Fill so many files of WAL; the name of the last."""
    name = ""
    for _ in range(segments):
        stand.sql("SELECT pg_logical_emit_message(false, 'tests', 'x')")
        name = stand.sql("SELECT pg_walfile_name(pg_switch_wal()) AS name")[0]["name"]
    return name


def until(what: Callable[[], bool], stand: Stand) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, (told(stand), stand.log())
        time.sleep(0.1)


def archived(stand: Stand, name: str) -> bool:
    return bool(list(stand.repository.glob(f"archive/main/*/*/{name}-*.gz")))


def test_what_is_dropped_is_told_until_something_is_archived_again(stand: Stand) -> None:
    assert archived(stand, stand.archive()), "without a limit"
    assert (told(stand)["failing"], told(stand)["dropped_timestamp_seconds"]) == (0, 0)
    config = stand.folder / "conf/host.conf"
    unlimited = config.read_text()
    config.write_text(f"{unlimited}{archive.OPTION}={2 * archive.SEGMENT}\n")
    there, away = stand.repository / "archive", stand.repository / "away"
    there.rename(away)
    kept = write(stand, 2)
    until(lambda: told(stand)["failing"] == 1, stand)
    assert (told(stand)["waiting"], told(stand)["dropped_timestamp_seconds"]) == (2, 0)
    dropped = write(stand)
    until(lambda: told(stand)["waiting"] == 0, stand)
    note = stand.folder / Path(archive.NOTE).name
    assert note.read_text().strip() == dropped
    assert told(stand)["failing"] == 1, "PostgreSQL takes them for archived"
    assert abs(float(told(stand)["dropped_timestamp_seconds"]) - time.time()) < 30
    at = note.stat().st_mtime
    os.utime(note, (at - 61, at - 61))
    assert told(stand)["failing"] == 0, "where nobody writes any more a backup has to try"
    os.utime(note, (at, at))
    away.rename(there)
    later = write(stand)
    until(lambda: archived(stand, later), stand)
    until(lambda: told(stand)["failing"] == 0, stand)
    assert told(stand)["dropped_timestamp_seconds"] > 0, "the gap is still there"
    assert not archived(stand, kept)
    assert not archived(stand, dropped)
    config.write_text(unlimited)


def test_where_the_guard_is_missing_all_is_archived(stand: Stand) -> None:
    (stand.folder / archive.GUARD_FILE).unlink()
    assert archived(stand, stand.archive())


def test_why_archiving_fails_is_what_its_latest_try_says(stand: Stand) -> None:
    """Earlier ones may have met what a person has mended since, where nothing was archived between."""
    file = stand.folder / "conf/host.conf"
    before = file.read_text()
    noting = before.replace("log-level-file=off", f"log-level-file=warn\nlog-path={stand.folder}\narchive-async=y")
    encrypted = noting.replace("[global]", "[global]\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=another's")
    assert len({before, noting, encrypted}) == 3
    there, away = stand.repository / "archive", stand.repository / "away"
    file.write_text(encrypted)
    write(stand)
    until(lambda: told(stand)["cause"] == "key", stand)
    there.rename(away)
    file.write_text(noting)
    # PostgreSQL rests for a minute after three failures, unless another file is there.
    write(stand)
    until(lambda: told(stand)["cause"] == "other", stand)
    away.rename(there)
    name = write(stand)
    until(lambda: archived(stand, name), stand)
    until(lambda: told(stand)["cause"] == "", stand)
    file.write_text(before)


@pytest.mark.parametrize("begin_anew", [Stand.restart, Stand.crash])
def test_a_server_that_began_anew_archives_in_time(stand: Stand, begin_anew: Callable[[Stand], None]) -> None:
    """Also one that writes little: PostgreSQL itself forgets archive_timeout from its start to its first checkpoint."""
    stand.sql("ALTER SYSTEM SET archive_timeout = '1s'")
    begin_anew(stand)
    stand.sql("DROP TABLE IF EXISTS written")
    stand.sql("CREATE TABLE written (number int)")
    name = stand.sql("SELECT pg_walfile_name(pg_current_wal_lsn()) AS name")[0]["name"]
    # A killed archiver is started again when somebody connects, as the exporter does, and not before 10 s are over.
    until(lambda: told(stand) != {} and archived(stand, name), stand)
    began = stand.sql("SELECT pg_conf_load_time() AS at")
    told(stand)
    assert stand.sql("SELECT pg_conf_load_time() AS at") == began, "once is enough"
