"""What the operator is told by its environment; every variable is set by the chart."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..kernel.env import Images, Platform
from ..kernel.errors import Refused

PREFIX = "CHECKPOINTSTORE_"


@dataclass(frozen=True, slots=True)
class Settings:
    namespaces: tuple[str, ...]
    """Namespaces to serve; every one when empty."""
    platform: Platform
    log_level: str
    own_namespace: str
    own_name: str


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises Refused("BadEnvironment") naming the variable that is missing."""
    return Settings(
        namespaces=tuple(name for name in environ.get(f"{PREFIX}NAMESPACES", "").split(",") if name),
        platform=Platform(
            images=Images(
                postgres=_needed(environ, "IMAGE_POSTGRES"),
                pgbouncer=_needed(environ, "IMAGE_PGBOUNCER"),
                operator=_needed(environ, "IMAGE_OPERATOR"),
            ),
            cluster_domain=environ.get(f"{PREFIX}CLUSTER_DOMAIN") or "cluster.local",
            namespace=environ.get("POD_NAMESPACE", "default"),
            prometheus=environ.get(f"{PREFIX}PROMETHEUS_URL", ""),
        ),
        log_level=environ.get(f"{PREFIX}LOG_LEVEL", "info").upper(),
        own_namespace=environ.get("POD_NAMESPACE", "default"),
        own_name=environ.get("POD_NAME", "by-hand"),
    )


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(PREFIX + name, "")
    if not value:
        raise Refused("BadEnvironment", f"{PREFIX}{name} is not set")
    return value
