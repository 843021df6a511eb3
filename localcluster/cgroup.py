"""The nodes' control groups, on cgroup v1 (a tree a controller) and v2 (one tree)."""

import os
import time
from pathlib import Path

from localcluster.layout import CGROUP, Node

ROOT = Path("/sys/fs/cgroup")


def is_unified() -> bool:
    """Whether this host has cgroup v2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def trees() -> list[Path]:
    """The roots below which every node needs its folder."""
    if is_unified():
        return [ROOT]
    linked = {path.resolve() for path in ROOT.iterdir() if path.is_dir() and path.name != "unified"}
    return sorted(path for path in linked if (path / "tasks").exists())


def make(nodes: list[Node]) -> None:
    """Make each node's folder in every tree, with what a v1 cpuset lacks when new."""
    for tree in trees():
        for node in nodes:
            for folder in (tree / CGROUP, tree / node.cgroup):
                folder.mkdir(exist_ok=True)
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if (folder / name).exists() and not is_unified() and not (folder / name).read_text().strip():
                        (folder / name).write_text((folder.parent / name).read_text())
            if is_unified():
                for folder in (tree, tree / CGROUP, tree / node.cgroup):
                    delegate(folder)


def delegate(folder: Path) -> None:
    """Let the folder's children use all its controllers (v2)."""
    names = (folder / "cgroup.controllers").read_text().split()
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in names))


def leftovers() -> list[Path]:
    """The folders of a cluster that are on this host now."""
    candidates = [
        ROOT / CGROUP,
        *(path / CGROUP for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink()),
    ]
    return [path for path in candidates if path.is_dir()]


def remove(patience: float = 10.0) -> None:
    """Remove the folders, the deepest first; the kernel lets go of one some time after its last process."""
    deadline = time.monotonic() + patience
    for top in leftovers():
        for folder in [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]:
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
