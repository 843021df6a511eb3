"""A real Prometheus that reads pages which a test writes, and servers that behave like one badly."""

import http.server
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
import yaml

from checkpointstore.features.pooler.load import COUNTERS, GAUGES
from tests.integration.server import free_port


@dataclass
class Page:
    """What a pod's exporter serves."""

    values: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GAUGES | COUNTERS, 1.0))
    labels: str = 'database="app",user="app_a"'

    def text(self) -> str:
        return "".join(f"{name}{{{self.labels}}} {value}\n" for name, value in self.values.items())

    def grow(self, by: float) -> None:
        """What a counter gains in each scrape that follows."""
        for name in COUNTERS:
            self.values[name] += by


@contextmanager
def served(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    """An HTTP server for as long as it lasts; gives its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def exporter(page: Page, growth: float = 10.0) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.grow(growth)
            body = page.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with served(Handler) as where:
        yield where


@contextmanager
def running(folder: Path, targets: dict[int, dict[str, str]]) -> Iterator[str]:
    """A Prometheus that reads the targets, ports with labels, each second; gives its URL."""
    listed = [{"targets": [f"127.0.0.1:{number}"], "labels": labels} for number, labels in targets.items()]
    scrape = {"job_name": "stores", "static_configs": listed, "scrape_interval": "1s", "scrape_timeout": "1s"}
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
    where = free_port()
    program = shutil.which("prometheus")
    assert program, "make tools installs it"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{where}"], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{where}"
        deadline = time.monotonic() + 60
        while True:
            with suppress(requests.RequestException):
                if requests.get(f"{url}/-/ready", timeout=1).ok:
                    break
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)
