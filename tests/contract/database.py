"""What runs inside a store's pods: Patroni's members and their records, and the schema Job."""

import json
from datetime import UTC, datetime
from typing import Any

from checkpointstore.features.blobs.request import Outcome as Collected
from checkpointstore.features.retention.request import Outcome as Retained
from checkpointstore.features.retention.request import Removed
from checkpointstore.features.schema.outcome import Outcome
from checkpointstore.features.tiering.request import Cold, Holding, Moved, Repeated
from checkpointstore.features.tiering.request import Outcome as Tiered
from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.erasure import Erased
from checkpointstore.kernel.naming import STORE_LABEL
from checkpointstore.providers.patroni.parameter import REVISION

from .apiserver import ApiServer, stamp
from .nature import KUBELET, going, ready, tell
from .repository import Repository

PATRONI = "Patroni"
SYSTEM = "7400000000000000001"
RESTARTING = ("max_connections", "shared_buffers", "wal_level", "shared_preload_libraries")
"""Some of the parameters that a server reads only at its start."""
STARTED = "simulated/parameters-at-start"
BELIEVED, LOADED = "simulated/revision-of-patroni", "simulated/revision-of-the-server"
SUCCESS = json.dumps(
    {"modules": [{"name": "LangGraph", "version": 9}], "serverVersion": "17.11", "maxConnections": 128}
)
TIERED = Tiered(
    threads=3,
    moved=Moved(threads=2, bytes=30 * 1024**3),
    cold=Cold(
        threads=2,
        objects=320,
        bytes=10 * 1024**3,
        last_deletion=datetime(2026, 1, 4, 12, tzinfo=UTC),
        tiers=(Holding(name="cold", storage_class="STANDARD_IA", objects=320, bytes=10 * 1024**3, threads=2),),
    ),
    complete=True,
    seconds=1,
).text()
COLLECTED = Collected(objects=12, bytes=40 * 1024**2, unused=1, removed=3, removed_bytes=9 * 1024**2, seconds=2).text()
REPEATED = Repeated(entries=5, deleted=3, unclear=1).model_dump_json(by_alias=True)
RETAINED = Retained(threads=3, removed=Removed(checkpoints=20, bytes=4096), complete=True, seconds=1).text()
OVER_THREADS = {"retention": RETAINED, "tiering": TIERED, "blobs": COLLECTED}


def step(server: ApiServer, repository: Repository, refusal: Outcome | None = None) -> None:
    """Let Patroni's loops and the Jobs' processes go on; with `refusal` every schema Job ends that way."""
    for statefulset in server.all("StatefulSet"):
        _patroni(server, statefulset["metadata"]["namespace"], statefulset["metadata"]["name"])
    for job in server.all("Job"):
        _job(server, job, repository, refusal)


def _patroni(server: ApiServer, namespace: str, store: str) -> None:
    scope = f"{store}-rw"
    labels = {STORE_LABEL: store, "app.kubernetes.io/component": "postgres"}
    members = [pod for pod in server.all("Pod", namespace, labels) if pod["status"]["phase"] == "Running"]
    healthy = [pod["metadata"]["name"] for pod in members if ready(pod)]
    if not members:
        return
    marks = {**labels, "checkpointstore.dev/patroni": scope}
    _service(server, namespace, f"{scope}-config", marks)
    leader = annotation(server, namespace, scope, "leader")
    if leader not in healthy:
        leader = healthy[0] if healthy and not leader else ""
        record(server, namespace, scope, marks, {"leader": leader or None, "transitions": "1"})
    record(server, namespace, f"{scope}-config", marks, {"initialize": SYSTEM})
    config = json.loads(annotation(server, namespace, f"{scope}-config", "config") or "{}")
    standbys = ",".join(name for name in healthy if name != leader) if config.get("synchronous_mode") else ""
    record(server, namespace, f"{scope}-sync", marks, {"leader": leader or None, "sync_standby": standbys or None})
    leader = _switch(server, namespace, scope, marks, leader, healthy)
    parameters = config.get("postgresql", {}).get("parameters", {})
    for pod in members:
        _member(server, pod, leader, {name: parameters.get(name, "") for name in RESTARTING})
        _reload(server, pod, parameters.get(REVISION, "none"))


def _service(server: ApiServer, namespace: str, name: str, labels: dict[str, str]) -> None:
    """Patroni makes the Service of its configuration where it may, and then it is nobody's."""
    rules = [
        rule for role in server.all("Role", namespace, {STORE_LABEL: labels[STORE_LABEL]}) for rule in role["rules"]
    ]
    may = any("services" in rule["resources"] and "create" in rule["verbs"] for rule in rules)
    if may and server.get("Service", namespace, name) is None:
        meta = {"name": name, "namespace": namespace, "labels": labels}
        server.create({"apiVersion": "v1", "kind": "Service", "metadata": meta}, PATRONI)


def _switch(
    server: ApiServer, namespace: str, scope: str, labels: dict[str, str], leader: str, healthy: list[str]
) -> str:
    """A switchover that was asked for; done or not, its record is cleared."""
    name = f"{scope}-failover"
    source, target = (annotation(server, namespace, name, key) for key in ("leader", "member"))
    if not target:
        return leader
    record(server, namespace, name, labels, {"leader": None, "member": None})
    if source != leader or target not in healthy:
        return leader
    record(server, namespace, scope, labels, {"leader": target})
    return target


