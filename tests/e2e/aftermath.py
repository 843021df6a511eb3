"""What a person would look at first when a test has failed, while the cluster is still as it was."""

from collections.abc import Iterator

from demo import store
from demo.kubectl import CommandFailed, Kubectl

JOBS = "app.kubernetes.io/component in (backup, recovery, verification, schema)"
OPERATOR = "app.kubernetes.io/component=operator"
LINES = 20
PODS = 4


def told(kubectl: Kubectl) -> str:
    """The stores' conditions, pods, warnings, and the last words of the newest Jobs and of the operator."""
    try:
        return "\n\n".join(_told(kubectl))
    except CommandFailed as error:
        return f"the cluster does not answer: {error}"


def _told(kubectl: Kubectl) -> Iterator[str]:
    for item in kubectl.items("cps", "-A"):
        recovery = item.get("status", {}).get("recovery", "")
        yield f"{item['metadata']['namespace']}/{item['metadata']['name']} {recovery}\n{store.described(item)}"
    yield kubectl("get", "pods,pvc", "-A", "-o", "wide")
    yield _end(kubectl("get", "events", "-A", "--field-selector=type=Warning", "--sort-by=.lastTimestamp"))
    for chosen in (JOBS, OPERATOR):
        found = sorted(kubectl.items("pods", "-A", "-l", chosen), key=lambda pod: pod["metadata"]["creationTimestamp"])
        for pod in found[-PODS:]:
            yield _log(kubectl, pod["metadata"]["namespace"], pod["metadata"]["name"])


def _log(kubectl: Kubectl, namespace: str, pod: str) -> str:
    try:
        return f"log of {pod}:\n{kubectl('logs', pod, '-n', namespace, f'--tail={LINES}')}"
    except CommandFailed as error:
        return f"log of {pod}: {error}"


def _end(text: str) -> str:
    return "\n".join(text.splitlines()[-LINES:])
