"""How far a restore is, for whoever scrapes it."""

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import journal

PORT = "CHECKPOINTSTORE_PROGRESS_PORT"
DEFAULT_PORT = "9102"
PHASES = ("verifying", "restoring", "replaying", "checking")
WALK_SECONDS = 2.0


class Progress:
    def __init__(self, directory: Path, total: int) -> None:
        self.total = total
        self._directory = directory
        self._phase = ""
        self._done, self._walked = 0, 0.0
        self._found, self._since = 0, time.monotonic()
        self._lock = threading.Lock()

    def enter(self, phase: str) -> None:
        if phase == "restoring":
            self._found, self._since = size(self._directory), time.monotonic()
        self._phase = phase
        journal.write(phase)

    def serve(self) -> None:
        """From a thread that ends with the process."""
        server = ThreadingHTTPServer(("", int(os.environ.get(PORT, DEFAULT_PORT))), _handler(self))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        journal.write("serving", port=server.server_port)

    def metrics(self) -> str:
        done = self._size()
        lines = [
            "# TYPE checkpointstore_restore_bytes gauge",
            f'checkpointstore_restore_bytes{{state="total"}} {self.total}',
            f'checkpointstore_restore_bytes{{state="done"}} {done}',
            *self._left(done),
            "# TYPE checkpointstore_restore_phase gauge",
            *(f'checkpointstore_restore_phase{{phase="{phase}"}} {int(phase == self._phase)}' for phase in PHASES),
        ]
        return "\n".join(lines) + "\n"

    def _left(self, done: int) -> list[str]:
        """At the pace of what came since it began: one that goes on after a killed pod found files already."""
        if self._phase != "restoring" or done <= self._found:
            return []
        left = max(0, self.total - done) * (time.monotonic() - self._since) / (done - self._found)
        return ["# TYPE checkpointstore_restore_left_seconds gauge", f"checkpointstore_restore_left_seconds {left:.1f}"]

    def _size(self) -> int:
        """A walk is dear on a large volume: what it found holds for a while."""
        with self._lock:
            if time.monotonic() - self._walked > WALK_SECONDS or not self._walked:
                self._done, self._walked = size(self._directory), time.monotonic()
            return self._done


def size(directory: Path) -> int:
    """Bytes of all files below; files may go while we look."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _handler(progress: Progress) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/metrics"
            body = progress.metrics().encode() if known else b""
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is no event."""

    return Handler
