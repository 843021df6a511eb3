"""Where a question is measured: a namespace with stores in it, agents that run beside them, and psql on a primary."""

import collections
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import Report
from demo import agentjob, store
from demo.agentjob import Agent, Line
from demo.kubectl import Kubectl
from localcluster.choice import Cluster

SCRIPTS = Path(__file__).resolve().parent / "agent"
READY_SECONDS = 300
AGENT_SECONDS = 1800
# A replica and no wait for it: what a store does unless it is told otherwise.
ASYNCHRONOUS: dict[str, Any] = {"postgres": {"instances": 2}}
SYNCHRONOUS: dict[str, Any] = {"postgres": {"instances": 2, "synchronous": {"number": 1, "dataDurability": "Required"}}}


class Wrong(Exception):
    """A result is not what was written: the only thing that fails a benchmark."""


@dataclass(frozen=True)
class Stage:
    """What every question is given."""

    kubectl: Kubectl
    cluster: Cluster
    image: str
    prometheus: str
    """The image of a Prometheus."""
    report: Report
    full: bool

    @contextmanager
    def scene(self, question: str) -> Iterator["Scene"]:
        """A namespace of its own, gone afterwards with all that is in it."""
        scene = Scene(self, f"bench-{question}-{secrets.token_hex(2)}")
        self.kubectl.namespace(scene.namespace)
        try:
            yield scene
        finally:
            scene.clear()
            self.kubectl("delete", "namespace", scene.namespace, timeout=600)


@dataclass(frozen=True)
class Scene:
    """One question's namespace."""

    stage: Stage
    namespace: str

    def store(self, name: str, spec: Mapping[str, Any]) -> float:
        """Apply a store and wait until it is Ready; gives the seconds that took."""
        manifest = store.manifest(name, self.namespace, {"reclaimPolicy": {"volumes": "Delete"}, **spec})
        began = time.monotonic()
        self.stage.kubectl.apply(manifest)
        store.wait_ready(self.stage.kubectl, name, self.namespace, READY_SECONDS)
        return time.monotonic() - began

    def clear(self) -> None:
        """Delete every store and wait until it is gone."""
        self.stage.kubectl("delete", "checkpointstores", "--all", "-n", self.namespace, timeout=600)

    def run(self, script: str, name: str, **settings: object) -> tuple[dict[str, list[float]], Line]:
        """Run an agent script beside a store; gives its samples by series, and its result."""
        kubectl, namespace = self.stage.kubectl, self.namespace
        scripts, client = agentjob.scripts(namespace)
        scripts["data"] |= {path.name: path.read_text() for path in sorted(SCRIPTS.glob("*.py"))}
        job = f"{script.partition('.')[0].replace('_', '-')}-{secrets.token_hex(2)}"
        environment = {key: str(value) for key, value in settings.items()}
        kubectl.apply(scripts, client, agentjob.job(job, namespace, self.stage.image, script, name, environment))
        agent = Agent(kubectl, job, namespace).follow()
        result = agent.result(AGENT_SECONDS)
        if not result["ok"]:
            raise Wrong(f"{script} on {namespace}/{name}: {agent.tail()}")
        return series(agent.lines), result

    def psql(self, name: str, database: str, *commands: str) -> str:
        """Run SQL as the superuser on a store's primary, each command by itself; gives what psql prints."""
        pod = store.primary(self.stage.kubectl, name, self.namespace)
        program = ["psql", "-U", "postgres", "-h", "/run/postgresql", "-d", database, "-v", "ON_ERROR_STOP=1", "-qAt"]
        where = ["exec", "-i", "-n", self.namespace, pod, "-c", "postgres", "--"]
        # By standard input: a command's arguments are for every process of the host to read.
        text = "".join(f"{command};\n" for command in commands)
        return self.stage.kubectl(*where, *program, text=text, timeout=900)

    def stock_database(self, name: str) -> str:
        """A second database on the store's server, made by the stock saver's setup() alone; gives its name."""
        # The operator sets lz4 for the whole server, which a stock schema elsewhere would not have.
        settings = "alter database stock set default_toast_compression = pglz"
        self.psql(name, "postgres", "create database stock owner app", settings)
        self.run("stock_setup.py", name)
        return "stock"


def series(lines: list[Line]) -> dict[str, list[float]]:
    """The samples that an agent said, by the series that each belongs to."""
    found: dict[str, list[float]] = collections.defaultdict(list)
    for line in lines:
        if line["event"] == "samples":
            found[line["series"]] += line["values"]
    return dict(found)
