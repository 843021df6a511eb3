"""Says what is being done, that it is still being done, and how long it took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 15.0


def say(text: str) -> None:
    """Print one line at once, also into a pipe; standard error keeps standard output for answers."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str, heartbeat: float = HEARTBEAT_SECONDS) -> Iterator[None]:
    """Print the title, a sign of life every `heartbeat` seconds, and the seconds that the block took."""
    begun = time.monotonic()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(heartbeat):
            say(f"  ... {title}: {time.monotonic() - begun:.0f} s")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    verdict = "failed after"
    try:
        yield
        verdict = "done in"
    finally:
        ended.set()
        thread.join()
        say(f"- {title}: {verdict} {time.monotonic() - begun:.1f} s")
