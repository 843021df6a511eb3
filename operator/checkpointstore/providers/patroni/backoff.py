"""Instances whose next start the kubelet puts off, up to five minutes, though their last life was long: made anew."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Delete, Emit, Ref
from ...kernel.observed import Observed
from .config import COMPONENT

LIVED = timedelta(seconds=30)
"""Who has lived for so long does not fail as it starts: it was killed, and may start at once as often as it is."""


def renewed(observed: Observed) -> tuple[Action, ...]:
    """The kubelet forgets how often it has started a container only with its pod."""
    return tuple(action for pod in observed.all("Pod", COMPONENT) for action in _renewed(pod))


def _renewed(pod: Mapping[str, Any]) -> Iterator[Action]:
    meta, statuses = pod["metadata"], pod.get("status", {}).get("containerStatuses", ())
    server: Mapping[str, Any] = next((item for item in statuses if item["name"] == COMPONENT), {})
    waits = server.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
    last = server.get("lastState", {}).get("terminated")
    if not waits or not last or "deletionTimestamp" in meta or (lived := _lived(last)) < LIVED:
        return
    how = f"{last.get('reason', 'Error')}, exit code {last.get('exitCode')}"
    message = f"{meta['name']} ended after {lived.total_seconds():.0f} s ({how}): a new pod, as the kubelet would wait"
    yield Emit("Warning", "InstanceEnded", message)
    yield Delete(Ref("Pod", meta["name"]))


def _lived(terminated: Mapping[str, Any]) -> timedelta:
    began, ended = (terminated.get(key) for key in ("startedAt", "finishedAt"))
    return datetime.fromisoformat(ended) - datetime.fromisoformat(began) if began and ended else timedelta()
