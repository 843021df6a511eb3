"""What each image is made of, and the reference that follows from it: no image is built here."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "docker.io/checkpointstore"
TAG_PREFIX = "dev-"
DIGITS = 12
CONTAINERFILE = "Containerfile"
# 2020-01-01: checkouts differ in times only, and a layer must not be made anew for that.
TIME = 1577836800


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: the files and folders it is made of, relative to the root; `most` limits its size, in MB."""

    name: str
    inputs: tuple[str, ...] = ()
    most: int = 0

    @property
    def containerfile(self) -> str:
        return f"images/{self.name}/{CONTAINERFILE}"

    def files(self, root: Path = ROOT) -> list[str]:
        """All input files, sorted, relative to the root; the Containerfile is one of them."""
        found: set[str] = set()
        for name in (self.containerfile, *self.inputs):
            if not (root / name).exists():
                raise LocalClusterError(f"{root / name} is missing: the image {self.name} is made of it.")
            found.update(_sources(root, root / name))
        return sorted(found)

    def digest(self, root: Path = ROOT) -> str:
        """The first hex digits of a digest over the inputs' names, execute bits and contents."""
        whole = hashlib.sha256()
        for name in self.files(root):
            content = (root / name).read_bytes()
            whole.update(f"{name}\0{_executable(root / name):d}\0{len(content)}\0".encode())
            whole.update(content)
        return whole.hexdigest()[:DIGITS]

    def tag(self, root: Path = ROOT) -> str:
        return TAG_PREFIX + self.digest(root)

    def reference(self, root: Path = ROOT) -> str:
        return f"{REPOSITORY}/{self.name}:{self.tag(root)}"

    def stage(self, folder: Path, root: Path = ROOT) -> None:
        """Copy exactly the inputs into the folder, with fixed modes and times: a build sees nothing else."""
        for name in self.files(root):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target)
            target.chmod(0o755 if _executable(root / name) else 0o644)
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
            os.utime(path, (TIME, TIME))


RECIPES = (
    Recipe("postgres"),
    Recipe("pgbouncer"),
    Recipe(
        "operator",
        ("pyproject.toml", "constraints.txt", "README.md", "operator", "images/operator/prune.sh"),
        most=400,
    ),
    Recipe("agent", ("constraints.txt", "images/agent")),
    Recipe("prometheus"),
)


def _sources(root: Path, path: Path) -> Iterator[str]:
    """The files under a path without what tools leave beside sources: caches, compiled and hidden files."""
    if path.name.startswith(".") or path.name == "__pycache__" or path.suffix in (".pyc", ".egg-info"):
        return
    if path.is_dir():
        for entry in path.iterdir():
            yield from _sources(root, entry)
    else:
        yield path.relative_to(root).as_posix()


def _executable(path: Path) -> bool:
    return os.access(path, os.X_OK)
