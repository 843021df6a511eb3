"""What spec.retention takes, and the words for what it does not."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checkpointstore.features.retention.spec import HISTORY_RULES, RULES, Retention
from checkpointstore.kernel.duration import duration

GOOD: list[dict[str, Any]] = [
    {"deleteAfter": "400d"},
    {"history": {"keepLast": 1}},
    {"history": {"keepFor": "12h"}, "schedule": "0 3 * * *"},
    {"history": {"keepLast": 20, "keepFor": "30d"}, "deleteAfter": "30d", "dryRun": True},
    {"history": {"keepFor": "2w"}, "deleteAfter": "336h"},
    {"history": {"keepFor": "9999h"}, "deleteAfter": "9999w"},
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "set at least one of history and deleteAfter"),
    ({"history": {}}, "set at least one of keepLast and keepFor"),
    ({"history": {"keepLast": 0}}, "greater than or equal to 1"),
    ({"history": {"keepFor": "30d"}, "deleteAfter": "29d"}, "deleteAfter must not be shorter than history.keepFor"),
    ({"history": {"keepFor": "2w"}, "deleteAfter": "335h"}, "deleteAfter must not be shorter than history.keepFor"),
    ({"deleteAfter": "10m"}, "should match pattern"),
    ({"deleteAfter": "0d"}, "should match pattern"),
    ({"deleteAfter": "-3d"}, "should match pattern"),
    ({"deleteAfter": "1.5d"}, "should match pattern"),
    ({"deleteAfter": "10000d"}, "at most 5 characters"),
    ({"history": {"keepLast": 1, "then": "Archive"}}, "Extra inputs are not permitted"),
    ({"deleteAfter": "1d", "schedule": "0 25 * * *"}, "not a cron line"),
]


@pytest.mark.parametrize("spec", GOOD, ids=str)
def test_what_is_taken(spec: dict[str, Any]) -> None:
    assert Retention.model_validate(spec).model_dump(by_alias=True, exclude_unset=True) == spec


@pytest.mark.parametrize(("spec", "words"), BAD, ids=str)
def test_what_is_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Retention.model_validate(spec)


def test_durations() -> None:
    assert [duration(text) for text in ("5h", "3d", "2w")] == [
        timedelta(hours=5),
        timedelta(days=3),
        timedelta(days=14),
    ]
    for text in ("10m", "d", "", "5 d", "05d", "5D", "10000d"):
        with pytest.raises(ValueError, match="m is not offered"):
            duration(text)


def test_the_rules_of_the_api_server_say_the_same() -> None:
    assert [rule["message"] for rule in (*HISTORY_RULES, *RULES)] == [
        "set at least one of keepLast and keepFor",
        "set at least one of history and deleteAfter",
        "deleteAfter must not be shorter than history.keepFor",
    ]
    assert RULES[1]["rule"].count("endsWith('w') ? 168") == 2
