"""Numbers that must fit each other: connections, memory, quantities."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.features.pooler import slice as pooler
from checkpointstore.features.pooler.size import capacity, rest
from checkpointstore.features.pooler.spec import Pooler
from checkpointstore.kernel.compute import Resources
from checkpointstore.kernel.contribution import Database
from checkpointstore.kernel.values import mebibytes, quantity
from checkpointstore.providers.patroni import parameter
from checkpointstore.providers.patroni.parameter import RESERVED_CONNECTIONS
from tests.contract.default import canonical


def database(max_connections: int, reserved: int = RESERVED_CONNECTIONS) -> Database:
    return Database(
        provider="Patroni",
        host="agents-rw",
        port=5432,
        database="app",
        logins=("a", "b"),
        admin="admin",
        admin_version="",
        certificates=True,
        settled=True,
        measured=True,
        server_tls="verify-full",
        primary="agents-0",
        serving=True,
        max_connections=max_connections,
        reserved_connections=reserved,
        spare=0,
    )


@given(memory=st.integers(1, 1 << 20), old=st.integers(1, 20), new=st.integers(1, 20))
def test_poolers_of_two_revisions_together_leave_the_reserve_alone(memory: int, old: int, new: int) -> None:
    """During a roll-out the pods of the old size and those of the new one are all there (maxSurge 100%)."""
    server = database(parameter.max_connections(memory, {}))
    free = server.max_connections - server.reserved_connections
    taken = sum(rest(Pooler(instances=pods), capacity(server)).total for pods in (old, new))
    assert taken <= max(free, old + new)


@given(asked=st.integers(0, 1000), pods=st.integers(1, 20))
def test_every_pooler_has_a_connection_however_small_the_server(asked: int, pods: int) -> None:
    server = database(parameter.max_connections(1024, {"max_connections": str(asked)}))
    assert server.max_connections == asked
    assert rest(Pooler(instances=pods), capacity(server)).connections >= 1


@given(memory=st.integers(1, 1 << 20), storage=st.integers(0, 1 << 50), wanted=st.sampled_from(("", "50", "500")))
def test_parameters_fit_the_memory(memory: int, storage: int, wanted: str) -> None:
    """The server that the poolers reckon with is the one that runs, and every amount is positive."""
    asked = {"max_connections": wanted} if wanted else {}
    computed = parameter.parameters(memory, storage, asked)
    assert int(computed["max_connections"]) == parameter.max_connections(memory, asked)
    amounts = {name: int(text.removesuffix("MB")) for name, text in computed.items() if text.endswith("MB")}
    assert all(amount > 0 for amount in amounts.values())
    assert amounts["shared_buffers"] <= max(64, memory // 4)
    assert amounts["min_wal_size"] < amounts["max_wal_size"]


@pytest.mark.parametrize("name", ["max_connections", "Max_Connections", "MAX_CONNECTIONS"])
def test_the_poolers_reckon_with_the_parameter_that_the_server_gets_whatever_its_case(name: str) -> None:
    asked = {name: "300"}
    assert parameter.parameters(1024, 0, asked)["max_connections"] == "300"
    assert parameter.max_connections(1024, asked) == 300


def test_what_the_operator_owns_wins_and_the_user_overlays_the_rest() -> None:
    computed = parameter.parameters(1024, 10 << 30, {"Work_Mem": "1MB", "wal_level": "minimal"})
    assert computed["work_mem"] == "1MB"
    assert computed["wal_level"] == "logical"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", Decimal("0.5")),
        ("2Gi", Decimal(2 * 1024**3)),
        ("1.5Gi", Decimal(3 * 1024**3 // 2)),
        ("1M", Decimal(10**6)),
        (3, Decimal(3)),
        ("0", Decimal(0)),
    ],
)
def test_quantity(text: str | int, number: Decimal) -> None:
    assert quantity(text) == number
    assert quantity(canonical(text)) == number


@pytest.mark.parametrize("text", ["", "ten", "1 Gi", "-1", "1Gib", "0x10", "1e3"])
def test_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity such as 500m or 2Gi"):
        quantity(text)


def test_memory_is_the_limit_else_the_request_else_half_a_gigabyte() -> None:
    assert Resources(requests={"memory": "1Gi"}, limits={"memory": "2Gi"}).memory() == 2048
    assert Resources(requests={"memory": "1Gi"}).memory() == 1024
    assert Resources(requests={"cpu": 1}).memory() == 512
    assert mebibytes("1Mi") == 1
    assert mebibytes(2 * 1024 * 1024 - 1) == 1


@pytest.mark.parametrize(
    ("hibernated", "wanted", "there", "ready", "loaded", "reason"),
    [
        (False, 2, 2, 2, True, "Available"),
        (False, 2, 2, 2, False, "Reloading"),
        (False, 2, 2, 1, True, "RollingOut"),
        (False, 2, 2, 0, False, "NoPoolerReady"),
        (True, 0, 0, 0, False, "Hibernated"),
    ],
)
def test_the_poolers_condition(
    hibernated: bool, wanted: int, there: int, ready: int, loaded: bool, reason: str
) -> None:
    counted = {"observedGeneration": 1, "replicas": there, "updatedReplicas": there, "readyReplicas": ready}
    live = {"metadata": {"generation": 1}, "spec": {"replicas": wanted}, "status": counted}
    ready_pods, updated = pooler._count(live)
    pods = pooler._Pods({}, ready_pods, updated, release=False, waits=False, resizes=False)
    told = pooler._available(2, pods, updated, loaded, hibernated)
    assert told.reason == reason
    assert pooler._count(None) == (0, False)
