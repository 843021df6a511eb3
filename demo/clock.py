"""The demo's voice: one line for what happens, when it happens, from whichever thread it happens in."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Clock:
    """Prints lines with the seconds since it was made; `started` is that moment, seconds since the epoch."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.started = time.time()
        self._began = time.monotonic()
        self._out = out or sys.stdout
        self._lock = threading.Lock()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def say(self, who: str, what: str) -> None:
        """Print `what`, each of its lines with the time and who says it."""
        stamp = f"[{self.elapsed():6.1f} s]"
        with self._lock:
            for line in what.splitlines():
                print(f"{stamp} {who:<12} {line}".rstrip(), file=self._out)
            self._out.flush()

    @contextmanager
    def step(self, who: str, what: str) -> Iterator[None]:
        """Say what begins, and how long it took or that it failed."""
        self.say(who, f"{what} ...")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(who, f"{what}: failed after {time.monotonic() - began:.1f} s")
            raise
        self.say(who, f"{what}: done in {time.monotonic() - began:.1f} s")
