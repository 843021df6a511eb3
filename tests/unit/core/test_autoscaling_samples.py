"""What Prometheus says is believed only where it can be true."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pytest

from checkpointstore.features.pooler.load import (
    BUSY,
    CLIENTS,
    CONSOLE,
    COUNTERS,
    LENT,
    PROCESSOR,
    TRANSACTIONS,
    WAITED,
    WAITING,
    Load,
    Part,
    read,
    selector,
)
from checkpointstore.kernel.prometheus import Gap, Series

PODS = ("agents-pooler-a", "agents-pooler-b")
NOW = 10_000.0
# What each pod does: a gauge's value, or a counter's growth a second.
POOL = {"database": "app", "user": "app_a"}
RATES = {WAITING: 3.0, CLIENTS: 40.0, BUSY: 5.0, WAITED: 1.5, TRANSACTIONS: 50.0, LENT: 4.0, PROCESSOR: 0.25}


def series(name: str, pod: str, rate: float, labels: Mapping[str, str], pace: float = 15.0) -> Series:
    """Three samples, the last five seconds ago."""
    times = [NOW - 5 - pace * number for number in (2, 1, 0)]
    points = tuple((at, 1000 + rate * (at - times[0]) if name in COUNTERS else rate) for at in times)
    return Series(name, {"pod": pod, "namespace": "shop", **labels}, points)


def usual(pace: float = 15.0) -> list[Series]:
    """Two pods, each with the application's pool and PgBouncer's own."""
    found = []
    for pod in PODS:
        for name, rate in RATES.items():
            pool = {} if name == PROCESSOR else POOL
            found.append(series(name, pod, rate, pool, pace))
            if name != PROCESSOR:
                found.append(series(name, pod, 100.0, {"database": CONSOLE, "user": "monitoring"}, pace))
    return found


def changed(name: str, change: Callable[[Series], Iterable[Series]]) -> Load | Gap:
    """The load when one series of the first pod is replaced."""
    found = usual()
    at = next(i for i, item in enumerate(found) if item.name == name and item.labels["pod"] == PODS[0])
    found[at : at + 1] = change(found[at])
    return read(found, PODS, NOW)


def with_last(item: Series, value: float, later: float = 0.0) -> Series:
    at, _ = item.points[-1]
    return replace(item, points=(*item.points[:-1], (at + later, value)))


@pytest.mark.parametrize("pace", [1.0, 15.0, 60.0])
def test_the_load_of_all_pods_without_the_poolers_own(pace: float) -> None:
    load = read(usual(pace), PODS, NOW)
    assert isinstance(load, Load)
    assert load.since == NOW - 5 - pace
    told = (load.wait, load.waiting, load.clients, load.busy, load.busiest, load.present, load.processor, load.server)
    assert told == pytest.approx((0.03, 6.0, 86.0, 10.0, 5.0, 10.0, 0.5, None))


def points(*values: float) -> Callable[[Series], Iterable[Series]]:
    """The samples of a series, 15 seconds apart."""
    times = [NOW - 5 - 15.0 * number for number in reversed(range(len(values)))]
    return lambda item: [replace(item, points=tuple(zip(times, values, strict=True)))]


@pytest.mark.parametrize(
    ("values", "rise"),
    [
        ((0.0, 3.0, 6.0), 0.0),
        ((0.0, 3.0, 12.0), 0.4),
        ((0.0, 9.0, 12.0), -0.4),
        ((100.0, 0.0, 3.0, 12.0), 0.4),
        ((100.0, 3.0, 12.0), 0.0),
        ((3.0, 12.0), 0.0),
    ],
)
def test_how_much_more_of_the_processor_it_takes_than_before(values: tuple[float, ...], rise: float) -> None:
    """0 where it began anew in the interval before, or was not there; the other pod's is as it was."""
    load = changed(PROCESSOR, points(*values))
    assert isinstance(load, Load)
    assert load.rise == pytest.approx(rise)


def test_what_each_pod_has_of_it() -> None:
    found = [*usual(), series(CLIENTS, PODS[1], 7.0, {**POOL, "user": "app_b"})]
    load = read(found, PODS, NOW)
    assert isinstance(load, Load)
    assert load.parts == {PODS[0]: Part(43.0, 0.25), PODS[1]: Part(50.0, 0.25)}


