"""A Job that is not felt: batches of a bounded time, and rests in proportion."""

import pytest

from checkpointstore.jobs.pace import FEWEST, MOST, TARGET, Pace


def test_it_rests_three_times_as_long_as_it_works() -> None:
    assert Pace(share=0.25).rest(0.2) == pytest.approx(0.6)
    assert Pace(share=1).rest(5) == 0


def test_slow_batches_get_smaller_and_quick_ones_larger_within_bounds() -> None:
    pace = Pace(0.25)
    assert pace.after(TARGET) == pace
    assert pace.after(3 * TARGET).size == pace.size // 2
    assert pace.after(0.1 * TARGET).size == pace.size * 2
    for took, size in ((10.0, FEWEST), (0.0, MOST)):
        at = pace
        for _ in range(20):
            at = at.after(took)
        assert at.size == size
