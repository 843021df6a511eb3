"""Whoever has run and was killed starts at once, however often; whoever fails as it starts is put off as ever."""

from typing import Any

import pytest

from tests.contract.nature import tell
from tests.contract.world import World

KILLED = {"reason": "OOMKilled", "exitCode": 137}
LONG = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:30Z"}
SHORT = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:29Z"}


def ended(world: World, last: dict[str, Any], waiting: str = "CrashLoopBackOff") -> str:
    """The server of agents-0 has ended so; gives its pod's uid."""
    state = {"waiting": {"reason": waiting}}
    statuses = [
        {"name": "exporter", "state": {"running": {}}},
        {"name": "postgres", "state": state, "lastState": {"terminated": last} if last else {}},
    ]
    pod = world.need("Pod", "agents-0")
    tell(world.server, pod, "Running", False, containerStatuses=statuses)
    return str(pod["metadata"]["uid"])


def test_a_new_pod_for_who_had_lived() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}}).settle()
        uid = ended(world, {**KILLED, **LONG})
        world.settle()
        assert world.need("Pod", "agents-0")["metadata"]["uid"] != uid
        told = [item["message"] for item in world.server.all("Event") if item["reason"] == "InstanceEnded"]
        assert told == ["agents-0 ended after 30 s (OOMKilled, exit code 137): a new pod, as the kubelet would wait"]


@pytest.mark.parametrize(
    ("last", "waiting"),
    [
        ({**KILLED, **SHORT}, "CrashLoopBackOff"),
        ({**KILLED, **LONG}, "ContainerCreating"),
        (KILLED, "CrashLoopBackOff"),
        ({}, "CrashLoopBackOff"),
    ],
)
def test_nobody_else_gets_one(last: dict[str, Any], waiting: str) -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}}).settle()
        uid = ended(world, last, waiting)
        world.look()
        pod = world.need("Pod", "agents-0")
        assert pod["metadata"]["uid"] == uid
        assert "deletionTimestamp" not in pod["metadata"]


def test_who_leaves_is_deleted_once() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}}).settle()
        ended(world, {**KILLED, **LONG})
        world.look()
        world.look()
        assert [item["reason"] for item in world.server.all("Event")].count("InstanceEnded") == 1
