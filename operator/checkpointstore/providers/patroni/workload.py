"""The StatefulSet of the instances and its PodDisruptionBudget; the list of containers is fixed for good.

Backups and monitoring switch on inside containers that are always there, so that no feature restarts a database.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ...kernel.action import Manifest
from ...kernel.command import RESTART, Commands
from ...kernel.compute import placement
from ...kernel.env import Env
from ...kernel.naming import SHAPE, labels, selector
from ...kernel.pod import CONTAINER_SECURITY, POD_SECURITY, config_volume, mount, scratch, secret_volume
from ..spec import Postgres
from . import archive, departure, exporter
from .config import COMPONENT, DATABASE, PORT, REST_PORT, SCOPE_LABEL
from .parameter import SOCKET, TLS
from .place import CONFIG, DATA, REPOSITORY

FILESYSTEM_PORT = 9100
RELOAD = ["python3", "-c", "import os, signal; os.kill(1, signal.SIGHUP)"]
SCRAPE = {"prometheus.io/scrape": "true", "prometheus.io/port": str(exporter.PORT)}
"""For a Prometheus that finds pods by annotations; these know of one port a pod."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of the StatefulSet may lag behind the spec for a while: its pods and the size of its volumes."""

    replicas: int
    size: str


def statefulset(spec: Postgres, env: Env, delete_volumes: bool, commands: Commands, shape: Shape) -> Manifest:
    own = selector(env.name, COMPONENT)
    return env.object(
        "apps/v1",
        "StatefulSet",
        env.names.postgres,
        COMPONENT,
        spec={
            "serviceName": env.names.pods,
            "replicas": shape.replicas,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": own},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Delete" if delete_volumes else "Retain",
                "whenScaled": "Retain",
            },
            "template": {
                "metadata": {
                    "labels": {**labels(env.name, COMPONENT), SCOPE_LABEL: env.names.rw},
                    "annotations": {SHAPE: digest(spec, env, commands), RESTART: commands.restart, **SCRAPE},
                },
                "spec": _pod(spec, env),
            },
            "volumeClaimTemplates": [_volume_claim(spec, env, shape.size)],
        },
    )


def digest(spec: Postgres, env: Env, commands: Commands) -> str:
    """What of a pod is worth a restart: not what merely another release of the operator writes otherwise."""
    chosen = [env.images.postgres, spec.resources.manifest(), spec.scheduling.model_dump(mode="json"), commands.restart]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def first_volume(spec: Postgres, env: Env) -> Manifest:
    """The claim that the StatefulSet would make for its first instance, for whoever fills it before. Nobody owns it."""
    claim = _volume_claim(spec, env, str(spec.storage.size))
    meta = {**claim["metadata"], "name": env.names.volume(0), "namespace": env.namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim["spec"]}


def _volume_claim(spec: Postgres, env: Env, size: str) -> Manifest:
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    if spec.storage.storage_class_name is not None:
        claim["storageClassName"] = spec.storage.storage_class_name
    return {"metadata": {"name": "data", "labels": labels(env.name, COMPONENT)}, "spec": claim}


def _pod(spec: Postgres, env: Env) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "serviceAccountName": env.names.postgres,
        "securityContext": POD_SECURITY,
        "terminationGracePeriodSeconds": 60,
        "containers": [_postgres(spec, env), _pgbackrest(env), _exporter(env), _filesystem(env)],
        "volumes": [
            config_volume("config", env.names.postgres_config),
            secret_volume("tls", env.names.postgres_tls),
            # There once backups are configured; the pods are made for it from the start.
            secret_volume("repository", env.names.repository, optional=True),
            scratch("socket", "1Mi"),
            scratch("tmp"),
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
        ],
        **placement(spec.scheduling, selector(env.name, COMPONENT)),
    }
    if env.images.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in env.images.pull_secrets]
    return pod


