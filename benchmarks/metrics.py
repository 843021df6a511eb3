"""What the operator counts about itself, and what the API server's audit log counts about everybody."""

import collections
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stage import Wrong
from demo.installation import NAMESPACE, holder
from demo.kubectl import Kubectl, run

READS = {"get", "list"}
PORT = 8080


@dataclass(frozen=True)
class Operator:
    """The operator's own numbers at one moment."""

    started: float
    resident_bytes: float
    cpu_seconds: float
    passes: float
    requests: float
    writes: float
    """Requests that change something, the Lease's renewal aside."""

    def __sub__(self, before: "Operator") -> "Operator":
        """What was added since; memory as it is now."""
        if self.started != before.started:
            raise Wrong("the operator was started again while it was measured: run the question once more")
        return Operator(
            self.started,
            self.resident_bytes,
            self.cpu_seconds - before.cpu_seconds,
            self.passes - before.passes,
            self.requests - before.requests,
            self.writes - before.writes,
        )


def read(kubectl: Kubectl) -> Operator:
    """Ask the operator that works, through the API server."""
    pod = holder(kubectl)
    return parse(
        kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:{PORT}/proxy/metrics").splitlines()
    )


def parse(lines: Iterable[str]) -> Operator:
    """The numbers in Prometheus' text form."""
    sums: dict[str, float] = collections.defaultdict(float)
    for line in lines:
        if not line or line.startswith("#"):
            continue
        key, _, value = line.rpartition(" ")
        name = key.partition("{")[0]
        sums[name] += float(value)
        if name == "checkpointstore_api_requests_total" and 'verb="GET"' not in key and 'kind="Lease"' not in key:
            sums["writes"] += float(value)
    return Operator(
        sums["process_start_time_seconds"],
        sums["process_resident_memory_bytes"],
        sums["process_cpu_seconds_total"],
        sums["checkpointstore_reconcile_duration_seconds_count"],
        sums["checkpointstore_api_requests_total"],
        sums["writes"],
    )


class AuditLog:
    """The API server's log of requests from now on; `shown` is False on a cluster whose log is not on this host."""

    def __init__(self, kubeconfig: Path) -> None:
        ours, path = (
            Path(run([sys.executable, "-m", "localcluster", word]).strip()) for word in ("kubeconfig", "audit-log")
        )
        self.shown = kubeconfig == ours and path.exists()
        self._path = path
        self._began = path.stat().st_size if self.shown else 0

    def requests(self) -> "Requests":
        """Finished requests since the beginning."""
        with self._path.open() as log:
            log.seek(self._began if self._path.stat().st_size >= self._began else 0)
            return count(log)


@dataclass(frozen=True)
class Requests:
    """How many requests each user sent for each namespace, and how many of them changed something; watches and the
    renewal of Leases aside."""

    all: collections.Counter[tuple[str, str]]
    writes: collections.Counter[tuple[str, str]]


def count(lines: Iterable[str]) -> Requests:
    """Count finished requests by user and namespace."""
    found = Requests(collections.Counter(), collections.Counter())
    for line in lines:
        if not line.endswith("}\n"):
            continue  # the API server is still writing it
        event = json.loads(line)
        target = event.get("objectRef", {})
        if event["stage"] != "ResponseComplete" or event["verb"] == "watch" or target.get("resource") == "leases":
            continue
        who = event["user"].get("username", ""), target.get("namespace", "")
        found.all[who] += 1
        found.writes[who] += event["verb"] not in READS
    return found
