"""Backups and recoveries as a person asks for them, and what is seen of them."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo import store
from demo.kubectl import Kubectl, wait_for
from localcluster.objectstore import BUCKET, LOCAL
from tests.e2e.subject import Subject, stamp

SMALL: dict[str, Any] = {"postgres": {"storage": {"size": "2Gi"}}, "pooler": {"instances": 1}}
SECONDS = 180
# One file of WAL is 16 MiB: one is full every three or four seconds, and the table does not grow.
WAL = "SELECT pg_logical_emit_message(false, 'filling', repeat('x', 8000000))"


def backups(subject: Subject) -> dict[str, dict[str, Any]]:
    """The status of each CheckpointBackup of the store, by its name."""
    found = subject.kubectl.items("checkpointbackups", "-n", subject.namespace)
    own = (item for item in found if item["spec"]["store"]["name"] == subject.name)
    return {item["metadata"]["name"]: item.get("status", {}) for item in own}


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
    kubectl: Kubectl,
    namespace: str,
    name: str,
    source: dict[str, Any],
    target: dict[str, Any] | None = None,
    **spec: Any,
) -> Subject:
    """Apply a new store that begins with a backup's data; `spec` is what else it has."""
    subject = Subject(kubectl, namespace, name)
    subject.apply({**SMALL, **spec, "bootstrap": {"recovery": {"source": source, "recoveryTarget": target or {}}}})
    return subject


def repository(subject: Subject, folder: str) -> Path:
    """Its place below a folder of the bucket, on this host."""
    uid = str(subject.seen()["metadata"]["uid"])
    return LOCAL.data / BUCKET / folder / subject.namespace / subject.name / uid


def prove(subject: Subject) -> str:
    """Have the newest backup proven; the request, for `proven`."""
    asked = stamp()
    subject.command("verify-backup", asked)
    return asked


def proven(subject: Subject, asked: str, seconds: float = 180) -> str:
    """What BackupVerified says once that verification is over: before, it tells of the last one."""

    def ended() -> bool:
        known = subject.seen()["status"]["backup"].get("verification", {})
        return known.get("asked") == asked and not known.get("begun")

    wait_for("the verification to end", ended, seconds, every=1)
    return str(subject.condition("BackupVerified")["reason"])


def flip(path: Path) -> Callable[[], None]:
    """Turn one bit of a file; gives what turns it back."""
    place, bit = random.randrange(path.stat().st_size), 1 << random.randrange(8)

    def turn() -> None:
        with path.open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ bit]))

    turn()
    return turn


def stored(subject: Subject, folder: str, label: str) -> Path:
    """A file of a backup that holds the database's data."""
    files = [path for path in (repository(subject, folder) / "backup/main" / label).rglob("*") if path.is_file()]
    return random.choice([path for path in files if not path.name.startswith("backup.manifest")])


def default_class(kubectl: Kubectl) -> str:
    """The StorageClass of claims that name none."""
    marked = "storageclass.kubernetes.io/is-default-class"
    found = kubectl.items("storageclasses")
    return next(str(item["metadata"]["name"]) for item in found if marked in item["metadata"].get("annotations", {}))
