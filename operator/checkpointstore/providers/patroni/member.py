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

NOTES = "status"
"""The annotation of an instance's pod in which Patroni tells of its server."""
FOLLOWED = frozenset(
    {
        "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions",
        "max_wal_senders",
        "max_worker_processes",
    }
)


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    ready: bool
    timeline: int
    pending_restart: bool
    lowers: bool
    """The restart lowers what a standby must not have lower than its primary: the primary goes first."""
    leaving: bool
    address: str
    shape: str
    image: str
    restarted: str
    """The restart command that it was started under."""


def members(observed: Observed) -> tuple[Member, ...]:
    return tuple(_member(pod) for pod in observed.all("Pod", COMPONENT))


def _member(pod: Mapping[str, Any]) -> Member:
    meta = pod["metadata"]
    status = notes(pod)
    return Member(
        name=meta["name"],
        ready=pod_ready(pod),
        timeline=int(status.get("timeline", 0)),
        pending_restart=bool(status.get("pending_restart")),
        lowers=_lowers(status.get("pending_restart_reason")),
        leaving="deletionTimestamp" in meta,
        address=str(pod.get("status", {}).get("podIP", "")),
        shape=str(meta.get("annotations", {}).get(SHAPE, "")),
        image=str(pod["spec"]["containers"][0]["image"]),
        restarted=str(meta.get("annotations", {}).get(RESTART, "")),
    )


def notes(pod: Mapping[str, Any]) -> dict[str, Any]:
    """What Patroni says of the server in its pod; empty where it says nothing that can be read."""
    try:
        said = json.loads(str((pod["metadata"].get("annotations") or {}).get(NOTES, "{}")))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _lowers(reasons: object) -> bool:
    """Whether a pending restart lowers one of the five settings that a standby keeps at its primary's value."""
    if not isinstance(reasons, Mapping):
        return False
    values = [reason for name, reason in reasons.items() if name in FOLLOWED and isinstance(reason, Mapping)]
    return any(_number(value.get("new_value")) < _number(value.get("old_value")) for value in values)


def _number(text: object) -> int:
    return int(str(text)) if str(text).isdigit() else 0


def leader(env: Env, observed: Observed) -> str:
    """The name in the leader record, or "" when nobody holds it."""
    record = observed.get("Endpoints", env.names.rw)
    return str((record or {"metadata": {}})["metadata"].get("annotations", {}).get("leader") or "")


def synchronous(env: Env, observed: Observed) -> frozenset[str]:
    """The standbys that Patroni would let take over, as they have all that was acknowledged."""
    record = observed.get("Endpoints", f"{env.names.rw}-sync")
    names = str((record or {"metadata": {}})["metadata"].get("annotations", {}).get("sync_standby") or "")
    return frozenset(name for name in names.split(",") if name)


def initialized(env: Env, observed: Observed) -> bool:
    """Whether a data directory has been made: Patroni has written its system identifier."""
    record = observed.get("Endpoints", f"{env.names.rw}-config")
    return bool((record or {"metadata": {}})["metadata"].get("annotations", {}).get("initialize"))
