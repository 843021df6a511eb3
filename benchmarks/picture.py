"""A timeline of a pooler under load as a picture: clients, how long transactions wait, and what there is for them."""

from collections.abc import Callable, Sequence
from html import escape

from demo.timeline import Moment

WIDTH, HEIGHT, LEFT, GAP = 960, 110, 150, 26
Step = tuple[float, int]


def drawn(moments: Sequence[Moment], steps: Sequence[Step], target: float) -> str:
    """An SVG with one strip for each thing, on one axis of time; `steps` are when how many clients began."""
    began, ended = moments[0].at, moments[-1].at
    strips: list[tuple[str, str, Callable[[Moment], float], float | None]] = [
        ("clients", "", lambda item: _clients(item.at, steps), None),
        ("wait for a server connection", "ms", lambda item: 1000 * min(item.wait, 2.0), 1000 * target),
        ("pooler pods", "", lambda item: float(item.pods), None),
        ("server connections allowed", "", lambda item: float(item.pods * item.pool), None),
        ("server connections open", "", lambda item: float(item.used), None),
    ]
    body = [
        _strip(number, title, unit, [(item.at - began, value(item)) for item in moments], ended - began, line)
        for number, (title, unit, value, line) in enumerate(strips)
    ]
    height = len(strips) * (HEIGHT + GAP) + 40
    axis = "".join(_tick(minute * 60, ended - began, height - 30) for minute in range(int((ended - began) // 60) + 1))
    style = "text{font:12px sans-serif;fill:#333}path{fill:none;stroke:#1f6f8b;stroke-width:1.5}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 40} {height}" role="img">'
        f"<style>{style}.line{{stroke:#b3541e;stroke-dasharray:4 3}}.edge{{stroke:#ccc}}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(body)}{axis}</svg>\n'
    )


def _clients(at: float, steps: Sequence[Step]) -> float:
    return float(next((clients for began, clients in reversed(steps) if at >= began), 0))


def _strip(
    number: int, title: str, unit: str, points: Sequence[tuple[float, float]], length: float, line: float | None
) -> str:
    """One curve with its highest value beside it."""
    top = number * (HEIGHT + GAP) + 10
    most = max([value for _, value in points] + [line or 0.0, 1.0])

    def place(at: float, value: float) -> str:
        return f"{LEFT + WIDTH * at / length:.1f} {top + HEIGHT - HEIGHT * value / most:.1f}"

    path = " L ".join(place(at, value) for at, value in points)
    target = f'<path class="line" d="M {place(0, line)} L {place(length, line)}"/>' if line else ""
    return (
        f'<text x="8" y="{top + 14}">{escape(title)}</text>'
        f'<text x="{LEFT - 8}" y="{top + 30}" text-anchor="end">{most:.0f} {unit}</text>'
        f'<path class="edge" d="M {place(0, 0)} L {place(length, 0)}"/>{target}<path d="M {path}"/>'
    )


def _tick(second: float, length: float, y: float) -> str:
    return f'<text x="{LEFT + WIDTH * second / length:.1f}" y="{y}" text-anchor="middle">{second / 60:.0f} min</text>'
