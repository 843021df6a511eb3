"""What is an event for a person: the difference between two statuses of a store."""

from collections.abc import Mapping
from typing import Any

from .action import Emit
from .condition import CONTINUOUS_ARCHIVING, READY, STALLED


def news(previous: Mapping[str, Any], current: Mapping[str, Any]) -> tuple[Emit, ...]:
    """What a person wants to be told of the difference between two statuses."""
    before, after = states(previous), states(current)
    told: list[Emit] = []
    if after.get(READY) == "True" and before.get(READY) != "True":
        told.append(Emit("Normal", "Ready", _message(current, READY)))
    if before.get(READY) == "True" and after.get(READY) == "False":
        told.append(Emit("Warning", "NotReady", _message(current, READY)))
    if after.get(STALLED) == "True" and before.get(STALLED) != "True":
        told.append(Emit("Warning", "Stalled", _message(current, STALLED)))
    archiving = [states.get(CONTINUOUS_ARCHIVING) for states in (before, after)]
    if archiving[1] == "False" and _archiving(previous) != _archiving(current):
        told.append(Emit("Warning", "ArchivingStopped", _message(current, CONTINUOUS_ARCHIVING)))
    if archiving == ["False", "True"]:
        told.append(Emit("Normal", "ArchivingResumed", _message(current, CONTINUOUS_ARCHIVING)))
    old, new = (str(item.get("postgres", {}).get("primary", "")) for item in (previous, current))
    if old and new and old != new:
        told.append(Emit("Normal", "PrimaryChanged", f"{new} leads now, before it {old}"))
    return tuple(told)


def states(status: Mapping[str, Any]) -> dict[str, str]:
    return {item["type"]: item["status"] for item in status.get("conditions", ())}


def _archiving(status: Mapping[str, Any]) -> str:
    """Why WAL is not archived."""
    found = (item for item in status.get("conditions", ()) if item["type"] == CONTINUOUS_ARCHIVING)
    return next((str(item["reason"]) for item in found), "")


def _message(status: Mapping[str, Any], type_: str) -> str:
    return next(str(item["message"]) for item in status["conditions"] if item["type"] == type_)
