"""What is cold in the bill, and what it would be without tiering."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from checkpointstore.features.monitoring import cost
from checkpointstore.features.monitoring.cost import Tiered
from checkpointstore.features.monitoring.price import Cost
from tests.contract.disk import GIB
from tests.contract.world import World
from tests.golden.backup import TIERED
from tests.golden.case import EXTERNAL, TWO
from tests.unit.backup.story import later
from tests.unit.core.bill import ENV, FREE, NOW, ONES, made, told

COLD_FREE = {**FREE, "coldGiBMonth": "0"}


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made_:
        yield made_


def tiered(spec: dict[str, Any], **prices: str) -> dict[str, Any]:
    return {**spec, **TIERED, "monitoring": {"cost": {"prices": {**COLD_FREE, **prices}}}}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, (None, None)),
        ({"cold": None, "dryRun": False}, (None, None)),
        ({"cold": {"bytes": 0}, "dryRun": True}, (None, None)),
        ({"cold": {"bytes": 0}, "dryRun": False}, (0, 0)),
        ({"cold": {"bytes": 2 * GIB}, "dryRun": False, "totals": None}, (2, None)),
        (
            {"cold": {"bytes": 2 * GIB}, "dryRun": False, "totals": {"movedBytes": 300, "objectBytes": 100}},
            (2, 6),
        ),
    ],
    ids=["no run yet", "figures lost", "dry", "nothing cold", "no run could be counted", "told"],
)
def test_what_is_cold_is_read_from_the_status(said: dict[str, Any], expected: tuple[Any, Any]) -> None:
    assert cost.tiered(ENV, (), said, "STANDARD_IA", 2) == Tiered("STANDARD_IA", *expected, 2)


def test_cold_data_and_what_it_would_be_without_tiering(world: World) -> None:
    world.bucket().make(tiered(TWO, volumeGiBMonth="1", coldGiBMonth="0.5")).settle()
    assert told(world)["unknown"] == ["coldData", "withoutTiering"], "no run has ended yet"
    assert told(world)["monthly"] == told(world)["volumes"] == "20"
    assert {"coldData", "withoutTiering"} & told(world).keys() == set()
    assert world.status["cost"]["shown"] == {"monthly": "20 USD"}
    later(world, hours=1).settle()
    # 10 GiB of objects of what took 30 GiB in the tables, on two volumes.
    assert (told(world)["coldData"], told(world)["monthly"]) == ("5", "25")
    assert told(world)["withoutTiering"] == "80"
    assert "unknown" not in told(world)
    assert "20 GiB of volumes, 10 GiB of cold data; prices of the spec" in told(world)["why"]
    assert world.status["cost"]["shown"] == {"monthly": "25 USD", "withoutTiering": "80 USD"}
    world.change(tiering=None).settle()
    assert {"coldData", "withoutTiering", "unknown"} & world.status["cost"].keys() == set()
    assert world.status["cost"]["shown"] == {"monthly": "20 USD"}


def test_without_tiering_there_would_be_no_recaller(world: World) -> None:
    world.bucket().make(tiered({}, cpuHour="1", memoryGiBHour="10")).settle()
    later(world, hours=1).settle()
    assert Decimal(told(world)["withoutTiering"]) < Decimal(told(world)["compute"])
    world.change(tiering=None).settle()
    without = told(world)["compute"]
    world.change(**TIERED).settle()
    later(world, hours=1).settle()
    assert told(world)["withoutTiering"] == without
    world.command("hibernate", "true").settle()
    assert told(world)["withoutTiering"] == told(world)["monthly"] == "0"


def test_a_class_without_a_price_is_named_and_not_in_the_sum(world: World) -> None:
    tiers = [{"name": "cold", "after": "90d", "storageClass": "DEEP_ARCHIVE"}]
    world.bucket().make({**made({}, volumeGiBMonth="1"), "tiering": {**TIERED["tiering"], "tiers": tiers}}).settle()
    later(world, hours=1).settle()
    assert told(world)["unknown"] == ["coldData"]
    assert told(world)["monthly"] == "10"
    assert told(world)["withoutTiering"] == "40", "which needs no price of it"
    assert told(world)["why"].endswith(
        "10 GiB of volumes; prices of the spec; no price of class DEEP_ARCHIVE: set prices.coldGiBMonth"
    )


def test_of_an_external_server_cold_data_is_counted_and_nothing_says_what_it_would_be(world: World) -> None:
    world.rds().bucket().make(tiered(EXTERNAL, coldGiBMonth="1")).settle()
    later(world, hours=1).settle()
    assert told(world)["monthly"] == told(world)["coldData"] == "10"
    assert {"withoutTiering", "unknown"} & told(world).keys() == set()


@pytest.mark.parametrize(
    ("prices", "storage_class", "whose"),
    [
        ({}, "STANDARD_IA", "list prices of AWS us-east-1, 2025-01"),
        (FREE, "STANDARD", "prices of the spec"),
        (FREE, "STANDARD_IA", "prices of the spec, the others list prices of AWS us-east-1, 2025-01"),
        (COLD_FREE, "STANDARD_IA", "prices of the spec"),
        ({"coldGiBMonth": "1"}, "STANDARD_IA", "prices of the spec, the others list prices of AWS us-east-1, 2025-01"),
    ],
)
def test_it_says_whose_price_of_cold_data_counts(prices: dict[str, str], storage_class: str, whose: str) -> None:
    of = replace(ONES, tiered=Tiered(storage_class, Decimal(1), Decimal(2), 1))
    spec = Cost.model_validate({"prices": prices})
    assert cost.contribute(spec, of, {}, NOW).status["cost"]["why"].endswith(f"; {whose}")
