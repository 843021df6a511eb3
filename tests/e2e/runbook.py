"""A runbook's commands, run as a person does who copies each block into a shell."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.kubectl import ROOT, CommandFailed, Kubectl

SECONDS = 600
FOLDER = ROOT / "docs/runbooks"
_PART = re.compile(r"^## (?P<title>[^\n]+)$|^```sh\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL)
_MOMENT = re.compile(r"^MOMENT=.*$", re.MULTILINE)


def sections(text: str) -> dict[str, list[str]]:
    """The blocks that can be run as they are, by the heading that they stand under, in the order of the text."""
    found: dict[str, list[str]] = {}
    title = ""
    for part in _PART.finditer(text):
        if part["block"] is None:
            title = part["title"]
        else:
            found.setdefault(title, []).append(part["block"])
    return found


@dataclass(frozen=True)
class Shell:
    """Where a person works: a folder with files of earlier blocks, and the names that the runbook asks for."""

    kubectl: Kubectl
    folder: Path
    names: Mapping[str, str]

    def start(self, block: str, moment: str = "") -> "subprocess.Popen[str]":
        """Begin a block, with this moment where the text leaves it to the person."""
        if moment:
            block, found = _MOMENT.subn(f"MOMENT={moment}", block)
            assert found == 1, block
        path = f"{self.kubectl.kubectl.parent}:{self.kubectl.environment()['PATH']}"
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.folder,
            env={**self.kubectl.environment(), **self.names, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: str, moment: str = "") -> str:
        """Run a block to its end; what it printed. Raises CommandFailed."""
        return ended(self.start(block, moment))

    @contextmanager
    def beside(self, block: str, moment: str) -> Iterator[None]:
        """Run a block in another window meanwhile, and wait for its end."""
        running = self.start(block, moment)
        try:
            yield
        except BaseException:
            running.kill()
            raise
        ended(running)


def ended(running: "subprocess.Popen[str]") -> str:
    """Wait for a block's end; what it printed. Raises CommandFailed."""
    try:
        said = running.communicate(timeout=SECONDS)[0]
    finally:
        running.kill()
    if running.returncode:
        raise CommandFailed(f"{running.args!r} ended with {running.returncode}: {said}")
    return said
