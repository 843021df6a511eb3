"""What a CheckpointStore says about itself, read the way a person reads it."""

from collections.abc import Callable
from typing import Any

from demo.kubectl import Kubectl, NotInTime

Heard = Callable[[str], None]


def manifest(name: str, namespace: str, spec: dict[str, Any], kind: str = "CheckpointStore") -> dict[str, Any]:
    """A CheckpointStore to apply, or an object of another kind of its API."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "checkpointstore.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def backup(name: str, namespace: str, of: str, type_: str) -> dict[str, Any]:
    """A CheckpointBackup to apply: one of the store `of`; Full, Differential or Incremental."""
    return manifest(name, namespace, {"store": {"name": of}, "type": type_}, "CheckpointBackup")


def conditions(store: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The conditions by type."""
    listed = (store or {}).get("status", {}).get("conditions", [])
    return {condition["type"]: condition for condition in listed}


def described(store: dict[str, Any] | None) -> str:
    """One line a condition: what it is, since why, and what to do."""
    rows = [
        f"{kind:<20} {found['status']:<8} {found.get('reason', ''):<24} {found.get('message', '')}".rstrip()
        for kind, found in conditions(store).items()
    ]
    return "\n".join(rows) or "no conditions yet"


def is_ready(store: dict[str, Any] | None) -> bool:
    """Ready and at rest for the generation that was applied last."""
    if store is None:
        return False
    found = conditions(store)
    ready, busy = found.get("Ready", {}), found.get("Reconciling", {})
    return (
        ready.get("status") == "True"
        and busy.get("status") != "True"
        and ready.get("observedGeneration") == store["metadata"]["generation"]
    )


def wait_ready(
    kubectl: Kubectl, name: str, namespace: str, timeout: float, heard: Heard = lambda line: None
) -> dict[str, Any]:
    """Wait until a store is Ready; every condition is told to `heard` when it changes."""
    last: dict[str, str] = {}
    store: dict[str, Any] | None = None
    for store in kubectl.watch("checkpointstores", name, namespace, timeout):
        for kind, found in conditions(store).items():
            line = f"{kind}={found['status']} {found.get('reason', '')}: {found.get('message', '')}"
            if last.get(kind) != line:
                last[kind] = line
                heard(line)
        if is_ready(store):
            return store
    raise NotInTime(f"store {namespace}/{name} not Ready within {timeout:.0f} s:\n{described(store)}")


def primary(kubectl: Kubectl, name: str, namespace: str) -> str:
    """The pod that leads now, from the leader record that `-rw` follows."""
    leader = kubectl.get("endpoints", f"{name}-rw", "-n", namespace)
    return str(leader["metadata"]["annotations"].get("leader", ""))
