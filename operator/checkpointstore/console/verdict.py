"""What a store's conditions come to: whether somebody must look, and at what."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..api.reason import CONDITIONS
from ..kernel.condition import READY, RECONCILING, STALLED, Status

GOOD: Mapping[str, str] = {subject.type: subject.good.value for subject in CONDITIONS}


class Rank(IntEnum):
    """The worst first."""

    DOWN = 0
    UNKNOWN = 1
    WARNING = 2
    WORKING = 3
    RESTING = 4
    GOOD = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    rank: Rank
    ready: str
    """True, False or Unknown, as the API has it."""
    message: str
    """Of the condition that decides."""

    @property
    def alarming(self) -> bool:
        return self.rank <= Rank.WARNING


def conditions(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """By type, in the order of the API's page; those that it does not know come last."""
    told = {str(item.get("type", "")): item for item in _status(body).get("conditions") or ()}
    known = {type_: told.pop(type_) for type_ in GOOD if type_ in told}
    return {**known, **told}


def standing(condition: Mapping[str, Any]) -> Rank:
    """One condition alone: GOOD, WARNING, or UNKNOWN where it cannot be told. Without Ready it is DOWN, and
    Reconciling is only WORKING."""
    type_, status = str(condition.get("type", "")), str(condition.get("status", ""))
    if status == GOOD.get(type_, status):
        return Rank.GOOD
    if type_ == RECONCILING:
        return Rank.WORKING
    if status == Status.UNKNOWN.value:
        return Rank.UNKNOWN
    return Rank.DOWN if type_ == READY else Rank.WARNING


def judge(body: Mapping[str, Any]) -> Verdict:
    """What the fleet's table sorts by and says."""
    told = conditions(body)
    ready = told.get(READY, {})
    status, message = str(ready.get("status", "Unknown")), str(ready.get("message", ""))
    if _status(body).get("phase") == "Hibernated":
        return Verdict(Rank.RESTING, status, message)
    if status == Status.FALSE.value:
        working = told.get(RECONCILING, {}).get("status") == "True" and told.get(STALLED, {}).get("status") != "True"
        return Verdict(Rank.WORKING if working and ready.get("reason") == "Pending" else Rank.DOWN, status, message)
    if status != Status.TRUE.value:
        return Verdict(Rank.UNKNOWN, status, message or "The operator has not looked at it yet")
    wrong = [item for item in told.values() if standing(item) is Rank.WARNING]
    if wrong:
        return Verdict(Rank.WARNING, status, f"{wrong[0]['type']}: {wrong[0].get('message', '')}")
    if told.get(RECONCILING, {}).get("status") == "True":
        return Verdict(Rank.WORKING, status, str(told[RECONCILING].get("message") or message))
    return Verdict(Rank.GOOD, status, message)


def _status(body: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = body.get("status") or {}
    return found
