"""Whether applications feel a run, from what the server counts of their statements."""

import math
import random

import pytest

from checkpointstore.features.retention.pressure import FEWEST, Spent, between, felt
from checkpointstore.jobs.pace import Pace


def spent(durations: list[float]) -> Spent:
    return Spent(len(durations), sum(durations), sum(one**2 for one in durations))


def even(seconds: float, calls: int = 1000) -> Spent:
    return spent([seconds] * calls)


@pytest.mark.parametrize("spread", [0.2, 0.5, 1.0])
def test_the_99th_percentile_is_near_what_durations_have(spread: float) -> None:
    chance = random.Random(1)
    durations = [0.002 * math.exp(chance.gauss(0, spread)) for _ in range(20_000)]
    assert spent(durations).p99 == pytest.approx(sorted(durations)[19_800], rel=0.1)


@pytest.mark.parametrize("of", [even(0.002, FEWEST - 1), Spent(FEWEST, 0, 0), Spent(0, 0, 0), Spent(-100, -1, -1)])
def test_a_few_runs_tell_nothing(of: Spent) -> None:
    assert of.p99 is None


def test_one_outlier_is_not_worth_more_than_the_formula_can_say() -> None:
    p99 = spent([0.001] * 1000 + [100.0]).p99
    assert p99 is not None
    assert p99 < 2


def test_twice_as_long_as_usual_is_felt() -> None:
    usual = {"get": even(0.002), "put": even(0.002, 100_000)}
    assert not felt(usual, {"get": even(0.0039), "put": even(0.0039)})
    assert felt(usual, {"get": even(0.0041), "put": even(0.0039)})
    assert felt(usual, {"get": even(0.0039), "put": even(0.0041)})


def test_what_is_new_or_rare_or_was_forgotten_is_not_felt() -> None:
    slow = {"put": even(0.9)}
    assert not felt({}, slow)
    assert not felt({"put": even(0.002)}, {})
    assert not felt({"put": even(0.002, FEWEST - 1)}, slow), "of too few nobody knows what is usual"
    assert not felt({"put": even(0.002)}, between(slow, {"put": even(0.9, 10)})), "it counts anew"


def test_between_two_looks_is_what_was_added() -> None:
    before = {"put": even(1.0, 10), "gone": even(1.0, 1)}
    now = {"put": Spent(30, 50, 100), "new": even(1.0, 1)}
    assert between(before, now) == {"put": Spent(20, 40, 90)}


def test_while_it_is_felt_a_run_works_less_and_then_as_before() -> None:
    pace = Pace(0.25)
    for share in (0.125, 0.0625, 0.03125, 0.03125):
        pace = pace.minding(felt=True, most=0.25)
        assert pace.share == share
    for share in (0.0625, 0.125, 0.25, 0.25):
        pace = pace.minding(felt=False, most=0.25)
        assert pace.share == share
