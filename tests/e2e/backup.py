"""Backups and recoveries as a person asks for them, and what is seen of them."""

from typing import Any

from demo import store
from demo.kubectl import Kubectl, wait_for
from tests.e2e.subject import Subject

SMALL: dict[str, Any] = {"postgres": {"storage": {"size": "2Gi"}}, "pooler": {"instances": 1}}
SECONDS = 90


def backups(subject: Subject) -> dict[str, dict[str, Any]]:
    """The status of each CheckpointBackup of the namespace, by its name."""
    found = subject.kubectl.items("checkpointbackups", "-n", subject.namespace)
    return {item["metadata"]["name"]: item.get("status", {}) for item in found}


def ask(subject: Subject, name: str, type_: str) -> None:
    """Ask for a backup."""
    subject.kubectl.apply(store.backup(name, subject.namespace, subject.name, type_))


def working(subject: Subject, component: str) -> str:
    """Wait for the pod that works on the repository; its uid."""

    def runs() -> str | None:
        for pod in subject.pods(component).values():
            statuses = pod["status"].get("containerStatuses", ())
            if any("running" in status["state"] for status in statuses):
                return str(pod["metadata"]["uid"])
        return None

    return wait_for(f"a pod of {component} to run", runs, SECONDS, every=0.1)


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
