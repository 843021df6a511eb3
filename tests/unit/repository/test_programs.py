"""The programs' pure parts: contract, command lines, settings, what verify names, progress."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.repository import backup, check, control, info, instance, job, look, progress, recovery, target
from checkpointstore.repository.failure import Failure, refused, transient
from checkpointstore.repository.info import Stanza
from checkpointstore.repository.instance import Ended, Instance
from checkpointstore.repository.job import Request
from checkpointstore.repository.pgbackrest import Repository
from checkpointstore.repository.state import State
from tests.unit.repository.captured import DAMAGED, INFO, VERIFY

BACKUPS = info.read(INFO).backups
HOSTS = ["agents-0.pods", "agents-1.pods"]
REQUEST: dict[str, Any] = {
    "hostPort": 8432,
    "port": 5432,
    "dataDirectory": "/data",
    "socket": "/run/postgresql",
    "hostConfig": "/etc/patroni/pgbackrest.conf",
}


@given(st.text(max_size=20_000), st.text(max_size=40))
def test_an_outcome_always_fits(message: str, reason: str) -> None:
    text = job.text({"reason": reason, "message": message})
    assert len(text.encode()) <= job.LIMIT
    read = json.loads(text)
    assert read["reason"] == reason
    assert read["message"] == message or message.startswith(read["message"].removesuffix("…"))


@pytest.mark.parametrize(
    ("work", "code", "outcome"),
    [
        (lambda _: {"a": 1, "b": None}, 0, {"a": 1}),
        (lambda _: (_ for _ in ()).throw(transient("Busy", "wait")), 1, {"reason": "Busy", "message": "wait"}),
        (lambda _: (_ for _ in ()).throw(refused("No", "act")), 64, {"reason": "No", "message": "act"}),
        (lambda r: {"x": r.number("n")}, 64, {"reason": "InvalidRequest"}),
        (lambda _: {"x": Path("/nowhere").read_text()}, 1, {"reason": "SystemError"}),
    ],
)
def test_a_program_ends_with_a_code_and_an_outcome(work: Any, code: int, outcome: Any, tmp_path: Path) -> None:
    result = tmp_path / "result"
    assert job.run(work, {job.REQUEST: '{"n": true}', job.RESULT: str(result)}) == code
    assert json.loads(result.read_text()).items() >= outcome.items()
    assert job.run(work, {job.REQUEST: "[]", job.RESULT: str(result)}) == 64


def test_each_instance_is_named_with_its_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKPOINTSTORE_BACKUP_DIR", str(tmp_path))
    with pytest.raises(Failure, match="SecretIncomplete"):
        backup.instances(Request(REQUEST), HOSTS)
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).touch()
    options = backup.instances(Request(REQUEST), HOSTS)
    assert {"--pg1-host=agents-0.pods", "--pg2-host=agents-1.pods", "--pg2-host-type=tls"} < set(options)
    assert f"--pg2-host-key-file={tmp_path}/tls.key" in options
    assert "--pg1-host-config=/etc/patroni/pgbackrest.conf" in options


def test_a_standby_is_preferred_where_there_may_be_one() -> None:
    assert "--backup-standby=prefer" in backup.options("full", 2, (2, 55))
    assert "--backup-standby=prefer" not in backup.options("full", 2, (2, 45))
    assert "--backup-standby=prefer" not in backup.options("full", 1, (2, 55))


def test_the_repository_is_found_or_all_are_named() -> None:
    whole, empty = Stanza(True, BACKUPS), Stanza(True, ())
    assert look.only("/b", {"u": whole}) == "u"
    with pytest.raises(Failure, match="NoRepository"):
        look.only("/b", {})
    with pytest.raises(Failure, match="KeyRejected"):
        look.only("/b", {"u": refused("KeyRejected", "x")})
    with pytest.raises(Failure) as caught:
        look.only("/b", {"u": whole, "v": empty, "w": refused("KeyRejected", "x")})
    for part in ("u (last backup 2026-11-24T15:39:48Z)", "v (no backup)", "w (cannot be read: KeyRejected)"):
        assert part in caught.value.message


def test_what_verify_names_is_found_again() -> None:
    found = check.problems(VERIFY)
    assert [problem.kind for problem in found] == ["invalid result", "invalid checksum", "file missing"]
    # The third is of a backup that has expired meanwhile.
    kept = check.remaining(found, BACKUPS)
    assert kept == found[:2]
    assert "20261124-153940F/pg_data/base/1/2619.gz (invalid checksum)" in check.damaged(kept).message
    assert check.remaining(found, BACKUPS[1:]) == []


def test_the_settings_of_a_recovery() -> None:
    def settings(**values: Any) -> dict[str, str]:
        return recovery.settings(target.parse(Request(values)), "fetch")

    assert settings()["recovery_target_timeline"] == "latest"
    assert not {"recovery_target", "recovery_target_time", "recovery_target_lsn"} & set(settings())
    time = settings(time="2026-11-24T16:00:00.5+01:00", exclusive=True)
    assert time["recovery_target_time"] == "2026-11-24 15:00:00.500000+00"
    assert (time["recovery_target_inclusive"], settings()["recovery_target_inclusive"]) == ("off", "on")
    assert settings(lsn="1/2", timeline=3).items() >= {"recovery_target_lsn": "1/2"}.items()
    assert settings(lsn="1/2", timeline=3)["recovery_target_timeline"] == "3"
    assert settings(backupId="x")["recovery_target"] == settings(immediate=True)["recovery_target"] == "immediate"


def test_only_not_found_ends_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKPOINTSTORE_REPOSITORY_DIR", str(tmp_path))
    (tmp_path / "repository.conf").touch()
    text = recovery.restore_command(Repository("/50% 'x'"), Instance(Path("/d"), 1, True))
    assert text.endswith(' archive-get %f "%p" || exit $(($? == 1 ? 1 : 200))')
    assert text.count("%") == 4
    assert instance.quoted("a'b\\c") == "'a''b\\\\c'"


def test_why_postgresql_gave_up() -> None:
    assert Ended(f"LOG: x\n{DAMAGED}\nFATAL:  could not restore").failure().code == 64
    log = "FATAL:  requested timeline 2 is not a child\nFATAL:  the database system is starting up\n"
    assert "not a child" in Ended(log).failure().message
    assert Ended("LOG:  last completed transaction was at log time 2026-11-24 15:40:29.61924+00\n").last_commit


def test_the_primarys_parameters_are_taken_over() -> None:
    text = "pg_control version number:  1300\nmax_connections setting:     40\nwal_level setting:  logical\n"
    assert control.settings(control.parse(text)) == {"max_connections": "40", "wal_level": "logical"}


def test_a_directory_is_ours_only_when_we_say_so(tmp_path: Path) -> None:
    state = State(tmp_path / "pgdata")
    state.begin({"a": 1})
    (state.directory / "PG_VERSION").touch()
    state.begin({"a": 2})
    assert state.outcome({"a": 2}) is None
    state.end({"a": 2}, {"ok": True})
    assert state.outcome({"a": 2}) == {"ok": True}
    with pytest.raises(Failure, match="DirectoryNotEmpty"):
        state.outcome({"a": 3})
    state.file.unlink()
    with pytest.raises(Failure, match="DirectoryNotEmpty"):
        state.begin({"a": 1})


def test_progress_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    monkeypatch.setenv(progress.PORT, "0")
    shown = progress.Progress(tmp_path, 1000)
    shown.enter("restoring")
    shown.serve()
    port = json.loads(capsys.readouterr().err.splitlines()[-1])["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert 'checkpointstore_restore_bytes{state="total"} 1000\n' in text
    assert 'checkpointstore_restore_bytes{state="done"} 100\n' in text
    assert 'checkpointstore_restore_phase{phase="restoring"} 1\n' in text
    assert 'checkpointstore_restore_phase{phase="checking"} 0\n' in text
