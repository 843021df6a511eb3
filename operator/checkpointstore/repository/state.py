"""The file beside a data directory that says whose it is: begun, or done with its outcome; and the lock on it."""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .failure import refused, transient

# A run that was killed leaves children that are about to end.
PATIENCE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class State:
    directory: Path

    @property
    def file(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.recovery")

    def lock(self) -> None:
        """Until we and all our children end: two restores into one directory would destroy it."""
        handle = os.open(self.directory.with_name(f"{self.directory.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        os.set_inheritable(handle, True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise transient("DirectoryBusy", f"another process restores into {self.directory}") from None
            time.sleep(0.1)

    def outcome(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """What an earlier run of this request came to, when it came to its end."""
        known = self._read()
        if not known or "outcome" not in known:
            return None
        if known["request"] != request:
            raise refused(
                "DirectoryNotEmpty", f"{self.directory} holds the result of another recovery; recover into a new volume"
            )
        outcome: dict[str, Any] = known["outcome"]
        return outcome

    def begin(self, request: dict[str, Any]) -> None:
        """From here on what is in the directory is ours to overwrite."""
        if self._read() is None and self.directory.exists() and any(self.directory.iterdir()):
            raise refused("DirectoryNotEmpty", f"{self.directory} holds files that are not ours; use a new volume")
        self._write({"request": request})
        self.directory.mkdir(mode=0o700, exist_ok=True)

    def end(self, request: dict[str, Any], outcome: dict[str, Any]) -> None:
        self._write({"request": request, "outcome": outcome})

    def _read(self) -> dict[str, Any] | None:
        try:
            known: dict[str, Any] = json.loads(self.file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        return known

    def _write(self, content: dict[str, Any]) -> None:
        """All or nothing, even when the node loses its power."""
        new = self.file.with_name(f"{self.file.name}.new")
        with new.open("w", encoding="utf-8") as handle:
            json.dump(content, handle)
            handle.flush()
            os.fsync(handle.fileno())
        new.replace(self.file)
        folder = os.open(self.file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
