"""Runs pgBackRest: the repository from its mounted file, everything else on the command line."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import command, complaint, journal
from .failure import refused
from .info import Stanza, read

PROGRAM = "pgbackrest"
STANZA = "main"
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Repository:
    """`path` is where the store's repository begins; empty: where the mounted file says."""

    path: str = ""

    def options(self) -> list[str]:
        folder = Path(os.environ.get("CHECKPOINTSTORE_REPOSITORY_DIR", "/etc/pgbackrest"))
        file = folder / "repository.conf"
        if not file.is_file():
            raise refused("SecretIncomplete", f"{file} is missing")
        return [
            f"--config={file}",
            "--log-level-file=off",
            "--log-level-console=off",
            *([f"--repo1-path={self.path}"] if self.path else []),
        ]

    def call(
        self, name: str, *options: str, stanza: bool = True, level: str = "warn", otherwise: str = "PgBackRestFailed"
    ) -> command.Done:
        """Run a command; what it complains about while it succeeds is in `err`."""
        common = [*self.options(), *([f"--stanza={STANZA}"] if stanza else []), f"--log-level-stderr={level}"]
        # Not every command knows the option; in the environment that is no error.
        done = command.run([PROGRAM, *common, *options, name], {"PGBACKREST_LOCK_PATH": str(lock_path())})
        if done.code:
            journal.write("complained", command=name, code=done.code, message=complaint.first(done.err))
            raise complaint.failure(done.err or done.out, otherwise)
        return done

    def info(self) -> Stanza:
        return self._info()

    def damaged_files(self, label: str) -> tuple[str, ...]:
        """The files of the database whose checksums were wrong when this backup read them."""
        backups = self._info(f"--set={label}").backups
        return next((backup.damaged_files for backup in backups if backup.label == label), ())

    def _info(self, *options: str) -> Stanza:
        # Not strict: with a wrong key it quotes what it decrypted.
        return read(json.loads(self.call("info", "--output=json", *options).out, strict=False))

    def list(self, *options: str) -> Mapping[str, Mapping[str, Any]]:
        """Names below the path, with type, size and time."""
        listed: dict[str, dict[str, Any]] = json.loads(
            self.call("repo-ls", "--output=json", *options, stanza=False).out or "{}"
        )
        listed.pop(".", None)
        return listed

    def everything(self) -> Mapping[str, Mapping[str, Any]]:
        return self.list("--recurse")


def lock_path() -> Path:
    return command.scratch() / "pgbackrest"


def version() -> tuple[int, int]:
    """Of the program in this image."""
    found = re.search(r"(\d+)\.(\d+)", command.run([PROGRAM, "version"]).out)
    return (int(found[1]), int(found[2])) if found else (0, 0)
