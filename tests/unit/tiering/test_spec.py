"""What spec.tiering takes, and the words for what it does not."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from checkpointstore.api.store import StoreSpec
from checkpointstore.features.tiering.spec import Tiering

BUCKET = {"objectStore": {"url": "s3://cold/agents", "credentials": {"name": "bucket"}}}
TIERS: dict[str, Any] = {"tiers": [{"name": "cold", "after": "90d", "storageClass": "STANDARD_IA"}]}


def tiers(*after: str) -> dict[str, Any]:
    return {**BUCKET, "tiers": [{"name": f"tier-{number}", "after": time} for number, time in enumerate(after)]}


GOOD: list[dict[str, Any]] = [
    {**BUCKET, **TIERS},
    tiers("1h", "1d", "1w", "8d"),
    {**BUCKET, **TIERS, "keepLatestHot": False, "schedule": "0 3 * * *", "dryRun": True},
]


def tier(**fields: Any) -> dict[str, Any]:
    return {**BUCKET, "tiers": [{"name": "cold", "after": "90d", **fields}]}


BAD: list[tuple[dict[str, Any], str]] = [
    (TIERS, "objectStore"),
    (BUCKET, "tiers"),
    ({**BUCKET, "tiers": []}, "at least 1 item"),
    (tiers("1d", "2d", "3d", "4d", "5d"), "at most 4 items"),
    (tiers("90d", "89d"), "longer after than the one before"),
    (tiers("1d", "2d", "48h"), "longer after than the one before"),
    ({**BUCKET, "tiers": TIERS["tiers"] * 2}, "a name of its own"),
    (tier(after="10m"), "should match pattern"),
    (tier(after="-3d"), "should match pattern"),
    (tier(after="soon"), "should match pattern|at most 5 characters"),
    (tier(name="Cold"), "should match pattern"),
    (tier(storageClass="standard ia"), "should match pattern"),
    ({**BUCKET, **TIERS, "schedule": "0 25 * * *"}, "not a cron line"),
    ({**BUCKET, **TIERS, "compaction": True}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize("spec", GOOD, ids=str)
def test_what_is_taken(spec: dict[str, Any]) -> None:
    assert Tiering.model_validate(spec).model_dump(by_alias=True, exclude_unset=True) == spec


@pytest.mark.parametrize(("spec", "words"), BAD, ids=str)
def test_what_is_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Tiering.model_validate(spec)


@pytest.mark.parametrize("first", [(), ("1d",), ("1d", "60d")])
@pytest.mark.parametrize(("dead", "fits"), [("90d", False), ("12w", False), ("2161h", True), ("13w", True)])
def test_a_thread_does_not_go_before_it_comes_to_the_last_tier(first: tuple[str, ...], dead: str, fits: bool) -> None:
    spec = {"tiering": tiers(*first, "90d"), "retention": {"deleteAfter": dead}}
    if fits:
        assert StoreSpec.model_validate(spec).secrets() == {"bucket"}
    else:
        with pytest.raises(ValidationError, match=re.escape("must be longer than each tiering.tiers[].after")):
            StoreSpec.model_validate(spec)
