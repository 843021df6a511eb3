"""What is cold in the bill, and what it would be without tiering."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from checkpointstore.features.monitoring import cost
from checkpointstore.features.monitoring.cost import Holdings, Tiered
from checkpointstore.features.monitoring.price import Cost
from tests.contract.disk import GIB
from tests.contract.world import World
from tests.golden.backup import TIERED
from tests.golden.case import EXTERNAL, TWO
from tests.unit.backup.story import later
from tests.unit.core.bill import ENV, FREE, NOW, ONES, told

COLD = {"name": "cold", "storageClass": "STANDARD_IA", "bytes": 2 * GIB}
SUMS = {"movedBytes": 300, "objectBytes": 100}
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
        ({"tiers": None, "dryRun": False}, (None, None)),
        ({"tiers": [], "dryRun": True}, (None, None)),
        ({"tiers": [], "dryRun": False}, ({}, 0)),
        ({"tiers": [COLD], "dryRun": False, "totals": None}, ({"STANDARD_IA": 2}, None)),
        ({"tiers": [COLD], "dryRun": False, "totals": SUMS}, ({"STANDARD_IA": 2}, 6)),
        (
            {
                "tiers": [COLD, {"bytes": GIB}, {"bytes": GIB}, {**COLD, "name": "colder"}],
                "dryRun": False,
                "totals": SUMS,
            },
            ({"STANDARD_IA": 4, None: 2}, 18),
        ),
    ],
    ids=["no run yet", "figures lost", "dry", "nothing cold", "no run could be counted", "told", "of many tiers"],
)
def test_what_is_cold_is_read_from_the_status(said: dict[str, Any], expected: tuple[Any, Any]) -> None:
    assert cost.tiered(ENV, (), said, 2) == Tiered(*expected, 2)


ASKED = {"since": "2026-01-01T00:00:00Z", "writes": 1000, "reads": 500}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"lastSuccessful": "2026-01-11T00:00:00Z"}, (3041, 1520)),
        ({"lastSuccessful": "2026-01-01T00:59:00Z"}, (0, 0)),
        ({"lastSuccessful": None}, (0, 0)),
        ({"lastSuccessful": "2026-01-11T00:00:00Z", "requests": None}, (0, 0)),
    ],
    ids=["told", "within the first hour", "no run has succeeded", "before there were any"],
)
def test_requests_of_a_month_go_by_the_pace_of_those_that_were_made(
    more: dict[str, Any], expected: tuple[int, int]
) -> None:
    found = cost.tiered(ENV, (), {"tiers": [], "dryRun": False, "requests": ASKED, **more}, 2)
    assert (int(found.writes), int(found.reads)) == expected


def test_requests_are_in_the_part_of_cold_data_and_not_in_what_would_be_without() -> None:
    tier = Tiered({}, Decimal(0), 2, writes=Decimal(2000), reads=Decimal(3000))
    prices = {**COLD_FREE, "thousandWrites": "10", "thousandReads": "1"}
    spec = Cost.model_validate({"prices": prices})
    found = cost.contribute(spec, replace(ONES, archived=Decimal(0), tiered=tier), {}, NOW).status["cost"]
    assert (found["coldData"], found["monthly"], found["withoutTiering"]) == ("23", "23", "0")
    assert "2 thousand writes of tiering, 3 thousand reads of tiering; " in found["why"]


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
    assert "20 GiB of volumes, 10 GiB of cold data in STANDARD_IA; prices of the spec" in told(world)["why"]
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


def bill(spec: dict[str, Any], **gib: int) -> dict[str, Any]:
    """What is told of ten GiB of volumes, and so many in each class that would be five times as many on one of two."""
    cold: dict[str | None, Decimal] = {name: Decimal(size) for name, size in gib.items()}
    nothing = Holdings(Decimal(0), Decimal(0), Decimal(10), None, Decimal(0), Decimal(0))
    of = replace(nothing, tiered=Tiered(cold, 5 * sum(cold.values(), Decimal(0)), 2))
    cost_: dict[str, Any] = cost.contribute(Cost.model_validate(spec), of, {}, NOW).status["cost"]
    return cost_


def test_each_class_has_its_own_price() -> None:
    told_ = bill({"prices": {"volumeGiBMonth": "1"}}, STANDARD_IA=100, GLACIER_IR=1000)
    assert told_["coldData"] == "5.2", "1.25 and 4"
    assert told_["why"].startswith(
        "10 GiB of volumes, 100 GiB of cold data in STANDARD_IA, 1000 GiB of cold data in GLACIER_IR; "
    )
    assert bill({"prices": COLD_FREE}, STANDARD_IA=100, GLACIER_IR=1000)["coldData"] == "0"


def test_a_class_without_a_price_is_named_and_nothing_cold_is_in_the_sum() -> None:
    told_ = bill({"prices": {**FREE, "volumeGiBMonth": "1"}}, STANDARD_IA=100, DEEP_ARCHIVE=10, GLACIER=5)
    assert "coldData" in told_["unknown"]
    assert (told_["coldData"], told_["monthly"]) == (None, "10")
    assert told_["withoutTiering"] == "1200", "which needs no price of it"
    assert told_["why"].endswith("; no price of class DEEP_ARCHIVE, GLACIER: set prices.coldGiBMonth")


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
    of = replace(ONES, tiered=Tiered({storage_class: Decimal(1)}, Decimal(2), 1))
    spec = Cost.model_validate({"prices": prices})
    assert cost.contribute(spec, of, {}, NOW).status["cost"]["why"].endswith(f"; {whose}")
