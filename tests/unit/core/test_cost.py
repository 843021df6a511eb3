"""What a store costs: from what there is and what that costs to what is told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from checkpointstore.features.monitoring import cost
from checkpointstore.features.monitoring.cost import Holdings, Line, Tiered, empty, lines, two_digits
from checkpointstore.features.monitoring.price import LISTS, OF_COLD, Cloud, Cost, Prices
from checkpointstore.kernel.action import Ref
from checkpointstore.kernel.observed import Observed, Volume
from tests.contract.disk import GIB
from tests.contract.world import World
from tests.golden.backup import BACKUP
from tests.golden.case import EXTERNAL, SCALED, TWO
from tests.unit.core.bill import ENV, FREE, ONES, made, told

ONE = Decimal(1)
AMOUNTS = st.decimals(0, 10**6, places=3)
PRICES = st.builds(
    lambda *each: Prices.model_validate(dict(zip([*FREE, OF_COLD], each, strict=True))),
    *[st.decimals(0, 1000, places=4).map(lambda price: f"{price:f}")] * (len(FREE) + 1),
)


@st.composite
def held(draw: st.DrawFn) -> Holdings:
    volumes = draw(AMOUNTS)
    used = draw(st.none() | st.decimals(0, volumes, places=3))
    maybe = st.none() | AMOUNTS
    cold = st.none() | st.dictionaries(st.sampled_from([None, "STANDARD", "STANDARD_IA", "GLACIER_IR"]), AMOUNTS)
    tier = st.builds(Tiered, cold, maybe, st.integers(0, 9))
    told = draw(st.none() | tier)
    return Holdings(draw(AMOUNTS), draw(AMOUNTS), volumes, used, draw(maybe), draw(maybe), told)


def billed(of: Holdings, prices: Prices) -> tuple[Line, ...]:
    return lines(of, Cost(prices=prices))


def total(of: Holdings, prices: Prices) -> Decimal:
    return sum((line.amount for line in billed(of, prices)), Decimal(0))


# The bill


@given(held(), PRICES)
def test_a_bill_is_a_number_and_tells_only_of_what_is_known(of: Holdings, prices: Prices) -> None:
    bill = billed(of, prices)
    assert all(line.amount.is_finite() and line.amount >= 0 for line in bill)
    assert ("backups" in {line.part for line in bill}) == bool(of.backups or of.archived)
    assert ("coldData" in {line.part for line in bill}) == any((of.cold or {}).values())


@given(held(), PRICES, st.sampled_from(["cpu", "memory", "volumes", "backups", "archived"]), AMOUNTS)
def test_more_of_anything_never_costs_less(of: Holdings, prices: Prices, what: str, more: Decimal) -> None:
    larger: Holdings = replace(of, **{what: (getattr(of, what) or Decimal(0)) + more})  # type: ignore[arg-type]
    assert total(larger, prices) >= total(of, prices)


@given(held(), PRICES, AMOUNTS)
def test_more_that_is_cold_costs_more_with_tiering_and_without(of: Holdings, prices: Prices, more: Decimal) -> None:
    less = replace(of, tiered=Tiered({None: Decimal(1)}, Decimal(5), 2))
    larger = replace(of, tiered=Tiered({None: 1 + more / 2, "STANDARD_IA": more / 2}, 5 * (1 + more), 2))
    assert total(larger, prices) - total(less, prices) == more * Decimal(prices.cold_gib_month or 0)
    hot, hotter = less.without_tiering(), larger.without_tiering()
    assert hot is not None
    assert hotter is not None
    each = total(hotter, prices) - total(hot, prices)
    assert each == 2 * 5 * more * Decimal(prices.volume_gib_month or 0), "each instance has it; no object is counted"


@given(held(), PRICES, st.sampled_from([*FREE, OF_COLD]), st.decimals(0, 100, places=4))
def test_a_higher_price_never_costs_less(of: Holdings, prices: Prices, name: str, more: Decimal) -> None:
    given_ = prices.model_dump(by_alias=True)
    dearer = Prices.model_validate({**given_, name: f"{Decimal(given_[name]) + more:f}"})
    assert total(of, dearer) >= total(of, prices)


@given(held(), PRICES)
def test_empty_and_used_are_the_whole_volume(of: Holdings, prices: Prices) -> None:
    bill = billed(of, prices)
    volumes = [line for line in bill if line.part == "volumes"]
    vain = empty(bill, of.used)
    assert (vain is None) == (of.used is None or not volumes)
    if vain is not None:
        assert vain + (of.used or 0) * volumes[0].price == volumes[0].amount


@given(st.decimals(0, 10**9, places=6), st.decimals(0, 10**9, places=6))
def test_rounding_keeps_the_order_and_two_digits(one: Decimal, other: Decimal) -> None:
    less, more = sorted((one, other))
    assert Decimal(two_digits(less)) <= Decimal(two_digits(more))
    assert "E" not in two_digits(more)
    assert abs(Decimal(two_digits(more)) - more) <= max(more / 20, Decimal("0.005"))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0"),
        ("0.0049", "0"),
        ("0.0999", "0.1"),
        ("0.523", "0.52"),
        ("5.23", "5.2"),
        ("9.96", "10"),
        ("52.9", "53"),
        ("129.9", "130"),
        ("3712", "3700"),
    ],
)
def test_amounts_have_two_digits_and_no_exponent(amount: str, shown: str) -> None:
    assert two_digits(Decimal(amount)) == shown


# Prices


@pytest.mark.parametrize("cloud", Cloud)
def test_every_cloud_has_all_prices(cloud: Cloud) -> None:
    prices = LISTS[cloud].prices.given()
    assert len(prices) == len(FREE)
    assert all(Decimal(price) > 0 for price in prices.values())


@pytest.mark.parametrize("cloud", [Cloud.AWS, Cloud.AZURE])
def test_a_vcpu_and_a_gib_add_up_to_the_machine_that_is_listed(cloud: Cloud) -> None:
    """It has 2 vCPU and 8 GiB, and is divided in the proportion of Google's list."""
    cpu, memory, *_ = map(Decimal, LISTS[cloud].prices.given().values())
    assert f"for {2 * cpu + 8 * memory:.3f} an hour" in LISTS[cloud].compute
    google, gib, *_ = map(Decimal, LISTS[Cloud.GOOGLE].prices.given().values())
    assert abs(cpu / memory / (google / gib) - 1) < Decimal("0.01")


