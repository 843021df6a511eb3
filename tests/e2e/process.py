"""Kills a pod's processes the hard way, from the host where they run."""

import os
import signal
from pathlib import Path


def of_pod(uid: str) -> list[int]:
    """The process ids of a pod's containers, its sandbox's aside; empty where it runs on another host."""
    found = [process for process in Path("/proc").glob("[0-9]*") if uid in cgroups(process)]
    return [int(process.name) for process in found if name(process) != "pause"]


def cgroups(process: Path) -> str:
    """The control groups of a process, with the dashes that a pod's uid has everywhere else."""
    try:
        return (process / "cgroup").read_text().replace("_", "-")
    except OSError:
        return ""


def name(process: Path) -> str:
    """The program's short name."""
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def kill(uid: str) -> int:
    """SIGKILL every process of a pod; gives how many there were."""
    killed = 0
    for number in of_pod(uid):
        try:
            os.kill(number, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue
    return killed
