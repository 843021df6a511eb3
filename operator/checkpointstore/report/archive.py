"""The archive itself: texts by path, each hidden from secrets on its way in, written as one tar.gz."""

import io
import os
import tarfile
import time
from pathlib import Path

from .hide import Curtain


class Archive:
    """Files of one report, under one folder, readable by whoever made it alone."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.curtain = Curtain()
        self.texts: dict[str, str] = {}

    def add(self, path: str, text: str) -> None:
        self.texts[path] = text

    def write(self, file: Path) -> None:
        """Write everything; only now, as by now every value to hide is known."""
        now = int(time.time())
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(handle, 0o600)
        with os.fdopen(handle, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as tar:
            for path, text in sorted(self.texts.items()):
                body = self.curtain.hide(text).encode()
                entry = tarfile.TarInfo(f"{self.folder}/{path}")
                entry.size, entry.mtime, entry.mode = len(body), now, 0o600
                tar.addfile(entry, io.BytesIO(body))
