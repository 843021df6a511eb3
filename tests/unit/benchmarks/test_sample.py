"""The statistics of the benchmarks: quantiles by nearest rank, and comparisons pair by pair."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import sample

NUMBERS = st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=1, max_size=50)


def test_a_quantile_is_one_of_the_values_by_its_rank() -> None:
    hundred = [float(n) for n in range(100, 0, -1)]
    assert sample.quantile(hundred, 0.5) == 50
    assert sample.quantile(hundred, 0.99) == 99
    assert sample.quantile(hundred, 1) == 100
    assert sample.quantile([7.0], 0.99) == 7


@given(NUMBERS, st.floats(min_value=0, max_value=1))
def test_enough_values_do_not_exceed_a_quantile(values: list[float], share: float) -> None:
    found = sample.quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_a_median_comes_with_the_middle_half() -> None:
    found = sample.median([9.0, 1.0, 2.0, 3.0])
    assert (found.value, found.n, found.low, found.high) == (2.5, 4, 1.0, 3.0)
    assert found.spread() == "1..3"
    assert sample.one(4.0).spread() == "-"


def test_a_drift_that_meets_both_falls_out_of_a_comparison() -> None:
    second = [1.0, 2.0, 30.0]
    assert sample.difference([value + 0.5 for value in second], second).value == pytest.approx(0.5)
    assert sample.ratio([value * 4 for value in second], second).value == pytest.approx(4)


def test_a_comparison_is_by_pairs_and_not_of_medians() -> None:
    assert sample.ratio([1.0, 2.0, 9.0], [9.0, 1.0, 3.0]).value == 2
    with pytest.raises(ValueError, match="argument 2 is"):
        sample.difference([1.0], [1.0, 2.0])


@pytest.mark.parametrize(("count", "low", "high"), [(1, 1, 1), (6, 1, 6), (20, 6, 15), (60, 22, 39)])
def test_the_interval_of_a_median_is_between_two_values(count: int, low: int, high: int) -> None:
    """As tables of the binomial distribution have them."""
    assert sample.interval([float(value) for value in range(1, count + 1)]) == (low, high)
