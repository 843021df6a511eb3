"""What many runs have come to: how large what moved was and is, and what was asked of the object store. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...kernel.values import moment

WINDOW = timedelta(days=30)
"""Requests are of so long at most, and of half of it at least once there is that."""


def totals(known: Mapping[str, Any], done: Mapping[str, Any], failed: int) -> dict[str, int] | None:
    """status.tiering.totals after a run; None while no run could be counted.

    `known` is status.tiering before, `done` what the run adds to it, `failed` how many pods of its Job ended without a
    word. A run counts if the objects grew by nothing but what it says to have moved.
    """
    before: dict[str, int] | None = known.get("totals")
    cold = done.get("cold")
    # A run that rewrites objects, or removes some, changes their bytes otherwise too.
    if not cold or done["dryRun"] or failed or done["collected"] or done["rewritten"]:
        return before
    start, moved = _start(known, done), done["moved"]["bytes"]
    if start is None or cold["bytes"] <= start or not moved:
        return before
    sums = before or {"movedBytes": 0, "objectBytes": 0}
    return {
        "movedBytes": sums["movedBytes"] + moved,
        "objectBytes": sums["objectBytes"] + cold["bytes"] - start,
    }


def requests(known: Mapping[str, Any], done: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """status.tiering.requests after a run; `known` is status.tiering before, `done` what the run adds to it."""
    before = known.get("requests") or {"since": known["since"], "writes": 0, "reads": 0}
    # A run that failed does not say what it asked.
    asked = done.get("requests") or {"writes": 0, "reads": 0}
    since = datetime.fromisoformat(before["since"])
    writes, reads = (before[name] + asked[name] for name in ("writes", "reads"))
    if now - since > WINDOW:
        # As if half of them had been before.
        half = (now - since) / 2
        since, writes, reads = since + half, writes // 2, reads // 2
    return {"since": moment(since), "writes": writes, "reads": reads}


def _start(known: Mapping[str, Any], done: Mapping[str, Any]) -> int | None:
    """Bytes of the objects before the run; None where nobody knows."""
    if known.get("cold") and not known.get("reason") and not known["dryRun"]:
        return int(known["cold"]["bytes"])
    # Where no more threads are cold than have moved just now, none was before.
    return 0 if done["cold"]["threads"] <= done["moved"]["threads"] else None
