"""What is told of a store beyond whether it works: thresholds, and what its server should be given."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore import reconcile
from checkpointstore.features.monitoring.advice import Day, Server, connections, memory
from checkpointstore.features.monitoring.finding import Told, Watch, find
from checkpointstore.features.monitoring.question import Whose
from checkpointstore.features.monitoring.spec import Thresholds
from checkpointstore.features.monitoring.threshold import Side, Threshold, covered, judge
from checkpointstore.kernel.observed import Findings
from checkpointstore.kernel.prometheus import Gap, PrometheusServer
from tests.contract.world import NAMESPACE, PLATFORM, World

NOW = 10_000.0
MIB = 1024 * 1024
LIMITS = Thresholds(writes_per_second=100, p99="5ms", storage_days_left=30)
SERVER = Server(memory=1024, buffers=256, of_a_connection=8, connections=128, exhausted=False)
WATCH = Watch(
    whose=Whose("shop", "agents-[0-9]+", "/var/lib/postgresql"),
    prometheus=PrometheusServer(url="http://prometheus:9090"),
    thresholds=LIMITS,
    exceeded=frozenset(),
    server=SERVER,
)
WELL = {"writesPerSecond": 50.0, "p99": 0.001, "storageDaysLeft": 400.0}
UNKNOWN = Day()
SPEC: dict[str, Any] = {
    "pooler": {"autoscaling": {"prometheus": {"url": "http://prometheus.monitoring:9090"}}},
    "monitoring": {"thresholds": {"writesPerSecond": 100, "storageDaysLeft": 30}},
}


def points(*values: float, step: float = 15.0, age: float = 5.0) -> tuple[tuple[float, float], ...]:
    last = NOW - age
    return tuple((last - step * (len(values) - 1 - number), value) for number, value in enumerate(values))


def steady(value: float) -> tuple[tuple[float, float], ...]:
    return points(*[value] * 40)


def told(day: Day = UNKNOWN, **changes: Any) -> Told:
    series = {**{name: steady(value) for name, value in WELL.items()}, **changes}
    return Told(series, 41.7, day)


# Thresholds


@given(st.lists(st.floats(0, 200), min_size=1, max_size=60), st.booleans(), st.sampled_from(Side))
def test_one_reading_never_changes_what_all_others_say(values: list[float], before: bool, side: Side) -> None:
    threshold = Threshold("x", 100.0, side)
    after = judge(threshold, values, before)
    beyond = [value > 100 if side is Side.ABOVE else value < 100 for value in values]
    if all(beyond):
        assert after
    elif not any(beyond):
        assert not after
    else:
        assert after is before


@given(st.lists(st.floats(0, 200), min_size=2, max_size=300), st.integers(2, 20))
def test_at_a_constant_crossing_it_does_not_flap(values: list[float], window: int) -> None:
    """Between two changes all readings of a window have been on the other side."""
    threshold, state, changes = Threshold("x", 100.0, Side.ABOVE), False, []
    for end in range(window, len(values) + 1):
        after = judge(threshold, values[end - window : end], state)
        if after != state:
            changes.append(end)
        state = after
    assert all(later - earlier >= window for earlier, later in itertools.pairwise(changes))


def test_a_time_is_covered_by_most_of_its_readings_and_a_fresh_one() -> None:
    assert covered(points(*[1.0] * 32), 600, 15, NOW)
    assert not covered(points(*[1.0] * 31), 600, 15, NOW)
    assert covered(points(*[1.0] * 40, age=135), 600, 15, NOW)
    assert not covered(points(*[1.0] * 40, age=136), 600, 15, NOW)
    # Prometheus puts readings at whole steps, so the newest may be as old as one.
    assert covered(points(*[1.0] * 40, step=2160, age=2159), 86400, 2160, NOW)
    assert not covered((), 600, 15, NOW)


# Findings


def test_what_is_beyond_its_threshold_all_the_time_is_exceeded_and_nothing_else_is() -> None:
    assert find(WATCH, told(), None, NOW).exceeded == frozenset()
    assert find(WATCH, told(writesPerSecond=steady(101)), None, NOW).exceeded == {"writesPerSecond"}
    assert find(WATCH, told(p99=steady(0.006)), None, NOW).exceeded == {"p99"}
    assert find(WATCH, told(storageDaysLeft=steady(29)), None, NOW).exceeded == {"storageDaysLeft"}
    spike = points(*[50.0] * 20, 500.0, *[50.0] * 19)
    assert find(WATCH, told(writesPerSecond=spike), None, NOW).exceeded == frozenset()


def test_what_was_exceeded_stays_so_until_it_is_kept_for_as_long() -> None:
    falling = told(writesPerSecond=points(*[150.0] * 10, *[50.0] * 30))
    before = find(WATCH, told(writesPerSecond=steady(150)), None, NOW)
    assert find(WATCH, falling, before, NOW).exceeded == {"writesPerSecond"}
    assert find(WATCH, falling, None, NOW).exceeded == frozenset(), "nobody knew of it"
    fresh = replace(WATCH, exceeded=frozenset({"writesPerSecond"}))
    assert find(fresh, falling, None, NOW).exceeded == {"writesPerSecond"}, "the status knew"
    assert find(fresh, told(), before, NOW).exceeded == frozenset()


def test_a_threshold_that_the_spec_has_no_more_is_not_exceeded() -> None:
    before = Findings(exceeded=frozenset({"p99", "writesPerSecond"}))
    fewer = replace(WATCH, thresholds=Thresholds(writes_per_second=100))
    assert find(fewer, Gap("PrometheusUnreachable", "away"), before, NOW).exceeded == {"writesPerSecond"}
    none = replace(WATCH, thresholds=None)
    assert find(none, Told({}, None, Day()), before, NOW) == Findings(looked=True, connections=128)
    assert none.series() == {}


def test_what_cannot_be_told_stays_as_it_was_and_says_so() -> None:
    before = find(WATCH, told(p99=steady(1), day=Day(database=1.0, read_share=0.0)), None, NOW)
    gone = find(WATCH, Gap("PrometheusUnreachable", "away"), before, NOW)
    assert gone.exceeded == {"p99"}
    assert (gone.reason, gone.message) == ("PrometheusUnreachable", "away")
    assert (gone.days, gone.memory, gone.connections) == (41.7, 512, 128)
    missing = find(WATCH, told(p99=(), storageDaysLeft=points(1.0)), before, NOW)
    assert missing.exceeded == {"p99"}
    assert missing.reason == "SamplesMissing"
    assert "judge p99, storageDaysLeft" in missing.message
    assert "10m" in missing.message
    assert find(WATCH, told(p99=()), None, NOW).exceeded == frozenset()


def test_readings_are_no_closer_than_scrapes_and_never_too_many() -> None:
    assert WATCH.step == 15
    long = replace(WATCH, thresholds=Thresholds(writes_per_second=1, sustained_for="2h"))
    assert long.step == 180
    assert set(long.series()) == {"writesPerSecond"}
    assert long.series()["writesPerSecond"].endswith("[7200s:180s]")
    assert replace(WATCH, thresholds=None).step == 15


# Advice


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (Day(), None),
        (Day(database=400.0 * MIB), None),
        (Day(database=400.0 * MIB, read_share=0.02, read_seconds=0.001), 2048),
        (Day(database=400.0 * MIB, read_share=0.02, read_seconds=0.00005), 1024),  # the kernel's own copy is quick
        (Day(database=400.0 * MIB, read_share=0.02), 1024),
        (Day(database=200.0 * MIB, read_share=0.02, read_seconds=0.001), 1024),  # it fits: read once after a start
        (Day(database=400.0 * MIB, read_share=0.005, read_seconds=0.001), 1024),
        (Day(database=60.0 * MIB, read_share=0.0), 512),
        (Day(database=float("nan"), read_share=float("nan")), 1024),
        (Day(database=70.0 * MIB, read_share=0.0), 1024),
        (Day(database=60.0 * MIB, read_share=0.002), 1024),
    ],
)
def test_memory_by_what_comes_from_the_disk(day: Day, expected: int | None) -> None:
    assert memory(SERVER, day) == expected


def test_memory_is_never_less_than_the_least_nor_than_connections_need() -> None:
    idle = Day(database=1.0, read_share=0.0)
    assert memory(Server(512, 128, 8, 60, False), idle) == 512
    assert memory(Server(700, 175, 8, 60, False), idle) == 512
    assert memory(Server(256, 64, 8, 60, False), idle) == 256
    assert memory(Server(1024, 256, 8, 128, True), Day(database=100.0 * MIB, read_share=0.0)) == 200 * 8


def test_connections_by_how_many_were_in_use() -> None:
    assert connections(SERVER, Day()) == 128
    assert connections(SERVER, Day(connections=102.0)) == 128
    assert connections(SERVER, Day(connections=103.0)) == 200
    assert connections(Server(1024, 256, 8, 100, True), Day()) == 150


# In the plan


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.make(SPEC).settle()
        yield made


def planned(world: World, findings: Findings | None) -> reconcile.Plan:
    seen = replace(world.observed(), findings=findings)
    return reconcile.plan(world.store(), seen, PLATFORM, world.server.now)


def condition(plan: reconcile.Plan) -> tuple[str, str, str] | None:
    found = [item for item in plan.conditions if item.type == "ThresholdsExceeded"]
    return (found[0].status.value, found[0].reason, found[0].message) if found else None


def test_it_is_told_as_a_condition_a_status_and_an_event(world: World) -> None:
    assert condition(planned(world, None)) == ("Unknown", "Pending", "Nothing has been looked at yet")
    calm = planned(world, Findings(looked=True, days=41.7, memory=2048, connections=128))
    assert condition(calm) == ("False", "WithinThresholds", "No threshold is exceeded")
    assert calm.status["monitoring"] == {
        "exceeded": [],
        "storageDaysLeft": 42,
        "recommended": {"memory": "2048Mi", "connections": 128},
    }
    assert not calm.actions
    both = planned(world, Findings(exceeded=frozenset({"writesPerSecond", "storageDaysLeft"})))
    assert condition(both) == (
        "True",
        "StorageRunsOut",
        "At the pace of the last days a volume is full in less than 30 days; for 10m, more than 100 rows a second were "
        "written",
    )
    (event,) = both.actions
    assert (event.type, event.reason) == ("Warning", "ThresholdExceeded")  # type: ignore[union-attr]
    assert {item.type: item.status.value for item in both.conditions}["Ready"] == "True"
    assert {item.type: item.status.value for item in both.conditions}["Reconciling"] == "False"


def test_what_has_been_told_is_no_news_and_what_has_gone_is(world: World) -> None:
    known = {"status": {"monitoring": {"exceeded": ["storageDaysLeft", "writesPerSecond"]}}}
    world.server.patch("CheckpointStore", NAMESPACE, "agents", known, subresource="status")
    assert not planned(world, Findings(exceeded=frozenset({"writesPerSecond", "storageDaysLeft"}))).actions
    (event,) = planned(world, Findings(exceeded=frozenset({"storageDaysLeft"}))).actions
    assert (event.type, event.reason) == ("Normal", "ThresholdKept")  # type: ignore[union-attr]
    assert event.message == "Within its threshold again: writesPerSecond"  # type: ignore[union-attr]


def test_a_threshold_that_is_exceeded_stands_though_prometheus_is_away(world: World) -> None:
    away = Findings(reason="PrometheusUnreachable", message="away")
    assert condition(planned(world, away)) == ("Unknown", "PrometheusUnreachable", "away")
    exceeded = condition(planned(world, replace(away, exceeded=frozenset({"writesPerSecond"}))))
    assert exceeded is not None
    assert exceeded[:2] == ("True", "TooManyWrites")
    assert exceeded[2].endswith("So it was when it could last be told: away")


def test_an_operator_that_has_just_begun_goes_on_with_what_was_told(world: World) -> None:
    known = {"status": {"monitoring": {"exceeded": ["writesPerSecond", "p99"], "storageDaysLeft": 9}}}
    world.server.patch("CheckpointStore", NAMESPACE, "agents", known, subresource="status")
    begun = planned(world, None)
    assert condition(begun) == ("True", "TooManyWrites", "For 10m, more than 100 rows a second were written")
    assert not begun.actions
    assert begun.monitors
    assert begun.monitors.exceeded == {"writesPerSecond"}, "the spec has the other no more"
    away = planned(world, Findings(exceeded=frozenset({"writesPerSecond"}), reason="PrometheusUnreachable"))
    assert away.status["monitoring"] == {"exceeded": ["writesPerSecond"]}, "the rest stays as it was"


@pytest.mark.parametrize(
    ("days", "shown"), [(None, None), (3650.0, None), (1234.0, 1200), (99.6, 100), (0.4, 0), (9.7, 9)]
)
def test_days_have_two_digits(world: World, days: float | None, shown: int | None) -> None:
    assert planned(world, Findings(looked=True, days=days)).status["monitoring"]["storageDaysLeft"] == shown


def test_without_thresholds_only_recommendations_are_told(world: World) -> None:
    world.change(monitoring=None).settle()
    plan = planned(world, Findings(memory=512, connections=60))
    assert condition(plan) is None
    assert plan.status["monitoring"]["exceeded"] is None
    assert plan.monitors is not None
    assert plan.monitors.thresholds is None


def test_without_a_prometheus_it_says_so_and_looks_at_nothing() -> None:
    with World() as world:
        world.make({"monitoring": SPEC["monitoring"]}).settle()
        plan = planned(world, Findings(memory=512))
        assert condition(plan) == (
            "Unknown",
            "PrometheusMissing",
            "No Prometheus is known: set spec.pooler.autoscaling.prometheus.url, or the operator's prometheus.url",
        )
        assert plan.monitors is None
        assert "monitoring" not in plan.status


def test_days_count_to_what_volumes_may_grow_to() -> None:
    with World() as world:
        storage = {"size": "10Gi", "autogrow": {"limit": "30Gi"}}
        world.expand().make({**SPEC, "postgres": {"storage": storage}}).settle()
        watched = planned(world, None).monitors
        assert watched
        assert watched.whose.room == 20 * 1024 * MIB
        world.change(postgres={"storage": {"autogrow": None}}).settle()
        watched = planned(world, None).monitors
        assert watched
        assert watched.whose.room == 0


def test_nobody_looks_after_what_does_not_run(world: World) -> None:
    world.command("hibernate", "true").settle()
    assert planned(world, None).monitors is None
    assert condition(planned(world, None)) is None
    known = {"status": {"monitoring": {"storageDaysLeft": 3}}}
    world.server.patch("CheckpointStore", NAMESPACE, "agents", known, subresource="status")
    assert planned(world, None).status["monitoring"] is None


def test_an_external_server_is_watched_by_its_owner() -> None:
    with World() as world:
        world.rds().make({"postgres": {"provider": "External", "external": {"secretRef": {"name": "rds"}}}}).settle()
        assert planned(world, None).monitors is None


def test_the_poolers_that_could_use_more_connections_ask_for_them(world: World) -> None:
    plan = planned(world, None)
    assert plan.monitors is not None
    assert plan.monitors.server == Server(1024, 256, 8, 128, False)
    assert plan.monitors.whose.pods == "agents-[0-9]+"
