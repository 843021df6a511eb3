"""The operator's pods: which of them works, and how it is killed and comes back."""

from typing import Any

from demo import installation
from demo.kubectl import Kubectl, wait_for
from tests.e2e import process

BACK_SECONDS = 90
SIGKILLED = 137


def leader(kubectl: Kubectl) -> dict[str, Any] | None:
    """The pod that holds the Lease and is ready, None between two."""
    name = installation.holder(kubectl)
    pod = kubectl.find("pod", name, installation.NAMESPACE) if name else None
    serving = pod is not None and "deletionTimestamp" not in pod["metadata"] and container(pod).get("ready")
    return pod if serving else None


def wait_leader(kubectl: Kubectl) -> dict[str, Any]:
    """Wait for the pod that works."""
    return wait_for("an operator that leads", lambda: leader(kubectl), BACK_SECONDS)


def container(pod: dict[str, Any]) -> dict[str, Any]:
    """The status of the pod's only container, empty before it has one."""
    found: list[dict[str, Any]] = pod["status"].get("containerStatuses") or [{}]
    return found[0]


def life(pod: dict[str, Any]) -> tuple[str, int]:
    """Which life the operator leads: another pod, or another start, is another life."""
    return pod["metadata"]["uid"], int(container(pod).get("restartCount", 0))


def kill(pod: dict[str, Any]) -> None:
    """SIGKILL the pod's processes: without a word, and with the Lease still its own."""
    assert process.kill(pod["metadata"]["uid"]) > 0, "the operator's process is not on this host"


def wait_successor(kubectl: Kubectl, killed: dict[str, Any]) -> dict[str, Any]:
    """Wait until an operator leads again after a kill; the killed one, started again, or another."""

    def back() -> dict[str, Any] | None:
        replace_waiting(kubectl)
        found = leader(kubectl)
        return found if found is not None and life(found) != life(killed) else None

    return wait_for("an operator that leads after the kill", back, BACK_SECONDS)


def replace_waiting(kubectl: Kubectl) -> None:
    """Delete the pods whose next start the kubelet puts off, up to five minutes: a new one starts at once."""
    for pod in kubectl.items("pods", "-n", installation.NAMESPACE, "-l", "app.kubernetes.io/component=operator"):
        status = container(pod)
        waits = status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
        if waits and "deletionTimestamp" not in pod["metadata"]:
            ended = status.get("lastState", {}).get("terminated", {})
            # One that finds no API server when it starts ends too.
            assert ended.get("exitCode", SIGKILLED) in (1, SIGKILLED), f"the operator ended by itself: {ended}"
            where = ["-n", installation.NAMESPACE, "--ignore-not-found", "--wait=false"]
            kubectl("delete", "pod", pod["metadata"]["name"], *where)


def scale(kubectl: Kubectl, replicas: int) -> None:
    """So many pods, no more and no less."""
    where = ["-n", installation.NAMESPACE]
    kubectl("scale", "deployment", installation.OPERATOR, f"--replicas={replicas}", *where)
    chosen = ["-l", installation.PODS, *where]
    wait_for(f"{replicas} operator pods", lambda: len(kubectl.items("pods", *chosen)) == replicas, 90)
    kubectl("rollout", "status", f"deployment/{installation.OPERATOR}", *where)