@pytest.mark.parametrize(
    "price", ["", "x", "1e3", "-1", "+1", ".5", "5.", "NaN", "inf", "0x1", "1,5", "1 ", "1\n", 0.5, 1]
)
def test_what_is_no_price_is_refused(price: Any) -> None:
    with pytest.raises(ValidationError):
        Prices(cpu_hour=price)


def test_a_price_that_is_given_replaces_the_list_s() -> None:
    spec = Cost.model_validate({"cloud": "Azure", "prices": {"volumeGiBMonth": "0.5"}})
    assert spec.prices.over(LISTS[spec.cloud].prices) == LISTS[Cloud.AZURE].prices.model_copy(
        update={"volume_gib_month": "0.5"}
    )


@pytest.mark.parametrize("missing", FREE)
def test_another_currency_needs_each_price(missing: str) -> None:
    assert Cost.model_validate({"currency": "EUR", "prices": FREE}).prices.given()
    with pytest.raises(ValidationError, match="another currency than USD"):
        Cost.model_validate({"currency": "EUR", "prices": {name: FREE[name] for name in FREE if name != missing}})


@pytest.mark.parametrize(
    ("spec", "storage_class", "price"),
    [
        ({}, None, "0.023"),
        ({}, "STANDARD", "0.023"),
        ({}, "INTELLIGENT_TIERING", "0.023"),
        ({"prices": {"objectGiBMonth": "0.02"}}, "STANDARD", "0.02"),
        ({"prices": {"objectGiBMonth": "0.02"}}, "STANDARD_IA", "0.0125"),
        ({}, "GLACIER_IR", "0.004"),
        ({}, "DEEP_ARCHIVE", None),
        ({"prices": {"coldGiBMonth": "0.001"}}, "DEEP_ARCHIVE", "0.001"),
        ({"prices": {"coldGiBMonth": "0"}}, "STANDARD", "0"),
        ({"cloud": "GoogleCloud"}, "COLDLINE", "0.004"),
        ({"cloud": "GoogleCloud"}, "STANDARD_IA", None),
        ({"cloud": "Azure"}, "HOT", "0.0208"),
        ({"cloud": "Azure"}, "COOL", "0.0152"),
        ({"currency": "EUR", "prices": {**FREE, "objectGiBMonth": "3"}}, None, "3"),
        ({"currency": "EUR", "prices": FREE}, "STANDARD_IA", None),
        ({"currency": "EUR", "prices": {**FREE, "coldGiBMonth": "4"}}, "STANDARD_IA", "4"),
    ],
)
def test_cold_data_costs_what_its_storage_class_does(
    spec: dict[str, Any], storage_class: str | None, price: str | None
) -> None:
    assert Cost.model_validate(spec).of_cold(storage_class) == price


