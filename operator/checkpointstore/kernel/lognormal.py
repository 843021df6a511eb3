"""The 99th percentile of durations of which only count, sum and sum of squares are known, as if log-normal. Pure."""

import math

NORMAL_P99 = 2.3263
WIDEST = NORMAL_P99**2
"""Of the logarithm's variance: where it is larger, the 99th percentile of that mean would be smaller again."""


def p99(calls: float, seconds: float, squares: float) -> float:
    """Seconds; `squares` are those of each call's seconds, summed up. There have to be calls that took any time."""
    variance = min(WIDEST, max(0.0, math.log(max(squares, 1e-12) * calls / seconds**2)))
    return seconds / calls * math.exp(NORMAL_P99 * math.sqrt(variance) - variance / 2)
