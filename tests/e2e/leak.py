"""Looks for generated passwords and private keys everywhere that is not a Secret."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from demo.kubectl import CommandFailed, Kubectl

KINDS = (
    "checkpointstores,pods,statefulsets,deployments,replicasets,jobs,configmaps,services,endpoints,"
    "endpointslices,events,serviceaccounts,persistentvolumeclaims,poddisruptionbudgets,networkpolicies"
)


def secrets(kubectl: Kubectl, namespace: str) -> dict[str, str]:
    """What must not be seen, by the place where it belongs: passwords, and one line of each private key."""
    found: dict[str, str] = {}
    for secret in kubectl.items("secrets", "-n", namespace):
        for key, encoded in (secret.get("data") or {}).items():
            value = base64.b64decode(encoded).decode(errors="replace")
            place = f"{secret['metadata']['name']}/{key}"
            if "password" in key:
                found[place] = value
            elif "PRIVATE KEY" in value:
                found[place] = value.splitlines()[1]
    return found


def places(kubectl: Kubectl, namespaces: list[str]) -> Iterator[tuple[str, str]]:
    """Every text outside Secrets: objects, events, logs of every container, arguments of every process."""
    for namespace in namespaces:
        yield (
            f"objects of {namespace}",
            kubectl("get", KINDS, "-n", namespace, "-o", "yaml", "--show-managed-fields"),
        )
        for pod in kubectl.items("pods", "-n", namespace):
            name = pod["metadata"]["name"]
            for previous in ("false", "true"):
                yield f"log of {namespace}/{name}", logs(kubectl, namespace, pod, previous)
    for process in Path("/proc").glob("[0-9]*"):
        yield f"arguments of process {process.name}", read(process / "cmdline")


def logs(kubectl: Kubectl, namespace: str, pod: Mapping[str, Any], previous: str) -> str:
    """What each container of a pod said; empty where it has not started or has no earlier life."""
    said = []
    for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
        arguments = ["-n", namespace, "-c", container["name"], f"--previous={previous}"]
        try:
            said.append(kubectl("logs", pod["metadata"]["name"], *arguments))
        except CommandFailed:
            continue
    return "\n".join(said)


def read(path: Path) -> str:
    """A file of /proc, empty when its process has just ended."""
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def leaks(wanted: Mapping[str, str], found: Iterator[tuple[str, str]]) -> list[str]:
    """`what in where` for each secret that is seen, plain or in base64."""
    spellings = {
        what: (value, base64.b64encode(value.encode()).decode().rstrip("=")) for what, value in wanted.items() if value
    }
    return [
        f"{what} in {where}"
        for where, text in found
        for what, spelled in spellings.items()
        if any(spelling in text for spelling in spelled)
    ]