@pytest.mark.parametrize("cloud", Cloud)
def test_a_class_that_is_named_is_cheaper_than_the_standard_one(cloud: Cloud) -> None:
    listed = LISTS[cloud]
    assert listed.classes
    assert not set(listed.classes) & set(listed.standard)
    standard = Decimal(listed.prices.given()["object_gib_month"])
    assert all(0 < Decimal(price) < standard for price in listed.classes.values())


# In the plan


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made_:
        yield made_


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        # Two instances: 100m, 10m, 10m, 5m. Two poolers: 50m, 10m.
        ({"cpuHour": "1"}, 730 * (2 * 0.125 + 2 * 0.06)),
        # 512Mi, 16Mi, 32Mi, 16Mi. 64Mi, 16Mi.
        ({"memoryGiBHour": "1"}, 730 * (2 * 576 + 2 * 80) / 1024),
        ({"volumeGiBMonth": "1"}, 2 * 10),
    ],
)
def test_all_that_runs_is_counted(world: World, price: dict[str, str], amount: float) -> None:
    world.make(made(TWO, **price)).settle()
    assert told(world)["monthly"] == two_digits(Decimal(amount))


def test_a_limit_counts_where_there_is_no_request(world: World) -> None:
    resources = {"requests": {"memory": "1Gi"}, "limits": {"cpu": "2", "memory": "8Gi"}}
    world.make(made({"postgres": {"resources": resources}}, cpuHour="1")).settle()
    assert told(world)["compute"] == two_digits(Decimal(730) * Decimal("2.145"))
    world.change(monitoring={"cost": {"prices": {"cpuHour": "0", "memoryGiBHour": "1"}}}).settle()
    assert told(world)["compute"] == two_digits(Decimal(730) * Decimal(1024 + 64 + 160) / 1024)


def test_the_first_look_knows_what_volumes_will_be(world: World) -> None:
    world.make(made(TWO, volumeGiBMonth="1"))
    assert told(world)["volumes"] == "20"
    assert told(world)["unknown"] == ["empty"]


def test_volumes_that_hold_less_than_they_could_are_told(world: World) -> None:
    world.disk.volumes = {"agents-0": Volume(10 * GIB, 4 * GIB), "agents-1": Volume(500 * GIB, 450 * GIB)}
    world.make(made(TWO, volumeGiBMonth="1")).settle()
    assert (told(world)["volumes"], told(world)["empty"]) == ("20", "4"), "a folder of a large node is full at most"
    assert "unknown" not in told(world)


def test_volumes_of_instances_that_are_gone_are_paid_for_and_nobody_tells_of_them(world: World) -> None:
    world.make(made(TWO, volumeGiBMonth="1")).settle()
    world.change(postgres={"instances": 1}).settle()
    assert told(world)["volumes"] == "20"
    assert "empty" not in told(world)
    assert told(world)["unknown"] == ["empty"]


