"""Which runs tell how large what moved was in the tables and is in objects, and what they ask of the object store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkpointstore.features.tiering.totals import WINDOW, requests, totals
from checkpointstore.kernel.values import moment

BEFORE = {"movedBytes": 500, "objectBytes": 100}
KNOWN = {"cold": {"threads": 9, "bytes": 1000}, "dryRun": False, "totals": BEFORE}
DONE = {
    "moved": {"threads": 2, "bytes": 70},
    "cold": {"threads": 11, "bytes": 1010},
    "dryRun": False,
    "collected": 0,
    "rewritten": 0,
}


def test_a_run_by_which_the_objects_grew_is_counted() -> None:
    assert totals(KNOWN, DONE, 0) == {"movedBytes": 570, "objectBytes": 110}


@pytest.mark.parametrize(
    ("known", "done", "failed"),
    [
        ({}, {"reason": "Unavailable"}, 0),
        ({}, {**DONE, "moved": None, "cold": None}, 0),
        ({}, {**DONE, "dryRun": True}, 0),
        ({}, {**DONE, "collected": 1}, 0),
        ({}, {**DONE, "rewritten": 1}, 0),
        ({}, DONE, 1),
        ({}, {**DONE, "moved": {"threads": 0, "bytes": 0}}, 0),
        ({}, {**DONE, "cold": {"threads": 11, "bytes": 1000}}, 0),
        ({"cold": None}, DONE, 0),
        ({"dryRun": True}, DONE, 0),
        ({"reason": "Unavailable"}, DONE, 0),
    ],
    ids=[
        "failed",
        "figures lost",
        "dry",
        "objects removed",
        "objects rewritten",
        "a pod lost",
        "nothing moved",
        "nothing grew",
        "figures lost before",
        "dry before",
        "failed before",
    ],
)
def test_a_run_that_does_not_tell_both_is_not(known: dict[str, Any], done: dict[str, Any], failed: int) -> None:
    assert totals({**KNOWN, **known}, done, failed) == BEFORE
    assert totals({**KNOWN, **known, "totals": None}, done, failed) is None


def test_the_first_run_counts_if_nothing_was_cold_before() -> None:
    first = {"since": "2026-01-01T00:05:00Z"}
    assert totals(first, DONE, 0) is None, "a catalog that was there: of a recovery, or of tiering that was off"
    assert totals(first, {**DONE, "cold": {"threads": 2, "bytes": 35}}, 0) == {"movedBytes": 70, "objectBytes": 35}


SINCE = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = {"writes": 5, "reads": 3}


def test_requests_are_summed_up_from_when_tiering_was_switched_on() -> None:
    known: dict[str, Any] = {"since": moment(SINCE)}
    for number in (1, 2):
        known["requests"] = requests(known, {"requests": ASKED}, SINCE + timedelta(days=number))
        assert known["requests"] == {"since": moment(SINCE), "writes": 5 * number, "reads": 3 * number}
    assert requests(known, {"reason": "Unavailable"}, SINCE + timedelta(days=3)) == known["requests"]
    assert requests(known, {"requests": None}, SINCE + timedelta(days=3)) == known["requests"]


def test_what_was_asked_long_ago_is_forgotten_and_the_pace_stays() -> None:
    known: dict[str, Any] = {"since": moment(SINCE)}
    for hour in range(24 * 365):
        now = SINCE + timedelta(hours=hour)
        known["requests"] = requests(known, {"requests": {"writes": 100, "reads": 10}}, now)
        since = datetime.fromisoformat(known["requests"]["since"])
        assert now - since <= WINDOW
        if hour > 24 * 30:
            assert now - since >= WINDOW / 2 - timedelta(hours=1)
            assert known["requests"]["writes"] == pytest.approx(100 * (now - since) / timedelta(hours=1), rel=0.01)
