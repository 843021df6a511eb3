"""Pieces of pod specs that every room's pods share: the restricted security context, volumes from secrets."""

from datetime import datetime
from typing import Any

USER = 10001
TOUCH_SECONDS = 10
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}


def secret_volume(name: str, secret: str, optional: bool = False) -> dict[str, Any]:
    # libpq and PostgreSQL refuse a key that others may read; root-owned and group-readable is what both accept.
    volume: dict[str, Any] = {"secretName": secret, "defaultMode": 0o440}
    return {"name": name, "secret": {**volume, "optional": True} if optional else volume}


def config_volume(name: str, config: str) -> dict[str, Any]:
    return {"name": name, "configMap": {"name": config}}


def scratch(name: str, size: str = "64Mi") -> dict[str, Any]:
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def mount(name: str, path: str, read_only: bool = False) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **({"readOnly": True} if read_only else {})}


def touch(annotation: str, value: str, now: datetime) -> tuple[str, str]:
    """An annotation that lets the kubelet refresh a pod's volumes, with a value that is another every TOUCH_SECONDS.

    The kubelet refreshes them from what it knows, for up to a minute after an outage of the API server the old Secret.
    """
    return annotation, f"{value}.{int(now.timestamp()) // TOUCH_SECONDS}"
