"""The Jobs that work on a repository: programs of ours in the store's own image, which has pgBackRest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...kernel.action import Manifest
from ...kernel.compute import Resources
from ...kernel.env import Env
from ...kernel.job import PROGRESS
from ...kernel.job import spec as job_spec
from ...kernel.naming import labels
from ...kernel.observed import Observed
from ...kernel.pod import CONTAINER_SECURITY, POD_SECURITY, mount, scratch, secret_volume
from .repository import FOLDER

SMALL = Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "256Mi"})
"""For who only talks to the object store."""
DATA = "/var/lib/postgresql/data"
PROGRAM = "/program"
CERTIFICATES = "/etc/checkpointstore"


@dataclass(frozen=True, slots=True)
class Work:
    """One Job: what it runs, on what, and for how long."""

    program: str
    """backup, look, restore or verify: a module of the package `repository`."""
    component: str
    request: Mapping[str, Any]
    repository: str
    """The Secret with pgBackRest's configuration."""
    image: str
    resources: Resources
    seconds: int
    """After so long it is given up."""
    tries: int = 3
    data: Mapping[str, Any] | None = None
    """The volume for a data directory, as in a pod's spec without its name."""
    certificates: Mapping[str, str] | None = None
    """Secrets with client certificates, by the folder they are mounted to."""
    placement: Mapping[str, Any] | None = None


def job(env: Env, name: str, work: Work) -> Manifest:
    """A Job that ends with the outcome as its pod's termination message."""
    certificates = dict(work.certificates or {})
    mounts = [
        mount("program", PROGRAM, read_only=True),
        mount("repository", FOLDER, read_only=True),
        mount("tmp", "/tmp"),
        *(mount(folder, f"{CERTIFICATES}/{folder}", read_only=True) for folder in certificates),
        *((mount("data", DATA),) if work.data else ()),
    ]
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        # Killed anywhere it is begun again: there is nothing to wait for.
        "terminationGracePeriodSeconds": 5,
        "initContainers": [_program(env)],
        "containers": [_main(work, mounts)],
        "volumes": [
            scratch("program", "16Mi"),
            secret_volume("repository", work.repository),
            # The queue of WAL that is fetched ahead.
            scratch("tmp", "1Gi"),
            *(secret_volume(folder, secret) for folder, secret in certificates.items()),
            *(({"name": "data", **work.data},) if work.data else ()),
        ],
        **(work.placement or {}),
    }
    if env.images.pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in env.images.pull_secrets]
    spec = job_spec(pod, labels(env.name, work.component), work.tries)
    return env.object("batch/v1", "Job", name, work.component, spec={**spec, "activeDeadlineSeconds": work.seconds})


def _program(env: Env) -> dict[str, Any]:
    """Brings the program along, as the image may be another's and has nothing of ours."""
    return {
        "name": "program",
        "image": env.images.operator,
        "args": ["job", "program", PROGRAM],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [mount("program", PROGRAM)],
    }


def _main(work: Work, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    environment = {
        "CHECKPOINTSTORE_JOB": json.dumps(work.request, sort_keys=True),
        "PYTHONPATH": PROGRAM,
        "HOME": "/tmp",
    }
    return {
        "name": work.program,
        "image": work.image,
        "command": ["python3", "-m", f"repository.{work.program}"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "ports": [{"name": "progress", "containerPort": PROGRESS}],
        "resources": work.resources.manifest(),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": mounts,
    }


def image(env: Env, observed: Observed) -> str:
    """What the instances run: pgBackRest talks to no other version of itself than its own."""
    pods = observed.all("Pod", "postgres")
    return str(pods[0]["spec"]["containers"][0]["image"]) if pods else env.images.postgres