def _member(server: ApiServer, pod: Manifest, leader: str, parameters: dict[str, str]) -> None:
    """A member's own status annotation; it read what only a start reads when its pod was new."""
    meta = pod["metadata"]
    started = json.loads(meta.get("annotations", {}).get(STARTED) or json.dumps(parameters))
    role = "primary" if meta["name"] == leader else "replica"
    status: dict[str, Any] = {"role": role, "state": "running", "timeline": 1}
    changed = {name: value for name, value in parameters.items() if started.get(name) != value}
    if changed:
        status["pending_restart"] = True
        status["pending_restart_reason"] = {
            name: {"old_value": started.get(name, ""), "new_value": value} for name, value in changed.items()
        }
    annotations = {"status": json.dumps(status), STARTED: json.dumps(started)}
    change = {"metadata": {"annotations": annotations, "labels": {"checkpointstore.dev/role": role}}}
    server.patch("Pod", meta["namespace"], meta["name"], change, PATRONI)


def _reload(server: ApiServer, pod: Manifest, revision: str) -> None:
    """Patroni sees what changes, and lets a server load it that runs. One that is starting begins with what it was
    told before, and Patroni does not look again."""
    before = believed(pod)
    if before == revision:
        return
    told = {BELIEVED: revision, LOADED: revision} if before is None or ready(pod) else {BELIEVED: revision}
    meta = pod["metadata"]
    server.patch("Pod", meta["namespace"], meta["name"], {"metadata": {"annotations": told}}, PATRONI)


def believed(pod: Manifest) -> str | None:
    """The revision that Patroni in that pod knows; None where it has not begun."""
    found = pod["metadata"].get("annotations", {}).get(BELIEVED)
    return None if found is None else str(found)


def annotation(server: ApiServer, namespace: str, name: str, key: str) -> str:
    found = server.get("Endpoints", namespace, name)
    return str((found or {"metadata": {}})["metadata"].get("annotations", {}).get(key) or "")


def record(
    server: ApiServer, namespace: str, name: str, labels: dict[str, str], annotations: dict[str, str | None]
) -> None:
    if server.get("Endpoints", namespace, name) is None:
        made = {key: value for key, value in annotations.items() if value is not None}
        meta = {"name": name, "namespace": namespace, "labels": labels, "annotations": made}
        server.create({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta}, PATRONI)
    else:
        server.patch("Endpoints", namespace, name, {"metadata": {"annotations": annotations}}, PATRONI)


def _job(server: ApiServer, job: Manifest, repository: Repository, refusal: Outcome | None) -> None:
    """A Job's only pod: made, started by its kubelet, ended once the server it works on has a primary."""
    meta = job["metadata"]
    if job.get("status", {}).get("conditions"):
        return
    name = f"{meta['name']}-x7k2p"
    pod = server.get("Pod", meta["namespace"], name)
    if pod is None:
        server.create(_job_pod(job, name), "kube-controller-manager")
    elif pod["status"]["phase"] == "Running" and not going(pod) and (end := _end(server, job, repository, refusal)):
        code, message = end
        ended = {"name": "schema", "state": {"terminated": {"exitCode": code, "message": message}}}
        tell(server, pod, "Failed" if code else "Succeeded", ready=False, containerStatuses=[ended])
        condition = {
            "type": "Failed" if code else "Complete",
            "status": "True",
            "lastTransitionTime": stamp(server.now),
        }
        server.patch("Job", meta["namespace"], meta["name"], {"status": {"conditions": [condition]}}, KUBELET, "status")


def _end(server: ApiServer, job: Manifest, repository: Repository, refusal: Outcome | None) -> tuple[int, str] | None:
    """Exit code and termination message; None while it works."""
    if job["metadata"]["labels"]["app.kubernetes.io/component"] == "schema":
        if refusal:
            return 64, refusal.text()
        return (0, SUCCESS) if _reachable(server, job) else None
    if said := OVER_THREADS.get(job["metadata"]["labels"]["app.kubernetes.io/component"]):
        return (0, said) if _reachable(server, job) and repository.works else None
    if job["metadata"]["labels"]["app.kubernetes.io/component"] == "erasure":
        failed = repository.failures.get("erasure")
        return (failed[0], json.dumps(failed[1])) if failed else (0, Erased(removed=7).model_dump_json())
    if job["metadata"]["labels"]["app.kubernetes.io/component"] == "deletions":
        failed = repository.failures.get("deletions")
        return (failed[0], json.dumps(failed[1])) if failed else (0, REPEATED)
    found = repository.end(job)
    return (found[0], json.dumps(found[1])) if found else None


def _job_pod(job: Manifest, name: str) -> Manifest:
    meta, template = job["metadata"], job["spec"]["template"]
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": meta["name"]}
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": meta["namespace"], "labels": labels, "ownerReferences": [owner]},
        "spec": {
            "nodeName": "node1",
            "containers": [],
            "volumes": [v for v in template["spec"]["volumes"] if "emptyDir" not in v],
        },
        "status": {"phase": "Pending", "hostIP": "198.18.1.1"},
    }


def _reachable(server: ApiServer, job: Manifest) -> bool:
    """An external server is always there; our own once somebody leads."""
    request = json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    if request["provider"] == "External":
        return True
    return bool(annotation(server, job["metadata"]["namespace"], request["host"].split(".")[0], "leader"))
