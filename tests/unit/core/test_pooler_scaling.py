"""A pooler takes up the size that its load asks for: never above the server's budget, and no news for who watches."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.features.pooler import scaling
from checkpointstore.features.pooler import slice as pooler
from checkpointstore.features.pooler.size import Size, capacity, step
from checkpointstore.features.pooler.spec import Pooler
from checkpointstore.kernel.action import Manifest, Ref
from checkpointstore.kernel.compute import Resources
from checkpointstore.kernel.errors import Unavailable
from checkpointstore.kernel.naming import ADMITS
from checkpointstore.kernel.prometheus import PrometheusServer
from tests.contract.nature import tell
from tests.contract.world import World

from .invariant import at_rest
from .test_budget import database

AUTOSCALING = {"minInstances": 2, "maxInstances": 8, "prometheus": {"url": "http://prometheus:9090"}}
SPEC: dict[str, Any] = {"pooler": {"autoscaling": AUTOSCALING}}
# Half of what 100 connections leave to poolers.
BUDGET = capacity(database(100))
FOUR = {"postgres": {"parameters": {"max_connections": "100"}}, **SPEC}


def replicas(world: World) -> int:
    return int(world.need("Deployment", "agents-pooler")["spec"]["replicas"])


def loaded(world: World) -> list[int]:
    """Server connections that each pooler may use now."""
    return [console.connections for console in world.console._loaded.values() if console.connections]


def used(world: World) -> int:
    """Server connections of all pods that are there."""
    pods = {pod["metadata"]["uid"] for pod in world.server.all("Pod", None, {"app.kubernetes.io/component": "pooler"})}
    return sum(console.connections for uid, console in world.console._loaded.items() if uid in pods)


def pooled(world: World, spec: Mapping[str, Any] = FOUR, count: int = 2) -> list[Manifest]:
    """The pods of a store whose pooler has so many, of ten server connections each."""
    world.make(spec).settle()
    world.load_asks(count, 10).settle()
    return world.server.all("Pod", None, {"app.kubernetes.io/component": "pooler"})


def admitting(world: World) -> list[str]:
    """The pods that the Service sends new clients to, but for whether they are ready."""
    wanted = world.need("Service", "agents-pooler")["spec"]["selector"]
    return [pod["metadata"]["name"] for pod in world.server.all("Pod", None, wanted)]


def events(world: World) -> list[tuple[str, str]]:
    return [(item["reason"], item["message"]) for item in world.server.all("Event")]


def test_it_begins_with_half_of_the_budget() -> None:
    with World() as world:
        world.make(FOUR).settle()
        assert replicas(world) == 2
        assert loaded(world) == [BUDGET // 4] * 2
        assert world.states["AutoscalingLimited"] == ("Unknown", "Pending")
        assert world.states["Ready"] == ("True", "Serving")
        assert world.status["pooler"] == {
            "instances": 2,
            "readyInstances": 2,
            "desiredInstances": 2,
            "poolSize": 10,
            "desiredPoolSize": 10,
        }


def test_more_pods_come_after_the_others_have_become_smaller_and_nobody_is_alarmed() -> None:
    with World() as world:
        world.make(FOUR).settle()
        world.load_asks(2, 20).settle()
        assert (replicas(world), loaded(world)) == (2, [20, 20])
        world.load_asks(4, 10)
        for _ in range(30):
            world.look()
            assert world.states["Reconciling"][0] == "False", world.condition("Reconciling")
            assert world.states["PoolerAvailable"][0] == "True"
            world.tick()
            assert used(world) <= BUDGET
        assert (replicas(world), used(world)) == (4, 40)
        assert world.status["pooler"]["why"] == "Something was full"
        assert "lastScaleTime" in world.status["pooler"]
        told = [message for reason, message in events(world) if reason == "PoolerScaled"]
        assert told[-1] == (
            "4 pods of 10 server connections each, instead of 2 pods of 20 server connections: Something was full"
        )
        world.load_asks(2, 20).settle()
        assert (replicas(world), used(world)) == (2, 40)


def test_clients_of_a_full_pod_are_let_go_until_the_load_is_even() -> None:
    with World() as world:
        pods = pooled(world, count=4)
        full, roomy = pods[0], pods[1:]
        world.console.clients = {pod["metadata"]["uid"]: 300 for pod in pods[:2]}
        world.load_is_uneven([full["metadata"]["name"]], 150)
        world.look()
        assert world.console.clients[full["metadata"]["uid"]] == 300, "who went now could come back to it"
        assert admitting(world) == [pod["metadata"]["name"] for pod in roomy]
        world.look()
        assert world.states["Reconciling"] == ("False", "Converged")
        assert world.console.clients == {full["metadata"]["uid"]: 150, roomy[0]["metadata"]["uid"]: 300}
        # Some came back. Nobody is let go for it before the autoscaler has seen that.
        world.console.clients[full["metadata"]["uid"]] = 200
        world.look()
        assert world.console.clients[full["metadata"]["uid"]] == 200
        assert world.states["Reconciling"] == ("False", "Converged")
        assert len(admitting(world)) == 3
        told = [message for reason, message in events(world) if reason == "ClientsRebalanced"]
        assert told == [f"Idle clients of {full['metadata']['name']} connect anew: others have room"]
        world.load_asks(4, 10).look()
        assert len(admitting(world)) == 4
        assert world.look() == 0


def test_a_full_pod_takes_new_clients_where_no_other_is_ready() -> None:
    with World() as world:
        full, other = pooled(world)
        world.load_is_uneven([full["metadata"]["name"]], 150).look()
        assert admitting(world) == [other["metadata"]["name"]]
        tell(world.server, other, "Running", False)
        world.look()
        assert len(admitting(world)) == 2


def test_another_operator_lets_new_clients_come_to_every_pod_again() -> None:
    with World() as world:
        full, _ = pooled(world)
        world.load_is_uneven([full["metadata"]["name"]], 150).look()
        assert len(admitting(world)) == 1
        world.start_anew().look()
        assert len(admitting(world)) == 2


def test_pods_of_a_release_without_the_label_are_never_left_out() -> None:
    with World() as world:
        names = [pod["metadata"]["name"] for pod in pooled(world)]
        for name in names:
            world.edit("Pod", name, {"metadata": {"labels": {ADMITS: None}}})
        world.delete("Service", "agents-pooler").look()
        assert ADMITS not in world.need("Service", "agents-pooler")["spec"]["selector"]
        assert admitting(world) == names
        world.settle()
        assert ADMITS in world.need("Service", "agents-pooler")["spec"]["selector"]
        assert admitting(world) == names


def test_nobody_is_let_go_in_session_mode() -> None:
    with World() as world:
        pods = pooled(world, {"pooler": {**SPEC["pooler"], "poolMode": "Session"}})
        world.console.clients = {pod["metadata"]["uid"]: 300 for pod in pods}
        world.load_is_uneven([pods[0]["metadata"]["name"]], 150).settle()
        assert set(world.console.clients.values()) == {300}


def test_nobody_is_let_go_while_a_kubelet_does_not_tell_when_a_pooler_began() -> None:
    with World() as world:
        pods = pooled(world)
        world.console.clients = {pod["metadata"]["uid"]: 300 for pod in pods}
        tell(world.server, pods[0], "Running", True, containerStatuses=[])
        world.load_is_uneven([pods[0]["metadata"]["name"]], 150).settle()
        assert set(world.console.clients.values()) == {300}


def test_nobody_is_let_go_while_pods_are_replaced() -> None:
    """Their clients go anyway, and those that come have had none yet."""
    with World() as world:
        pods = pooled(world)
        world.console.clients = {pod["metadata"]["uid"]: 300 for pod in pods}
        resources = {"requests": {"cpu": "100m"}}
        world.change(pooler={**SPEC["pooler"], "resources": resources}).look()
        world.load_is_uneven([pods[0]["metadata"]["name"]], 150).settle()
        assert set(world.console.clients.values()) == {300}


def test_a_pooler_that_does_not_answer_keeps_nothing_else_from_being_done(caplog: pytest.LogCaptureFixture) -> None:
    with World() as world:
        pods = pooled(world)
        world.load_is_uneven([pods[0]["metadata"]["name"]], 1).look()
        world.delete("Service", "agents-ro")
        with patch.object(world.console, "rebalance", side_effect=Unavailable("no answer")):
            world.look()
        assert "not obeyed: no answer" in caplog.text
        assert world.need("Service", "agents-ro")


def test_another_operator_goes_on_with_the_size() -> None:
    with World() as world:
        world.make(FOUR).settle()
        world.load_asks(5, 8).settle()
        world.start_anew().settle()
        assert (replicas(world), used(world)) == (5, 40)
        order = world._actors.autoscaler._watched["shop/agents"]
        assert (order.given, order.settled, len(order.pods)) == (Size(5, 8), True, 5)
        assert order.changed > 0


@given(
    asks=st.lists(
        st.tuples(st.integers(1, 20), st.integers(1, 60), st.integers(0, 4), st.booleans()), min_size=1, max_size=5
    )
)
def test_whatever_is_asked_in_whatever_order_the_budget_holds(asks: list[tuple[int, int, int, bool]]) -> None:
    with World() as world:
        world.make(FOUR).settle()
        for instances, connections, passes, restart in asks:
            world.load_asks(instances, connections)
            for _ in range(passes):
                world.look()
                world.tick()
                assert used(world) <= BUDGET
            if restart:
                world.start_anew()
        for _ in range(20):
            world.look()
            world.tick()
            assert used(world) <= BUDGET
        world.settle()
        at_rest(world)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("WithinLimits", "False"),
        ("MaxInstancesReached", "True"),
        ("ServerConnectionsExhausted", "True"),
        ("PostgresSaturated", "True"),
        ("PrometheusUnreachable", "Unknown"),
    ],
)
def test_a_limit_is_told_and_changes_nothing_else(reason: str, status: str) -> None:
    with World() as world:
        world.make(FOUR).settle()
        world.load_asks(2, 5, reason, "what to do").settle()
        assert world.states["AutoscalingLimited"] == (status, reason)
        assert world.condition("AutoscalingLimited")["message"] == "what to do"
        assert world.status["phase"] == "Ready"
        assert world.states["Ready"] == ("True", "Serving")
        assert world.states["Stalled"][0] == "False"


def test_no_prometheus_is_told() -> None:
    with World() as world:
        world.make({"pooler": {"autoscaling": {}}}).settle()
        assert world.states["AutoscalingLimited"] == ("Unknown", "PrometheusMissing")
        assert "shop/agents" not in world._actors.autoscaler._watched


def test_a_fixed_number_and_back() -> None:
    with World() as world:
        world.make(FOUR).settle()
        world.load_asks(5, 8).settle()
        world.change(pooler={"autoscaling": None, "instances": 3}).settle()
        assert (replicas(world), used(world)) == (3, 39)
        assert "AutoscalingLimited" not in world.states
        assert "why" not in world.status["pooler"]
        assert "shop/agents" not in world._actors.autoscaler._watched
        world.change(pooler={"autoscaling": AUTOSCALING, "instances": None}).settle()
        assert replicas(world) == 3
        assert "AutoscalingLimited" in world.states


def test_who_changes_the_deployment_by_hand_is_undone() -> None:
    with World() as world:
        world.make(FOUR).settle()
        world.load_asks(3, 10).settle()
        world.edit("Deployment", "agents-pooler", {"spec": {"replicas": 7}}).settle()
        assert replicas(world) == 3


def test_a_paused_or_hibernated_pooler_is_not_looked_after() -> None:
    for command in ("paused", "hibernate"):
        with World() as world:
            world.make(FOUR).settle()
            assert "shop/agents" in world._actors.autoscaler._watched
            world.command(command, "true").settle()
            assert "shop/agents" not in world._actors.autoscaler._watched


def test_pgbouncer_uses_one_core_at_most() -> None:
    server = PrometheusServer(url="http://prometheus:9090")
    for limits, core in (({}, 1.0), ({"cpu": "250m"}, 0.25), ({"cpu": 4}, 1.0)):
        spec = Pooler(autoscaling={"prometheus": server}, resources=Resources(limits=limits))
        with World() as world:
            order = scaling.watch(
                spec, "shop", database(100), world.make().observed(), Size(2, 5), True, server, {"why": "x"}
            )
        assert order is not None
        assert order.rules.core == core


def test_no_pod_comes_while_another_leaves_with_what_it_once_had() -> None:
    """Two pods of forty leave while two of ten stay; a third of twenty would be too many with them."""
    given = Size(2, 10)
    assert step(Size(3, 20), given, [10, 10], present=4, capacity=100) == given
    assert step(Size(3, 10), given, [10, 10], present=4, capacity=100) == given
    assert step(Size(3, 20), given, [10, 10], present=2, capacity=100) == Size(3, 20)


def test_a_pod_on_a_node_that_does_not_answer_keeps_nobody_waiting() -> None:
    with World() as world:
        world.make(FOUR).settle()
        seen, live = world.observed(), world.need("Deployment", "agents-pooler")
        old = copy.deepcopy(seen.all("Pod", "pooler")[0])
        old["metadata"] |= {"name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        old["status"]["hostIP"] = "198.18.9.9"
        seen = replace(seen, objects={**seen.objects, Ref("Pod", "old"): old})
        for unreachable, given in ((frozenset[str](), Size(2, 10)), (frozenset({"198.18.9.9"}), Size(2, 20))):
            looked = replace(seen, unreachable=unreachable)
            assert pooler._given(Size(2, 20), looked, live, database(100), world.status["pooler"]) == given
