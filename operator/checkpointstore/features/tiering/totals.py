"""How large what moved was in the tables, and how large it is in objects, over many runs. Pure."""

from collections.abc import Mapping
from typing import Any


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


def _start(known: Mapping[str, Any], done: Mapping[str, Any]) -> int | None:
    """Bytes of the objects before the run; None where nobody knows."""
    if known.get("cold") and not known.get("reason") and not known["dryRun"]:
        return int(known["cold"]["bytes"])
    # Where no more threads are cold than have moved just now, none was before.
    return 0 if done["cold"]["threads"] <= done["moved"]["threads"] else None