def test_a_volume_counts_with_what_it_has_grown_to(world: World) -> None:
    world.expand().make(made({}, volumeGiBMonth="1")).settle()
    world.change(postgres={"storage": {"size": "30Gi"}}).settle()
    assert told(world)["volumes"] == "30"
    world.server.resizes = False
    world.change(postgres={"storage": {"size": "50Gi"}}).settle()
    assert told(world)["volumes"] == "30", "it was asked to grow, and has not yet"


def test_a_store_that_hibernates_pays_for_what_stays(world: World) -> None:
    world.bucket().make({**made({}, cpuHour="1", volumeGiBMonth="1", objectGiBMonth="1000"), "backup": BACKUP}).settle()
    assert told(world)["compute"] != "0"
    world.command("hibernate", "true").settle()
    assert "compute" not in told(world)
    assert told(world)["volumes"] == "10"
    assert told(world)["backups"] == two_digits(Decimal(4_000_000_000) / GIB)


def test_backups_are_unknown_before_the_first_and_not_there_without_any(world: World) -> None:
    world.make(made({}, objectGiBMonth="1000")).settle()
    assert {"backups", "unknown"} & told(world).keys() == set()
    world.bucket().change(backup=BACKUP)
    assert told(world)["unknown"] == ["backups", "requests"]
    assert "backups" not in told(world)
    world.settle()
    assert told(world)["backups"] == two_digits(Decimal(4_000_000_000) / GIB)
    assert told(world)["monthly"] == told(world)["backups"]
    world.change(backup=None).settle()
    assert "backups" not in world.status["cost"]


def archived(*backups: tuple[str, str], **changes: str) -> Decimal | None:
    """What is reckoned of backups that began then and there in the WAL."""
    made_ = {
        Ref("CheckpointBackup", at): {
            "metadata": {"name": at},
            "status": {"phase": "Completed", "repository": "here", "startedAt": at, "beginWAL": wal, **changes},
        }
        for at, wal in backups
    }
    asked = {Ref("CheckpointBackup", "asked"): {"metadata": {"name": "asked"}}}
    return cost.holdings(ENV, Observed(objects=made_ | asked), (), {"repository": "here"}).archived


FIRST = ("2026-01-01T00:00:00Z", "0000000100000000000000FE")
NEXT = ("2026-01-01T12:00:00Z", "000000010000000100000016")
LATER = ("2026-01-02T00:00:00Z", "00000003000000010000005E")


def test_requests_are_reckoned_from_the_wal_between_backups() -> None:
    assert archived(FIRST, NEXT) == 730 * 2
    assert archived(LATER, FIRST, NEXT) == 730 * 4, "of the longest time, over timelines"
    assert archived(FIRST, ("2026-01-01T12:00:00Z", FIRST[1])) == 0


@pytest.mark.parametrize(
    ("backups", "changes"),
    [
        ((), {}),
        ((FIRST,), {}),
        ((FIRST, ("2026-01-01T00:59:59Z", NEXT[1])), {}),
        ((FIRST, ("2026-01-09T00:00:01Z", NEXT[1])), {}),
        ((FIRST, NEXT), {"phase": "Failed"}),
        ((FIRST, NEXT), {"repository": "elsewhere"}),
    ],
    ids=["none", "one", "too close", "too far", "failed", "elsewhere"],
)
def test_without_two_backups_that_are_apart_requests_are_unknown(
    backups: tuple[tuple[str, str], ...], changes: dict[str, str]
) -> None:
    assert archived(*backups, **changes) is None


def test_a_database_that_begins_anew_makes_no_requests_of_less_than_nothing() -> None:
    assert archived(LATER, ("2026-01-03T00:00:00Z", FIRST[1])) == 0


