"""The exporter that Debian has, run as in an instance's pod, on a test's server."""

import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.samples import Sample

from checkpointstore.adapters.exposition import samples
from checkpointstore.kernel.command import Commands
from checkpointstore.kernel.env import Env, Images
from checkpointstore.providers.patroni import exporter, workload
from checkpointstore.providers.spec import Postgres
from tests.integration.server import Server, free_port
from tests.unit.packaging.rendered import need

ENV = Env("agents", "shop", "uid", Images("postgres:1", "pgbouncer:1", "operator:1"), "cluster.local", "system")


def container() -> dict[str, Any]:
    """As the StatefulSet has it."""
    shape = workload.Shape(1, "1Gi")
    made = workload.statefulset(Postgres(), ENV, False, Commands(), shape)
    (found,) = (one for one in made["spec"]["template"]["spec"]["containers"] if one["name"] == "exporter")
    return dict(found)


@dataclass(frozen=True)
class Exporter:
    port: int
    log_file: Path
    knows: Callable[[str], bool]
    """Whether this release has that flag."""

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def page(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            return str(answer.read().decode())

    def samples(self, prefix: str = "") -> list[Sample]:
        return list(samples(self.page(), prefix))


@contextmanager
def running(server: Server, database: str = "") -> Iterator[Exporter]:
    """One that is connected as its container's, or to the given database as those of former releases were."""
    program = need("prometheus-postgres-exporter")
    flags = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    made, port = container(), free_port()
    (source,) = (one["value"] for one in made["env"] if one["name"] == "DATA_SOURCE_NAME")
    source = source.replace("host=/run/postgresql", f"host={server.data} port={server.port}")
    if database:
        source = source.replace("dbname=app", f"dbname={database}")
    with tempfile.TemporaryDirectory() as folder:
        queries, log = Path(folder) / exporter.FILE, Path(folder) / "log"
        queries.write_text(exporter.QUERIES)
        own = [f"--web.listen-address=127.0.0.1:{port}", f"--extend.query-path={queries}"]
        asked = [flag for flag in made["command"] if flag.startswith("--collector.")]
        known = [flag for flag in asked if flag in flags.stdout + flags.stderr]
        with log.open("w") as out:
            process = subprocess.Popen([program, *own, *known], env={"DATA_SOURCE_NAME": source}, stderr=out, cwd="/")
        try:
            found = Exporter(port, log, lambda flag: flag in flags.stdout + flags.stderr)
            _wait(found)
            yield found
        finally:
            process.terminate()
            process.wait()


def _wait(exporter: Exporter) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            exporter.page()
            return
        except OSError:
            assert time.monotonic() < deadline, exporter.log
            time.sleep(0.05)
