"""The autoscaler looks at every pooler by itself, is never held up by one, and tells a store only what is news."""

import asyncio
import base64
import time
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from checkpointstore.adapters.prometheus import Access
from checkpointstore.features.pooler.decision import State
from checkpointstore.features.pooler.load import COUNTERS, GAUGES, Load, Part
from checkpointstore.features.pooler.scaling import Watch
from checkpointstore.features.pooler.size import Size
from checkpointstore.kernel.errors import Refused, Unavailable
from checkpointstore.kernel.prometheus import PrometheusServer, Series
from checkpointstore.runtime import autoscaler
from checkpointstore.runtime.autoscaler import Autoscaler
from tests.unit.core.load import RULES

WHO = "shop/agents"
ORDER = Watch(
    namespace="shop",
    pods=frozenset({"a", "b"}),
    primary="agents-0",
    server=PrometheusServer(url="http://prometheus:9090"),
    rules=RULES,
    given=Size(2, 5),
    settled=True,
    changed=0.0,
    why="because",
)


class Prometheus:
    """Says what it is told to say, or raises."""

    def __init__(self) -> None:
        self.busy, self.waiting, self.error = 1.0, 0.0, None
        self.asked: list[Access] = []
        self.hang = asyncio.Event()
        self.hang.set()

    async def samples(self, access: Access, query: str) -> tuple[Series, ...]:
        self.asked.append(access)
        await self.hang.wait()
        if self.error:
            raise self.error
        now = time.time()
        levels = {"pgbouncer_pools_client_waiting_connections": self.waiting}
        levels["pgbouncer_pools_server_active_connections"] = self.busy
        found = []
        for pod in ORDER.pods:
            for name in GAUGES | COUNTERS:
                growth = 10 * self.waiting if "wait_seconds" in name else 0.1
                last = levels.get(name, 1.0) if name in GAUGES else 1.0 + growth
                found.append(Series(name, {"pod": pod, "database": "app"}, ((now - 15, 1.0), (now, last))))
        return tuple(found)

    async def value(self, access: Access, query: str) -> float | None:
        assert 'pod="agents-0"' in query
        return 0.3


class Secrets:
    def __init__(self, **values: Mapping[str, str]) -> None:
        self.values, self.reads = values, 0

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        self.reads += 1
        assert (kind, namespace) == ("Secret", "shop")
        found = self.values.get(name)
        if found is None:
            return None
        return {"data": {key: base64.b64encode(text.encode()).decode() for key, text in found.items()}}


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> Prometheus:
    fake = Prometheus()
    monkeypatch.setattr(autoscaler, "prometheus", SimpleNamespace(samples=fake.samples, value=fake.value))
    return fake


def made(secrets: Secrets | None = None) -> tuple[Autoscaler, list[str]]:
    told: list[str] = []
    return Autoscaler(secrets or Secrets(), told.append), told  # type: ignore[arg-type]


def look(scaler: Autoscaler, order: Watch = ORDER) -> None:
    scaler.watch(WHO, order)
    asyncio.run(scaler._look(WHO, order))


def reason(scaler: Autoscaler) -> str:
    scale = scaler.scale(WHO)
    assert scale is not None
    return scale.reason


def crowd(scaler: Autoscaler) -> tuple[frozenset[str], float, bool]:
    """Which pods are full while others have room, since when that was seen, and whether somebody is to go for it."""
    scale = scaler.scale(WHO)
    assert scale is not None
    return scale.crowded, scale.seen, scale.due


