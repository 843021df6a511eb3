"""What is asked of the host, each answer being one sentence that says what to do; and that it is put back."""

import fcntl
import json
import os
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from localcluster import cgroup, cluster, host, image, lock
from localcluster.errors import LocalClusterError
from localcluster.layout import Node


class Usage(NamedTuple):
    free: int


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has everything."""
    answers = {"go": "go version go1.26.8 linux/amd64", "ip": "default via 10.0.0.1 dev eth0"}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=10**12))
    monkeypatch.setattr(host, "run", lambda name, *_: answers[name])
    monkeypatch.setattr(Path, "read_text", lambda _: "PRETTY_NAME=x\nID=debian\n")


def complaint() -> str:
    with pytest.raises(LocalClusterError) as caught:
        host.check()
    return str(caught.value)


def test_a_good_host_passes(good: None) -> None:
    host.check()


def test_not_root(good: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo" in complaint()


def test_not_debian(good: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _: "ID=fedora\n")
    assert "Debian 12" in complaint()


def test_too_little_disk(good: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=10**9))
    assert "0.9 GB free" in complaint()


def test_no_go(good: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "go" else name)
    assert complaint() == "Go is not on PATH: install Go 1.25 or newer, then run the command again."


def test_old_go(good: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "run", lambda *_: "go version go1.24.9 linux/amd64")
    assert "Go 1.24 is too old" in complaint()


def test_somebody_elses_route(good: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "run", lambda name, *_: "go1.26" if name == "go" else "198.18.0.0/30 dev tun0\n")
    assert "198.18.0.0/30 dev tun0" in complaint()


def test_our_own_routes_are_no_obstacle() -> None:
    table = "198.18.0.0/24 dev cps0 proto kernel\n198.18.1.2 dev veth2ac5274b scope host\nlocal 198.18.0.1 dev cps0\n"
    assert host.foreign_routes(table) == []


def test_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalClusterError, match=f"port {port} of 127.0.0.1 is taken"):
            host.check_ports([port])
    host.check_ports([port])


def test_what_listens_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        assert cluster.listens(address)
    assert not cluster.listens(address)


def test_settings_and_folders_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "forward").write_text("0\n")
    (tmp_path / "there").mkdir()
    monkeypatch.setattr(host, "SYSCTL_ROOT", tmp_path)
    monkeypatch.setattr(host, "SYSCTLS", ("net/forward", "net/absent"))
    monkeypatch.setattr(host, "FOLDERS", (str(tmp_path / "there"), str(tmp_path / "made")))
    monkeypatch.setattr(host, "BEFORE", tmp_path / "state" / "before.json")
    host.restore()
    host.remember()
    (tmp_path / "net" / "forward").write_text("1\n")
    (tmp_path / "made" / "deep").mkdir(parents=True)
    host.remember()
    assert json.loads(host.BEFORE.read_text())["sysctls"] == {"net/forward": "0"}, "the first word stays"
    host.restore()
    assert (tmp_path / "net" / "forward").read_text() == "0"
    assert (tmp_path / "there").exists()
    assert not (tmp_path / "made").exists()
    assert not host.BEFORE.exists()


def test_the_lock_names_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(lock, "need_root", lambda: None)
    busy = pytest.raises(LocalClusterError, match=f"process {os.getpid()} is bringing")
    with lock.only_one(), busy, lock.only_one():
        pass
    assert list(tmp_path.iterdir()) == [], "nothing stays behind"
    (tmp_path / "lock").write_text("1234\n")
    with lock.only_one(), (tmp_path / "lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("reference", ["localhost/x:1", "docker.io/", "docker.io/x:1", "ghcr.io/a/b:1"])
def test_an_image_that_the_nodes_would_seek_elsewhere_is_refused(reference: str) -> None:
    with pytest.raises(LocalClusterError, match=r"tag the image"):
        image.destination(reference)


def test_an_image_goes_to_the_registry_under_its_own_name() -> None:
    assert image.destination("docker.io/a/b:1") == "docker://198.18.0.1:5000/a/b:1"


def test_control_groups_of_both_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    for name in ("cpuset", "memory", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tasks").touch()
    (tmp_path / "cpu,cpuacct").mkdir()
    (tmp_path / "cpu,cpuacct" / "tasks").touch()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    assert [path.name for path in cgroup.trees()] == ["cpu,cpuacct", "cpuset", "memory"]
    cgroup.make([Node(2)])
    assert len(cgroup.leftovers()) == 3
    cgroup.remove()
    assert cgroup.leftovers() == []
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert cgroup.trees() == [tmp_path]


def test_unified_control_groups_pass_all_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    cgroup.delegate(tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory"
