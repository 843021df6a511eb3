"""Small things that pages share: a mark that is a sign and a word beside its colour, and times as people say them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from .html import Html, element
from .verdict import Rank

_SIGNS: Mapping[Rank, tuple[str, str]] = {
    Rank.DOWN: ("✕", "bad"),
    Rank.UNKNOWN: ("?", "open"),
    Rank.WARNING: ("!", "warn"),
    Rank.WORKING: ("…", "open"),
    Rank.RESTING: ("–", "rest"),
    Rank.GOOD: ("✓", "good"),
}


def mark(rank: Rank, word: str) -> Html:
    """The word tells all; sign and colour only help to find it."""
    sign, colour = _SIGNS[rank]
    return element("span", element("i", sign, aria_hidden="true"), word, class_=f"mark {colour}")


def ago(text: str, now: datetime) -> Html | str:
    """How long since a time as the API writes it; the time itself is in the tooltip. "–" without one."""
    at = _parsed(text)
    if at is None:
        return text or "–"
    return element("time", span((now - at).total_seconds()), datetime=text, title=text)


def span(seconds: float) -> str:
    """How long ago, in one unit: `now` below a minute, then min, h, d."""
    for limit, size, unit in ((60, 0, ""), (5400, 60, " min ago"), (129_600, 3600, " h ago")):
        if seconds < limit:
            return f"{int(seconds // size)}{unit}" if size else "now"
    return f"{int(seconds // 86_400)} d ago"


def _parsed(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
