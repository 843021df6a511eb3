"""Runs other programs and gives back what they print."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.errors import CommandFailed, LocalClusterError


def run(
    *argv: str | Path,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Run to the end and return standard output; raises CommandFailed with both streams' last lines."""
    line = [str(part) for part in argv]
    try:
        done = subprocess.run(
            line,
            input=text,
            env=env,
            cwd=cwd,
            timeout=timeout,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise LocalClusterError(f"the program `{line[0]}` is not installed: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(line, 124, f"no end after {timeout:.0f} s") from error
    if done.returncode:
        raise CommandFailed(line, done.returncode, done.stdout + done.stderr)
    return done.stdout


def succeeds(*argv: str | Path, timeout: float | None = None) -> bool:
    """Whether the program ends with 0; what it prints is dropped."""
    try:
        run(*argv, timeout=timeout)
    except LocalClusterError:
        return False
    return True


def lines(output: str | Sequence[str]) -> list[str]:
    """The non-empty lines of a program's output, stripped."""
    parts = output.splitlines() if isinstance(output, str) else output
    return [part.strip() for part in parts if part.strip()]
