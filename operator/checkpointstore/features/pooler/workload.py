"""The pooler's pods, their Service and their PodDisruptionBudget."""

from typing import Any

from ...kernel.action import Manifest
from ...kernel.compute import Scheduling, placement
from ...kernel.env import Env
from ...kernel.hold import COMPONENT
from ...kernel.naming import ADMITS, AUTHORITY, YES, labels, selector
from ...kernel.observed import Observed
from ...kernel.pod import CONTAINER_SECURITY, POD_SECURITY, mount, scratch, secret_volume
from .configuration import CONFIG, PID_FILE, PORT, SOCKET
from .spec import Pooler

CONTAINER = "pgbouncer"
EXPORTER_PORT = 9127
# The exporter ends where PgBouncer does not listen yet, which would be told as a restart.
EXPORTER = (
    f"until [ -S {SOCKET}/.s.PGSQL.{PORT} ]; do sleep 0.1; done; exec prometheus-pgbouncer-exporter "
    f"--web.listen-address=:{EXPORTER_PORT} --pgBouncer.pid-file={PID_FILE}"
)


def deployment(spec: Pooler, env: Env, observed: Observed, replicas: int) -> Manifest:
    own = selector(env.name, COMPONENT)
    authority = observed.secrets.get(env.names.authority)
    annotations = {
        **({AUTHORITY: authority.uid} if authority else {}),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(EXPORTER_PORT),
    }
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        # The exporter reads how busy PgBouncer's process is.
        "shareProcessNamespace": True,
        "securityContext": POD_SECURITY,
        # The pause in preStop, then the longest transaction that a client may still finish.
        "terminationGracePeriodSeconds": 60,
        "containers": [_pgbouncer(spec, env), _exporter(env)],
        "volumes": [
            secret_volume("config", env.names.pooler),
            scratch("tmp"),
        ],
        **placement(Scheduling(), own),
    }
    if env.images.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in env.images.pull_secrets]
    return env.object(
        "apps/v1",
        "Deployment",
        env.names.pooler,
        COMPONENT,
        spec={
            "replicas": replicas,
            # All new pods first: a client that is let go must not land on another old pod.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
            "selector": {"matchLabels": own},
            "template": {
                "metadata": {"labels": {**labels(env.name, COMPONENT), ADMITS: YES}, "annotations": annotations},
                "spec": pod,
            },
        },
    )


def _pgbouncer(spec: Pooler, env: Env) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": env.images.pgbouncer,
        "command": ["pgbouncer", f"{CONFIG}/pgbouncer.ini"],
        "ports": [{"name": "postgresql", "containerPort": PORT}],
        "resources": spec.resources.manifest(),
        "securityContext": CONTAINER_SECURITY,
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "failureThreshold": 1},
        # The endpoint is gone everywhere before SIGINT, the image's stop signal, lets clients go between transactions.
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
        "volumeMounts": [
            mount("config", CONFIG, read_only=True),
            mount("tmp", SOCKET),
        ],
    }


def _exporter(env: Env) -> dict[str, Any]:
    return {
        "name": "exporter",
        "image": env.images.pgbouncer,
        "command": ["sh", "-c", EXPORTER],
        "env": [
            {
                "name": "PGBOUNCER_EXPORTER_CONNECTION_STRING",
                "value": f"postgres://monitoring@:{PORT}/pgbouncer?host={SOCKET}&sslmode=disable",
            }
        ],
        "ports": [{"name": "metrics", "containerPort": EXPORTER_PORT}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [mount("tmp", SOCKET)],
    }


def service(env: Env, observed: Observed) -> Manifest:
    pods = (pod["metadata"] for pod in observed.all("Pod", COMPONENT) if "deletionTimestamp" not in pod["metadata"])
    # Those of an earlier release are given the label first.
    admits = {ADMITS: YES} if all(ADMITS in meta["labels"] for meta in pods) else {}
    return env.object(
        "v1",
        "Service",
        env.names.pooler,
        COMPONENT,
        spec={
            "selector": {**selector(env.name, COMPONENT), **admits},
            "ports": [{"name": "postgresql", "port": PORT, "targetPort": PORT}],
        },
    )


def disruption_budget(env: Env) -> Manifest:
    return env.object(
        "policy/v1",
        "PodDisruptionBudget",
        env.names.pooler,
        COMPONENT,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selector(env.name, COMPONENT)}},
    )
