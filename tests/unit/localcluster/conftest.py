"""No unit test may touch the host, whatever is broken in the code under test: a real cluster may be running on it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcluster import cgroup, cluster, daemon, host, network, objectstore

HARMLESS = {"openssl", "false", "sh", "sleep", sys.executable}


@pytest.fixture(autouse=True)
def sealed_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder that is written or removed lies below tmp_path, and only harmless programs run."""
    monkeypatch.setattr(cgroup, "ROOT", tmp_path / "no-cgroups")
    monkeypatch.setattr(network, "NAMESPACES", tmp_path / "no-namespaces")
    monkeypatch.setattr(network, "leftovers", list)
    monkeypatch.setattr(host, "SYSCTL_ROOT", tmp_path / "no-sysctls")
    monkeypatch.setattr(host, "BEFORE", tmp_path / "no-before.json")
    monkeypatch.setattr(host, "FOLDERS", ())
    monkeypatch.setattr(cluster, "STATE", tmp_path / "no-state")
    monkeypatch.setattr(cluster, "BOOT", tmp_path / "no-state" / "boot")
    monkeypatch.setattr(cluster, "remove_traces", lambda: None)
    monkeypatch.setattr(daemon, "ours", lambda node=None: set())
    monkeypatch.setattr(daemon, "RECORDS", tmp_path / "no-records")
    monkeypatch.setattr(daemon, "LOGS", tmp_path / "no-logs")
    monkeypatch.setattr(objectstore, "LOCAL", objectstore.Place(tmp_path / "no-s3"))
    monkeypatch.setattr(subprocess, "Popen", HarmlessPopen)


class HarmlessPopen(subprocess.Popen[str]):
    """Refuses every program that could change the host; subprocess.run goes through it too."""

    def __init__(self, line: list[str], *rest: Any, **options: Any) -> None:
        # A daemon's command line is `sh -c SCRIPT RECORD PROGRAM...`.
        programs = {line[0], line[4] if line[0] == "sh" else line[0]}
        assert programs <= HARMLESS, f"a unit test ran {line} on the real host"
        super().__init__(line, *rest, **options)