def test_of_an_external_server_only_the_poolers_are_counted(world: World) -> None:
    world.rds().make(made(EXTERNAL, cpuHour="1", volumeGiBMonth="1"))
    assert told(world)["why"] == "nothing yet; prices of the spec"
    assert told(world)["monthly"] == "0"
    world.settle()
    assert told(world)["monthly"] == told(world)["compute"] == two_digits(Decimal(730) * Decimal("0.12"))
    assert {"volumes", "empty", "unknown", "backups"} & told(world).keys() == set()


def test_poolers_that_follow_their_load_are_counted_as_they_are(world: World) -> None:
    world.make({**made(SCALED, cpuHour="1")}).settle()
    before = Decimal(told(world)["compute"])
    world.load_asks(6, 10).settle()
    assert Decimal(told(world)["compute"]) > before


@pytest.mark.parametrize(
    ("spec", "whose"),
    [
        ({}, "list prices of AWS us-east-1, 2025-01"),
        ({"cloud": "Azure"}, "list prices of Azure East US, 2025-01"),
        (
            {"cloud": "GoogleCloud", "prices": {"cpuHour": "0.02"}},
            "prices of the spec, the others list prices of GoogleCloud us-central1, 2025-01",
        ),
        ({"currency": "EUR", "prices": FREE}, "prices of the spec"),
    ],
)
def test_it_says_whose_prices_count(world: World, spec: dict[str, Any], whose: str) -> None:
    world.make({"monitoring": {"cost": spec}}).settle()
    assert told(world)["why"] == f"0.24 vCPU, 0.72 GiB of memory, 10 GiB of volumes; {whose}"
    assert told(world)["currency"] == spec.get("currency", "USD")


def test_without_the_field_nothing_is_told_and_what_was_is_taken_back(world: World) -> None:
    world.make().settle()
    assert "cost" not in world.plan().status
    world.change(monitoring={"cost": {}}).settle()
    assert world.status["cost"]["monthly"]
    world.change(monitoring={"cost": None}).settle()
    assert "cost" not in world.status


def grown(world: World, used: int) -> dict[str, Any]:
    """So many GiB of the volume are used, and the store is looked at."""
    world.disk.volumes["agents-0"] = Volume(10 * GIB, (10 - used) * GIB)
    world.look()
    return dict(world.status["cost"])


def test_what_is_empty_is_told_anew_after_ten_minutes(world: World) -> None:
    world.make(made({}, volumeGiBMonth="1")).settle()
    first = grown(world, 1)
    assert first["empty"] == "9"
    world.tick(590)
    assert grown(world, 2) == first
    world.tick(10)
    second = grown(world, 3)
    assert (second["empty"], second["measured"] > first["measured"]) == ("7", True)
    world.tick(5)
    assert grown(world, 4) == second, "ten minutes again"


def test_what_has_not_changed_is_not_written(world: World) -> None:
    world.make(made({}, volumeGiBMonth="1")).settle()
    world.server.now += timedelta(hours=5)
    world.settle()
    before = world.body["metadata"]["resourceVersion"]
    world.server.now += timedelta(minutes=30)
    world.look()
    assert world.body["metadata"]["resourceVersion"] == before


def test_what_is_empty_is_told_at_once_with_other_volumes_and_prices(world: World) -> None:
    world.expand().make(made({}, volumeGiBMonth="1")).settle()
    assert grown(world, 1)["empty"] == "9"
    world.change(monitoring={"cost": {"prices": {"volumeGiBMonth": "2"}}})
    assert grown(world, 1)["empty"] == "18"
    world.change(monitoring={"cost": {"currency": "EUR"}})
    assert grown(world, 2)["empty"] == "16"
    world.command("hibernate", "true").settle()
    assert world.status["cost"]["unknown"] == ["empty"]
    assert {"empty", "measured"} & world.status["cost"].keys() == set()


def test_parts_are_what_lines_are_of() -> None:
    of = replace(ONES, tiered=Tiered({None: Decimal(1)}, None, 1), blobs=Decimal(1))
    assert tuple(dict.fromkeys(line.part for line in lines(of, Cost()))) == cost.PARTS
