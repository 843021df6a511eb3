"""Debian packages are installed only when missing, and their services do not run."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from localcluster import debian
from localcluster.errors import CommandFailed


class Apt:
    """Stands for dpkg, apt-get and systemctl."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, installed: set[str], systemd: bool) -> None:
        self.asked: list[str] = []
        self.installed = installed
        self.breaks = False
        monkeypatch.setattr(debian, "run", self.run)
        monkeypatch.setattr(debian, "succeeds", lambda *argv: bool(self.run(*argv)))
        monkeypatch.setattr(Path, "is_dir", lambda _: systemd)

    def run(self, *argv: str, env: dict[str, str] | None = None) -> str:
        if argv[0] == "dpkg-query":
            if argv[-1] not in self.installed:
                raise CommandFailed(list(argv), 1, "no packages found")
            return "installed"
        self.asked.append(" ".join(part for part in argv if part not in debian.APT[1:]))
        if self.breaks and "install" in argv:
            raise CommandFailed(list(argv), 100, "no network")
        return ""


@pytest.fixture(autouse=True)
def lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian, "APT_LOCK", tmp_path / "lock")


def call(monkeypatch: pytest.MonkeyPatch, *packages: str, user: int = 0) -> int:
    monkeypatch.setattr(sys, "argv", ["debian", *packages])
    monkeypatch.setattr(os, "geteuid", lambda: user)
    return debian.main()


def test_nothing_is_asked_of_apt_when_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt(monkeypatch, {"socat"}, systemd=True)
    assert call(monkeypatch, "socat", user=1000) == 0
    assert apt.asked == []


def test_only_what_is_missing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt(monkeypatch, {"socat"}, systemd=False)
    assert call(monkeypatch, "socat", "containerd") == 0
    assert apt.asked == ["apt-get update", "apt-get install --yes --no-install-recommends containerd"]


@pytest.mark.parametrize("breaks", [False, True])
def test_services_are_masked_while_they_are_installed_and_disabled_after(
    monkeypatch: pytest.MonkeyPatch, breaks: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = Apt(monkeypatch, set(), systemd=True)
    apt.breaks = breaks
    assert call(monkeypatch, "docker-registry", "socat", "prometheus") == int(breaks)
    assert apt.asked == [
        "apt-get update",
        "systemctl mask --runtime docker-registry prometheus",
        "apt-get install --yes --no-install-recommends docker-registry socat prometheus",
        "systemctl unmask --runtime docker-registry prometheus",
        "systemctl disable docker-registry prometheus",
    ]
    assert ("no network" in capsys.readouterr().err) is breaks


def test_without_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Apt(monkeypatch, set(), systemd=False)
    assert call(monkeypatch, "socat", user=1000) == 1
    assert "apt-get install" in capsys.readouterr().err


def test_one_installation_waits_for_another() -> None:
    """Images are built beside a cluster that is brought up, and both install what they need."""
    order: list[str] = []

    def second() -> None:
        with debian.in_turn():
            order.append("second")

    with debian.in_turn():
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