def test_every_interval_that_shows_a_crowd_is_news_once(
    prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is at work now is let go another time."""
    scaler, told = made()
    scaler.rebalanced(WHO, 0.0)
    look(scaler)
    parts = {"a": Part(300, 0.9), "b": Part(10, 0.1)}
    reads = iter([10.0, 10.0, 20.0, 39.9, 40.0, 40.0])

    def read(*_: object) -> Load:
        return Load(next(reads), 0.0, 0.0, 310, 1, 1, 1, 1, 1.0, parts=parts)

    def rebalanced(seen: float, now: float = 30.0) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(autoscaler, "time", SimpleNamespace(time=lambda: now))
            scaler.rebalanced(WHO, seen)

    monkeypatch.setattr(autoscaler, "read", read)
    for _ in range(3):
        look(scaler)
    scale = scaler.scale(WHO)
    assert scale is not None
    assert (scale.crowded, scale.most, scale.seen, scale.due) == (frozenset("a"), 155, 20.0, True)
    assert len(told) == 3
    rebalanced(20.0)
    look(scaler)
    assert crowd(scaler) == (frozenset("a"), 20.0, False), "what moving them costs is no load"
    look(scaler)
    assert crowd(scaler) == (frozenset("a"), 40.0, True)
    rebalanced(20.0)
    assert crowd(scaler) == (frozenset("a"), 40.0, True), "what was done for an older interval leaves the newer one"
    rebalanced(40.0, 52.0)
    look(scaler)
    assert crowd(scaler) == (frozenset("a"), 40.0, False)
    assert len(told) == 4


def test_a_first_look_and_a_change_are_news_and_nothing_else_is(prometheus: Prometheus) -> None:
    scaler, told = made()
    assert scaler.scale(WHO) is None
    look(scaler)
    look(scaler)
    assert (told, reason(scaler)) == ([WHO], "WithinLimits")
    prometheus.busy, prometheus.waiting = 5.0, 30.0
    look(scaler)
    scale = scaler.scale(WHO)
    assert scale is not None
    assert (scale.instances, scale.connections, told) == (2, 20, [WHO, WHO])
    # The store has not taken it up: nothing is decided on what is known no better.
    asked = len(prometheus.asked)
    look(scaler)
    assert len(prometheus.asked) == asked
    look(scaler, replace(ORDER, given=Size(2, 20), settled=False))
    assert len(prometheus.asked) == asked + 1


def test_a_new_operator_goes_on_with_what_the_status_says(prometheus: Prometheus) -> None:
    scaler, _ = made()
    look(scaler, replace(ORDER, given=Size(2, 12), changed=77.0))
    scale = scaler.scale(WHO)
    assert scale is not None
    assert (scale.instances, scale.connections, scale.changed, scale.why) == (2, 12, 77.0, "because")


def test_other_bounds_are_taken_over(prometheus: Prometheus) -> None:
    scaler, _ = made()
    look(scaler)
    scaler._states[WHO] = State(Size(8, 5))
    look(scaler, replace(ORDER, given=Size(2, 7)))
    scale = scaler.scale(WHO)
    assert scale is not None
    assert (scale.instances, scale.connections) == (2, 7)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable("nobody"), "PrometheusUnreachable"),
        (Refused("PrometheusRefuses", "no"), "PrometheusRefuses"),
        (RuntimeError("unforeseen"), "SamplesContradictory"),
    ],
)
def test_what_goes_wrong_is_told(prometheus: Prometheus, error: Exception, told: str) -> None:
    scaler, _ = made()
    prometheus.error = error  # type: ignore[assignment]
    look(scaler)
    assert reason(scaler) == told


def test_a_pod_that_is_not_ready_is_told(prometheus: Prometheus) -> None:
    scaler, _ = made()
    look(scaler, replace(ORDER, pods=frozenset({"a"})))
    assert reason(scaler) == "SamplesMissing"
    assert prometheus.asked == []


def test_what_was_decided_on_an_older_order_is_dropped(prometheus: Prometheus) -> None:
    scaler, told = made()

    async def overtaken() -> None:
        prometheus.hang.clear()
        scaler.watch(WHO, ORDER)
        slow = asyncio.create_task(scaler._look(WHO, ORDER))
        await asyncio.sleep(0)
        scaler.watch(WHO, replace(ORDER, given=Size(3, 5)))
        prometheus.hang.set()
        await slow

    asyncio.run(overtaken())
    assert told == []
    scaler.clear()
    assert scaler.scale(WHO) is None
    assert scaler._watched == {}


def test_one_that_hangs_keeps_nobody_waiting(prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "PERIOD", 0.01)
    scaler, told = made(Secrets(other={"token": "t"}))
    hangs = replace(ORDER, server=PrometheusServer(url="http://hangs:9090"))
    answers = prometheus.samples

    async def samples(access: Access, query: str) -> tuple[Series, ...]:
        if "hangs" in access.url:
            await asyncio.Event().wait()
        return await answers(access, query)

    monkeypatch.setattr(autoscaler, "prometheus", SimpleNamespace(samples=samples, value=prometheus.value))

    async def both() -> None:
        scaler.watch("shop/hangs", hangs)
        scaler.watch(WHO, ORDER)
        task = asyncio.create_task(scaler.keep())
        while len(prometheus.asked) < 3:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(both(), 10))
    assert told == [WHO]


TLS = {"ca": {"name": "ca", "key": "ca.crt"}}


@pytest.mark.parametrize(
    ("server", "secrets", "access"),
    [
        ({"auth": "s"}, {"s": {"token": "a token\n"}}, {"token": "a token"}),
        ({"auth": "s"}, {"s": {"username": "me", "password": "w"}}, {"login": ("me", "w")}),
        ({"tls": TLS}, {"ca": {"ca.crt": "PEM"}}, {"ca": "PEM"}),
    ],
)
def test_secrets_are_read_and_kept_for_a_while(
    prometheus: Prometheus, server: dict[str, Any], secrets: dict[str, dict[str, str]], access: dict[str, Any]
) -> None:
    held = Secrets(**secrets)
    scaler, _ = made(held)
    order = replace(ORDER, server=spec(server))
    look(scaler, order)
    look(scaler, order)
    assert prometheus.asked == [Access("https://p", **access)] * 2
    assert held.reads == 1
    look(scaler, replace(ORDER, server=spec({**server, "url": "https://q"})))
    assert held.reads == 2


def spec(server: dict[str, Any]) -> PrometheusServer:
    auth = {"auth": {"secretRef": {"name": server["auth"]}}} if "auth" in server else {}
    return PrometheusServer.model_validate({"url": "https://p", **server, **auth})


@pytest.mark.parametrize(
    ("server", "secrets", "told"),
    [
        ({"auth": "s"}, {}, "SecretMissing"),
        ({"auth": "s"}, {"s": {"username": "me"}}, "SecretIncomplete"),
        ({"tls": TLS}, {"ca": {"other": "PEM"}}, "SecretIncomplete"),
    ],
)
def test_what_a_secret_lacks_is_told(
    prometheus: Prometheus, server: dict[str, Any], secrets: dict[str, dict[str, str]], told: str
) -> None:
    scaler, _ = made(Secrets(**secrets))
    look(scaler, replace(ORDER, server=spec(server)))
    assert reason(scaler) == told
    assert prometheus.asked == []