def test_several_users_of_a_pod_are_added() -> None:
    found = [*usual(), series(BUSY, PODS[0], 7.0, {**POOL, "user": "app_b"})]
    load = read(found, PODS, NOW)
    assert isinstance(load, Load)
    assert (load.busy, load.busiest) == (17.0, 12.0)


def test_a_pooler_that_nobody_has_used_is_idle() -> None:
    own = [item for item in usual() if item.labels.get("database") != "app"]
    load = read(own, PODS, NOW)
    assert isinstance(load, Load)
    assert (load.wait, load.clients, load.busy) == (0.0, 0.0, 0.0)


def test_a_pool_that_has_just_begun_counts_from_its_second_sample_on() -> None:
    usual_pools = [item for item in usual() if item.labels.get("database") != "app"]
    young = [series(name, pod, rate, POOL) for pod in PODS for name, rate in RATES.items() if name != PROCESSOR]
    load = read([*usual_pools, *(replace(item, points=item.points[-1:]) for item in young)], PODS, NOW)
    assert isinstance(load, Load)
    assert (load.wait, load.waiting, load.busy) == (math.inf, 6.0, 10.0)


def test_a_series_that_has_stopped_while_others_of_its_pod_go_on_is_gone() -> None:
    """A pool that PgBouncer has dropped, or what another configuration of Prometheus has read."""
    old = {"database": "app", "user": "app_z"}
    gone = [series(name, pod, 500.0, old) for pod in PODS for name in RATES if name != PROCESSOR]
    stopped = [replace(item, points=tuple((at - 100, value) for at, value in item.points)) for item in gone]
    assert read([*usual(), *stopped], PODS, NOW) == read(usual(), PODS, NOW)


def test_clients_that_all_wait_have_waited_for_ever() -> None:
    stuck = [replace(item, points=tuple((at, 7.0) for at, _ in item.points)) for item in usual()]
    load = read(stuck, PODS, NOW)
    assert isinstance(load, Load)
    assert load.wait == math.inf


def test_two_prometheis_that_agree_are_one() -> None:
    twice = [replace(item, labels={**item.labels, "prometheus": "b"}) for item in usual()]
    assert read([*usual(), *twice], PODS, NOW) == read(usual(), PODS, NOW)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (PROCESSOR, lambda item: [], "SamplesMissing"),
        (PROCESSOR, lambda item: [replace(item, points=item.points[-1:])], "SamplesMissing"),
        (BUSY, lambda item: [replace(item, points=tuple((at - 46, v) for at, v in item.points))], "SamplesStale"),
        (BUSY, lambda item: [with_last(item, math.nan)], "SamplesContradictory"),
        (WAITED, lambda item: [with_last(item, math.inf)], "SamplesContradictory"),
        (CLIENTS, lambda item: [with_last(item, -1.0)], "SamplesContradictory"),
        (TRANSACTIONS, lambda item: [with_last(item, 3.0)], "SamplesContradictory"),
        (TRANSACTIONS, lambda item: [with_last(item, 9999.0, later=-15.0)], "SamplesContradictory"),
        (BUSY, lambda item: [with_last(item, 5.0, later=30.0)], "SamplesContradictory"),
        (BUSY, lambda item: [item, series(BUSY, PODS[0], 90.0, {**POOL, "job": "b"})], "SamplesContradictory"),
    ],
)
def test_what_cannot_be_is_not_believed(name: str, change: Callable[[Series], Iterable[Series]], reason: str) -> None:
    gap = changed(name, change)
    assert isinstance(gap, Gap)
    assert gap.reason == reason
    assert reason == "SamplesMissing" or name in gap.message
    assert PODS[0] in gap.message


def test_without_pods_there_is_nothing_to_tell() -> None:
    assert isinstance(read(usual(), (), NOW), Gap)


def test_the_question_names_each_pod_and_each_metric() -> None:
    text = selector("shop", PODS)
    assert 'namespace="shop"' in text
    assert 'pod=~"agents-pooler-a|agents-pooler-b"' in text
    assert all(name in text for name in RATES)
