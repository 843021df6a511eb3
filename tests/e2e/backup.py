"""Backups and recoveries as a person asks for them, and what is seen of them."""

from typing import Any

from demo.kubectl import Kubectl
from tests.e2e.subject import Subject

SMALL: dict[str, Any] = {"postgres": {"storage": {"size": "2Gi"}}, "pooler": {"instances": 1}}
SECONDS = 90


def backups(subject: Subject) -> dict[str, dict[str, Any]]:
    """The status of each CheckpointBackup of the namespace, by its name."""
    found = subject.kubectl.items("checkpointbackups", "-n", subject.namespace)
    return {item["metadata"]["name"]: item.get("status", {}) for item in found}


def ask(subject: Subject, name: str, type_: str) -> None:
    """Ask for a backup."""
    meta = {"name": name, "namespace": subject.namespace}
    what = {"apiVersion": "checkpointstore.dev/v1alpha1", "kind": "CheckpointBackup", "metadata": meta}
    subject.kubectl.apply({**what, "spec": {"store": {"name": subject.name}, "type": type_}})


def made(subject: Subject, name: str, seconds: int = SECONDS) -> dict[str, Any]:
    """Wait until a backup has succeeded; its status."""
    where = [f"cpb/{name}", "-n", subject.namespace]
    subject.kubectl("wait", *where, "--for=condition=Succeeded", f"--timeout={seconds}s", timeout=seconds + 30)
    return backups(subject)[name]


def back_up(subject: Subject, name: str, type_: str) -> dict[str, Any]:
    """Ask for a backup and wait for its end; its status."""
    ask(subject, name, type_)
    return made(subject, name)


def recover(
    kubectl: Kubectl, namespace: str, name: str, source: dict[str, Any], target: dict[str, Any] | None = None
) -> Subject:
    """Apply a new store that begins with a backup's data."""
    subject = Subject(kubectl, namespace, name)
    subject.apply({**SMALL, "bootstrap": {"recovery": {"source": source, "recoveryTarget": target or {}}}})
    return subject
