"""Runs another program: nothing inherited but where to find it, and it never outlives us."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


def run(argv: Sequence[str], environ: Mapping[str, str] | None = None, script: str = "") -> Done:
    """Run it to its end, with `script` as its standard input."""
    done = subprocess.run(
        [*tied("TERM"), *argv],
        env={**environment(), **(environ or {})},
        input=script,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        # The lock on the data directory is theirs too.
        close_fds=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def tied(signal: str) -> list[str]:
    """The start of a command line that gets `signal` when we are gone, however that happens."""
    return ["setpriv", "--pdeathsig", signal]


def environment() -> dict[str, str]:
    return {"TZ": "UTC", **{name: os.environ[name] for name in INHERITED if name in os.environ}}


def scratch() -> Path:
    """The folder for everything that may be lost."""
    return Path(tempfile.gettempdir())
