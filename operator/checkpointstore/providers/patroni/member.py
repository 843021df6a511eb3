"""What Patroni says about itself: the leader record, and each member's own status annotation on its pod."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...kernel.command import RESTART
from ...kernel.env import Env
from ...kernel.naming import SHAPE
from ...kernel.observed import Observed, pod_ready
from .config import COMPONENT


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    ready: bool
    role: str
    state: str
    timeline: int
    pending_restart: bool
    shape: str
    image: str
    restarted: str
    """The restart command that it was started under."""
    node: str


def members(observed: Observed) -> tuple[Member, ...]:
    return tuple(_member(pod) for pod in observed.all("Pod", COMPONENT))


def _member(pod: Mapping[str, Any]) -> Member:
    meta = pod["metadata"]
    status = _json(meta.get("annotations", {}).get("status"))
    return Member(
        name=meta["name"],
        ready=pod_ready(pod),
        role=str(status.get("role", "")),
        state=str(status.get("state", "")),
        timeline=int(status.get("timeline", 0)),
        pending_restart=bool(status.get("pending_restart")),
        shape=str(meta.get("annotations", {}).get(SHAPE, "")),
        image=str(pod["spec"]["containers"][0]["image"]),
        restarted=str(meta.get("annotations", {}).get(RESTART, "")),
        node=str(pod.get("spec", {}).get("nodeName", "")),
    )


def _json(text: object) -> dict[str, Any]:
    try:
        value = json.loads(str(text or "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def leader(env: Env, observed: Observed) -> str:
    """The name in the leader record, or "" when nobody holds it."""
    record = observed.get("Endpoints", env.names.rw)
    return str((record or {"metadata": {}})["metadata"].get("annotations", {}).get("leader") or "")


def initialized(env: Env, observed: Observed) -> bool:
    """Whether a data directory has been made: Patroni has written its system identifier."""
    record = observed.get("Endpoints", f"{env.names.rw}-config")
    return bool((record or {"metadata": {}})["metadata"].get("annotations", {}).get("initialize"))
