"""A line over time as inline SVG."""

from collections.abc import Sequence

from .html import Html, element

WIDTH, HEIGHT, EDGE = 160, 36, 2


def line(points: Sequence[tuple[float, float]], described: str) -> Html:
    """(time, value) drawn from zero, or from below it; `described` is what it shows, in words."""
    first, last = points[0][0], points[-1][0]
    low, high = min(0.0, *(value for _, value in points)), max(value for _, value in points)
    across, up = (last - first) or 1.0, (high - low) or 1.0
    places = (
        f"{EDGE + (at - first) / across * (WIDTH - 2 * EDGE):.0f},"
        f"{HEIGHT - EDGE - (value - low) / up * (HEIGHT - 2 * EDGE):.1f}"
        for at, value in points
    )
    drawn = element("polyline", points=" ".join(places))
    box = f"0 0 {WIDTH} {HEIGHT}"
    return element("svg", drawn, viewBox=box, role="img", aria_label=described, class_="spark")