def _postgres(spec: Postgres, env: Env) -> dict[str, Any]:
    field = {
        "POD_IP": "status.podIP",
        "PATRONI_NAME": "metadata.name",
        "PATRONI_KUBERNETES_NAMESPACE": "metadata.namespace",
    }
    return {
        "name": "postgres",
        "image": env.images.postgres,
        "command": ["patroni", f"{CONFIG}/patroni.yml"],
        "lifecycle": {"preStop": {"exec": {"command": ["python3", f"{CONFIG}/{departure.FILE}"]}}},
        "env": [
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in field.items()),
            {"name": "PATRONI_KUBERNETES_POD_IP", "value": "$(POD_IP)"},
            {"name": "PATRONI_POSTGRESQL_CONNECT_ADDRESS", "value": f"$(POD_IP):{PORT}"},
            # A name, not an address: members verify each other's certificate.
            {
                "name": "PATRONI_RESTAPI_CONNECT_ADDRESS",
                "value": f"$(PATRONI_NAME).{env.host(env.names.pods)}:{REST_PORT}",
            },
            {"name": "HOME", "value": "/tmp"},
        ],
        "ports": [
            {"name": "postgresql", "containerPort": PORT},
            {"name": "patroni", "containerPort": REST_PORT},
        ],
        "resources": spec.resources.manifest(),
        "securityContext": CONTAINER_SECURITY,
        "readinessProbe": _probe("/readiness", period=2, failures=3),
        # Patroni's own loop, not PostgreSQL: a server that is slow to recover must not be restarted for it.
        "livenessProbe": _probe("/liveness", period=10, failures=6),
        "volumeMounts": [
            mount("data", DATA),
            mount("config", CONFIG, read_only=True),
            mount("tls", TLS, read_only=True),
            mount("repository", REPOSITORY, read_only=True),
            mount("socket", SOCKET),
            mount("tmp", "/tmp"),
            mount("shm", "/dev/shm"),
        ],
    }


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": REST_PORT, "scheme": "HTTPS"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _pgbackrest(env: Env) -> dict[str, Any]:
    return {
        "name": "pgbackrest",
        "image": env.images.postgres,
        "command": [
            "pgbackrest",
            "server",
            f"--config={CONFIG}/{archive.FILE}",
            f"--config-include-path={REPOSITORY}",
        ],
        "ports": [{"name": "pgbackrest", "containerPort": archive.HOST_PORT}],
        # It reads its certificate and its configuration again when told to, and nobody else is there to tell it.
        "livenessProbe": {"exec": {"command": RELOAD}, "periodSeconds": 60, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            mount("data", DATA),
            mount("config", CONFIG, read_only=True),
            mount("tls", TLS, read_only=True),
            mount("repository", REPOSITORY, read_only=True),
            mount("socket", SOCKET),
            mount("tmp", "/tmp"),
        ],
    }


def _exporter(env: Env) -> dict[str, Any]:
    return {
        "name": "exporter",
        "image": env.images.postgres,
        "command": [
            "prometheus-postgres-exporter",
            f"--web.listen-address=:{exporter.PORT}",
            f"--extend.query-path={CONFIG}/{exporter.FILE}",
            "--collector.database_wraparound",
        ],
        "env": [{"name": "DATA_SOURCE_NAME", "value": _source()}],
        "ports": [{"name": "metrics", "containerPort": exporter.PORT}],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [mount("config", CONFIG, read_only=True), mount("socket", SOCKET)],
    }


def _source() -> str:
    """What is counted by table is counted in the database that the exporter is connected to."""
    timeout = 1000 * exporter.STATEMENT_SECONDS
    return f"host={SOCKET} user=monitoring dbname={DATABASE} sslmode=disable statement_timeout={timeout}"


def _filesystem(env: Env) -> dict[str, Any]:
    """Tells how full the volume is, and how busy the node: neither PostgreSQL nor Patroni nor the API server can be
    asked."""
    return {
        "name": "filesystem",
        "image": env.images.postgres,
        "command": [
            "prometheus-node-exporter",
            f"--web.listen-address=:{FILESYSTEM_PORT}",
            "--web.disable-exporter-metrics",
            "--collector.disable-defaults",
            "--collector.cpu",
            "--collector.filesystem",
            f"--collector.filesystem.mount-points-include=^{DATA}$",
            "--collector.filesystem.fs-types-exclude=^$",
        ],
        "ports": [{"name": "filesystem", "containerPort": FILESYSTEM_PORT}],
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [mount("data", DATA, read_only=True)],
    }


def disruption_budget(spec: Postgres, env: Env) -> Manifest:
    """At most one instance may be drained at a time; a lone instance may never be, so that nobody loses it unasked."""
    return env.object(
        "policy/v1",
        "PodDisruptionBudget",
        env.names.postgres,
        COMPONENT,
        spec={
            "maxUnavailable": 1 if spec.instances > 1 else 0,
            "selector": {"matchLabels": selector(env.name, COMPONENT)},
        },
    )
