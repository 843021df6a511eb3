"""Processes are known by pid and start time; a record exists before its program does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster import daemon
from localcluster.command import run
from localcluster.daemon import Daemon, Process
from localcluster.errors import CommandFailed, LocalClusterError
from localcluster.layout import Node


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(daemon, "RECORDS", tmp_path / "daemons")
    monkeypatch.setattr(daemon, "LOGS", tmp_path / "log")
    return tmp_path


def stop(process: Process) -> None:
    daemon.kill(process)
    os.waitpid(process.pid, 0)


def test_stat_of_a_program_with_a_strange_name() -> None:
    fields = ["S", *map(str, range(4, 22)), "987", "0"]
    assert daemon.parse_stat(f"42 (a) b (c) {' '.join(fields)}") == (Process(42, 987), "S")


@pytest.fixture
def sleeper(folders: Path) -> Iterator[tuple[Daemon, Process]]:
    """A daemon that has been started, and its process."""
    each = Daemon("sleeper", ("sleep", "60"), Node(1))
    daemon.start(each)
    daemon.wait("it is recorded", lambda: daemon.lives(each), [], 5.0)
    process = daemon.recorded(each.record)
    assert process is not None
    yield each, process
    stop(process)
    assert not daemon.lives(each)


def test_start_records_the_process_and_does_not_start_it_twice(sleeper: tuple[Daemon, Process]) -> None:
    each, first = sleeper
    daemon.start(each)
    time.sleep(0.2)
    assert daemon.recorded(each.record) == first
    assert daemon.is_marked(Path(f"/proc/{first.pid}")), "its environment says that it is ours"


def test_what_a_file_says_is_in_the_environment_and_not_on_the_command_line(folders: Path) -> None:
    (folders / "secrets").write_text("A=one=two\nB=three\n\n")
    each = Daemon("sleeper", ("sleep", "60"), Node(1), folders / "secrets")
    daemon.start(each)
    daemon.wait("it is recorded", lambda: daemon.lives(each), [], 5.0)
    process = daemon.recorded(each.record)
    assert process is not None
    environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    marked = daemon.is_marked(Path(f"/proc/{process.pid}"))
    stop(process)
    assert {b"A=one=two", b"B=three"} <= set(environment)
    assert b"two" not in command
    assert marked, "it is still known as ours"


def test_start_lets_a_stopped_program_go_on(sleeper: tuple[Daemon, Process]) -> None:
    each, process = sleeper
    stat = Path(f"/proc/{process.pid}/stat")
    os.kill(process.pid, signal.SIGSTOP)
    daemon.wait("it stands still", lambda: daemon.parse_stat(stat.read_text())[1] == "T", [], 5.0)
    daemon.start(each)
    daemon.wait("it goes on", lambda: daemon.parse_stat(stat.read_text())[1] == "S", [], 5.0)


def test_a_pid_that_another_process_has_now_is_not_ours(folders: Path) -> None:
    record = folders / "record"
    stat = Path(f"/proc/{os.getpid()}/stat").read_text()
    record.write_text(stat)
    mine = daemon.recorded(record)
    assert mine == daemon.current(os.getpid())
    assert mine is not None
    record.write_text(stat.replace(f" {mine.started} ", f" {mine.started - 1} "))
    assert daemon.recorded(record) is None


def test_kill_spares_a_process_that_took_over_the_pid() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        known = daemon.current(other.pid)
        assert known is not None
        daemon.kill(Process(other.pid, known.started - 1))
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)
        daemon.kill(known)
        assert other.wait() == -9


@pytest.mark.parametrize("text", ["", "12 (half", "x (y) S 1 2"])
def test_half_a_record_is_no_process(folders: Path, text: str) -> None:
    (folders / "record").write_text(text)
    assert daemon.recorded(folders / "record") is None


def test_a_worker_is_entered_without_mounting_a_new_sys() -> None:
    command = Daemon("node2-kubelet", ("kubelet", "--config=x"), Node(2)).command()
    assert command[:2] == ["sh", "-c"]
    assert command[4:] == ["nsenter", "--net=/run/netns/cps-node2", "--", "kubelet", "--config=x"]


def test_wait_names_the_daemon_that_ended_and_shows_its_log(folders: Path) -> None:
    each = Daemon("broken", (sys.executable, "-c", "raise SystemExit('no such flag')"), Node(1))
    daemon.start(each)
    with pytest.raises(LocalClusterError, match=r"(?s)broken ended.*no such flag"):
        daemon.wait("it answers", lambda: False, [each], 30.0)


def test_wait_starts_what_ended_once_more(folders: Path) -> None:
    first, second = folders / "first", folders / "second"
    script = f"test -e {first} || {{ touch {first}; exit 1; }}; touch {second}; exec sleep 60"
    each = Daemon("second", ("sh", "-c", script), Node(1))
    daemon.start(each)
    daemon.wait("it goes on", second.exists, [each], 30.0)
    process = daemon.recorded(each.record)
    assert process is not None
    stop(process)


def test_wait_takes_a_failing_question_for_a_no() -> None:
    def ask() -> bool:
        run("false")
        return True

    with pytest.raises(LocalClusterError, match=r"it answers: not so after 0 s"):
        daemon.wait("it answers", ask, [], 0.3)
    with pytest.raises(CommandFailed):
        ask()


@pytest.mark.parametrize(("namespace", "misplaced"), [("own", False), ("other", True), ("none", True)])
def test_a_daemon_whose_nodes_namespace_was_made_anew_is_misplaced(
    folders: Path, monkeypatch: pytest.MonkeyPatch, namespace: str, misplaced: bool
) -> None:
    places = {"own": "/proc/self/ns/net", "other": "/proc/self/ns/uts", "none": "/proc/self/ns/nothing"}
    node = Node(2)
    monkeypatch.setattr(Node, "namespace", property(lambda _: places[namespace]))
    each = Daemon("node2-kubelet", ("kubelet",), node)
    assert not daemon.is_misplaced(each), "it does not run at all"
    each.record.parent.mkdir()
    each.record.write_text(Path("/proc/self/stat").read_text())
    assert daemon.is_misplaced(each) is misplaced
    host_daemon = Daemon("node2-kubelet", ("kubelet",), Node(1))
    assert not daemon.is_misplaced(host_daemon)


def test_a_mark_tells_the_node(tmp_path: Path) -> None:
    (tmp_path / "environ").write_bytes(b"PATH=/bin\0CHECKPOINTSTORE_LOCALCLUSTER=node2-containerd\0")
    assert daemon.is_marked(tmp_path)
    assert daemon.is_marked(tmp_path, "node2-")
    assert not daemon.is_marked(tmp_path, "node3-")
    assert not daemon.is_marked(tmp_path / "gone")


def test_control_groups_may_go_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "CGROUPS", tmp_path)
    stays, goes = (tmp_path / "pids" / "ours" / "node2" / name for name in ("pod1", "pod2"))
    for group in (stays, goes):
        group.mkdir(parents=True)
        (group / "cgroup.procs").touch()
    scandir = os.scandir

    def after_its_pod_ended(path: str | Path) -> Any:
        if Path(path) == goes and goes.exists():
            (goes / "cgroup.procs").unlink()
            goes.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", after_its_pod_ended)
    assert list(daemon.members("ours")) == [stays / "cgroup.procs"]
