"""Ready, Reconciling and Stalled as they follow from the rooms' conditions."""

from datetime import UTC, datetime, timedelta

import pytest

from checkpointstore.kernel.condition import (
    READY,
    Condition,
    Status,
    broken,
    changing,
    fold,
    true,
    waiting,
    written,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FINE = true("One", "Fine")
AT_WORK = changing("Two", "Rolling", "at it")
NOT_YET = waiting("Two", "Starting", "at it")
STUCK = broken("Three", "Wrong", "mend it")
OFF = Condition("Four", Status.FALSE, "Hibernated", "asleep")


@pytest.mark.parametrize(
    ("why", "parts", "serving", "ready", "reconciling", "stalled"),
    [
        ("all is well", [FINE], True, "True/Serving", "False/Converged", "False/Converged"),
        ("a change on a serving store", [FINE, AT_WORK], True, "True/Serving", "True/Rolling", "False/Progressing"),
        ("a first start", [FINE, NOT_YET], False, "False/Starting", "True/Starting", "False/Progressing"),
        ("stuck before it serves", [STUCK, NOT_YET], False, "False/Wrong", "False/Stalled", "True/Wrong"),
        ("stuck while it serves", [AT_WORK, STUCK], True, "True/Serving", "False/Stalled", "True/Wrong"),
        ("off on purpose", [FINE, OFF], False, "False/Hibernated", "False/Converged", "False/Converged"),
        ("nothing says why", [FINE], False, "False/Pending", "False/Converged", "False/Converged"),
        ("nothing is known", [], False, "False/Pending", "False/Converged", "False/Converged"),
        ("Ready itself is not a room's", [broken(READY, "NameTaken", "x")], False, "False/NameTaken",
         "False/Stalled", "True/NameTaken"),
    ],
)  # fmt: skip
def test_fold(why: str, parts: list[Condition], serving: bool, ready: str, reconciling: str, stalled: str) -> None:
    folded = fold(parts, serving)
    assert [f"{item.status}/{item.reason}" for item in folded[:3]] == [ready, reconciling, stalled], why
    assert [item.type for item in folded] == ["Ready", "Reconciling", "Stalled"] + [
        item.type for item in parts if item.type != READY
    ]


def test_a_paused_store_is_not_reconciling_whatever_is_due() -> None:
    folded = fold([AT_WORK], serving=True, paused=True)
    assert [f"{item.status}/{item.reason}" for item in folded[:3]] == [
        "True/Serving",
        "False/Paused",
        "False/Converged",
    ]


def test_the_transition_time_moves_only_with_the_status() -> None:
    first = written([NOT_YET], (), 1, NOW)
    assert first[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    later = NOW + timedelta(hours=1)
    same = written([waiting("Two", "Other", "still")], first, 2, later)
    assert same == [{**first[0], "reason": "Other", "message": "still", "observedGeneration": 2}]
    moved = written([AT_WORK], same, 2, later)
    assert moved[0]["lastTransitionTime"] == "2026-01-01T01:00:00Z"
