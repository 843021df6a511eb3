"""The page of costs has the prices that the operator reckons with, and its example is what the operator says."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import yaml

from checkpointstore.features.monitoring.cost import COLD, Holdings, Tiered, contribute, lines, two_digits
from checkpointstore.features.monitoring.price import LISTS, NAMES, Cost
from tests.unit.docs.test_pages import ROOT

PAGE = (ROOT / "docs" / "cost.md").read_text()
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
# Two instances of 525m and 2112Mi with 50Gi each, two pooler pods of 60m and 80Mi, a file of WAL every 30 s; a recaller
# of 50m and 64Mi, 20 GiB in objects, each for 2.5 GiB in the tables, of which some 60 move in a month.
RECALLER = Decimal("0.05"), Decimal(64) / 1024
EXAMPLE = Holdings(
    cpu=2 * Decimal("0.525") + 2 * Decimal("0.06") + RECALLER[0],
    memory=Decimal(2 * 2112 + 2 * 80) / 1024 + RECALLER[1],
    volumes=Decimal(2 * 50),
    used=Decimal(2 * 30),
    backups=Decimal(120),
    archived=Decimal(730 * 120),
    tiered=Tiered({"STANDARD_IA": Decimal(20)}, Decimal(20 * 100) / 40, 2, *RECALLER, Decimal(4000), Decimal(2000)),
)
SPEC = Cost()


def test_the_prices_are_those_of_the_code() -> None:
    head = f"| `cloud` | region, month | {' | '.join(f'`{name}`' for name in NAMES)} |"
    rows = [
        f"| `{cloud}` | {listed.region}, {listed.known} | {' | '.join(listed.prices.given().values())} |"
        for cloud, listed in LISTS.items()
    ]
    assert "\n".join((head, "|---" * (2 + len(NAMES)) + "|", *rows)) in PAGE


def test_each_price_says_what_is_listed() -> None:
    rows = [f"| `{cloud}` | {item.compute} | {item.volume} | {item.object} |" for cloud, item in LISTS.items()]
    assert "\n".join(rows) in PAGE


def test_the_bill_by_hand_is_the_operator_s() -> None:
    bill = lines(EXAMPLE, SPEC)
    rows = [
        f"| {line.unit} | {line.quantity.normalize():f} | {line.price.normalize():f} | {line.amount:.2f} |"
        for line in bill
    ]
    assert "\n".join((*rows, f"| all | | | {sum(line.amount for line in bill):.2f} |")) in PAGE


def test_without_tiering_by_hand_is_the_operator_s() -> None:
    hot = EXAMPLE.without_tiering()
    assert hot is not None
    recaller = lines(Holdings(*RECALLER, Decimal(0), None, None, None), SPEC)
    bill = lines(EXAMPLE, SPEC)
    rest = [line.amount for line in bill if line.part != COLD]
    cold = sum(line.amount for line in bill if line.part == COLD)
    without = sum((line.amount for line in lines(hot, SPEC)), Decimal(0))
    more = (hot.volumes - EXAMPLE.volumes) * Decimal("0.08")
    less = " - ".join(f"{amount:.2f}" for amount in (cold, *(line.amount for line in recaller)))
    whole = sum(rest) + cold
    assert f"{whole:.2f} - {less} + {more:.2f} = {without:.2f}." in PAGE
    assert two_digits(without) == BLOCKS[1]["status"]["cost"]["withoutTiering"]


def test_the_classes_are_those_of_the_code() -> None:
    rows = [
        f"| `{cloud}` | {', '.join(item.standard)} | {', '.join(' '.join(each) for each in item.classes.items())} |"
        for cloud, item in LISTS.items()
    ]
    assert "\n".join(rows) in PAGE


def test_the_status_is_what_the_operator_tells() -> None:
    told = contribute(Cost(), EXAMPLE, {}, datetime(2026, 11, 28, 12, tzinfo=UTC)).status["cost"]
    assert BLOCKS[1]["status"]["cost"] == {name: value for name, value in told.items() if value is not None}


def test_the_specs_are_ones_that_the_operator_takes() -> None:
    for block in (BLOCKS[0], BLOCKS[2]):
        Cost.model_validate(block["spec"]["monitoring"]["cost"])
