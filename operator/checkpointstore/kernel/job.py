"""Jobs as the plan sees them: what those of the operator's image are, what they end with, what their pods said last."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .action import Manifest
from .env import Env
from .naming import labels
from .observed import Observed
from .pod import CONTAINER_SECURITY, POD_SECURITY, mount, scratch, secret_volume

PROGRESS = 9102
"""The port that a Job tells at how far it is."""
SECRETS = "/etc/checkpointstore"
"""The folder that Secrets are mounted below."""
MEMORY = "256Mi"
REFUSED = 64
"""The exit code of a Job that Kubernetes need not try again: a person has to act first."""


def finished(job: Manifest | None, type_: str) -> datetime | None:
    """When the Job reached the condition `type_` (Complete or Failed), or None."""
    for item in (job or {}).get("status", {}).get("conditions", ()):
        if item.get("type") == type_ and item.get("status") == "True":
            return datetime.fromisoformat(str(item.get("lastTransitionTime")))
    return None


def outcome(observed: Observed, component: str, job: str) -> dict[str, Any]:
    """What the Job's newest pod that said something wrote as its termination message: a JSON object, or {}."""
    for pod in pods(observed, component, job):
        for status in pod.get("status", {}).get("containerStatuses", ()):
            if found := _read(status.get("state", {}).get("terminated", {}).get("message")):
                return found
    return {}


def pods(observed: Observed, component: str, job: str) -> list[Manifest]:
    """The Job's pods, the newest first."""
    found = [
        pod
        for pod in observed.all("Pod", component)
        if pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job
    ]
    return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)


def of_operator(
    env: Env,
    name: str,
    component: str,
    request: str,
    secrets: Mapping[str, str],
    tries: int,
    memory: str = MEMORY,
) -> dict[str, Any]:
    """A Job of the operator's own program, `job COMPONENT`; the rest is as for its pod."""
    pod = {"restartPolicy": "Never", **pod_of_operator(env, component, ["job", component], request, secrets, memory)}
    return env.object("batch/v1", "Job", name, component, spec=spec(pod, labels(env.name, component), tries))


def pod_of_operator(
    env: Env, component: str, arguments: Sequence[str], request: str, secrets: Mapping[str, str], memory: str = MEMORY
) -> dict[str, Any]:
    """The spec of a pod of the operator's own program.

    `request` is the JSON that it reads from its environment; `secrets` are the Secrets that it reads, by the name below
    /etc/checkpointstore that each is mounted at; `memory` is its limit.
    """
    container = {
        "name": component,
        "image": env.images.operator,
        "args": [*arguments],
        "env": [{"name": "CHECKPOINTSTORE_JOB", "value": request}, {"name": "HOME", "value": "/tmp"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": memory}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            *(mount(place, f"{SECRETS}/{place}", read_only=True) for place in secrets),
            mount("tmp", "/tmp"),
        ],
    }
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "containers": [container],
        "volumes": [*(secret_volume(place, secret) for place, secret in secrets.items()), scratch("tmp")],
    }
    if env.images.pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in env.images.pull_secrets]
    return pod


def spec(pod: Mapping[str, Any], labels: Mapping[str, str], tries: int) -> dict[str, Any]:
    """A Job's spec: `tries` more after the first, and none once a pod ends with REFUSED.

    With a podFailurePolicy the next pod comes when the one before has ended, so that never two work at once.
    """
    refused = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [REFUSED]}}
    return {
        "backoffLimit": tries,
        "podFailurePolicy": {"rules": [refused]},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }


def _read(message: str | None) -> dict[str, Any]:
    try:
        value = json.loads(message) if message else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
