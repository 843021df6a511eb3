"""`spec.monitoring.cost`: the public list prices of some clouds, and a person's own in their place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from ...kernel.fragment import Fragment

LISTED = "USD"
OF_COLD = "coldGiBMonth"
PATTERN = "^[0-9]{1,9}([.][0-9]{1,9})?$"
NO_PRICE = 'a price is a number in quotes such as "0.08": at most nine digits before the point, and nine after it'


def _checked(text: str) -> str:
    if re.fullmatch(PATTERN, text) is None:
        raise ValueError(NO_PRICE)
    return text


Price = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [{"rule": f"self.matches('{PATTERN}')", "message": NO_PRICE}],
        }
    ),
]


class Cloud(StrEnum):
    AWS = "AWS"
    GOOGLE = "GoogleCloud"
    AZURE = "Azure"


class Prices(Fragment):
    """Prices in the currency, each a number in quotes. The cloud's list price counts where one is absent."""

    cpu_hour: Price | None = None
    """One vCPU for an hour."""
    memory_gib_hour: Price | None = Field(default=None, alias="memoryGiBHour")
    """One GiB of memory for an hour."""
    volume_gib_month: Price | None = Field(default=None, alias="volumeGiBMonth")
    """One GiB of a volume for a month, used or not."""
    object_gib_month: Price | None = Field(default=None, alias="objectGiBMonth")
    """One GiB in the object store for a month."""
    thousand_writes: Price | None = None
    """A thousand requests that write to the object store, or list what is there."""
    thousand_reads: Price | None = None
    """A thousand requests that read from it."""
    cold_gib_month: Price | None = Field(default=None, alias=OF_COLD)
    """One GiB of what tiering keeps in the object store for a month. When absent: objectGiBMonth for the standard
    storage class, and for another one the cloud's list price, which is in USD."""

    def given(self) -> dict[str, str]:
        """Those of NAMES that are set, by their Python names."""
        return self.model_dump(exclude_none=True, exclude={"cold_gib_month"})

    def over(self, others: "Prices") -> "Prices":
        """These, and the others' where one is absent."""
        return others.model_copy(update=self.model_dump(exclude_none=True))


NAMES = tuple(str(field.alias) for field in Prices.model_fields.values() if field.alias != OF_COLD)
"""Of the prices that each list has."""
ALL = f"another currency than {LISTED}, in which the lists are, needs all prices: {', '.join(NAMES)}"
_ALL = f"self.currency == '{LISTED}' || ({' && '.join(f'has(self.prices.{name})' for name in NAMES)})"
RULES = ({"rule": _ALL, "message": ALL, "fieldPath": ".prices"},)


class Cost(Fragment):
    """What status.cost is reckoned with."""

    cloud: Cloud = Cloud.AWS
    """Whose list prices count: AWS in us-east-1, GoogleCloud in us-central1, Azure in East US. They are without any
    discount; status.cost.why says of which month."""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = LISTED
    """What all prices are in, as a label: nothing is converted. Another one than USD needs all prices."""
    prices: Prices = Prices()
    """Prices that replace the cloud's: of another region, with a discount, or of machines of one's own."""

    @model_validator(mode="after")
    def _in_one_currency(self) -> "Cost":
        if self.currency != LISTED and len(self.prices.given()) < len(NAMES):
            raise ValueError(ALL)
        return self

    def all_prices(self) -> Prices:
        """Those that count; that of cold data only where the spec has it."""
        return self.prices.over(LISTS[self.cloud].prices)

    def of_cold(self, storage_class: str | None) -> str | None:
        """The price of cold data in a storage class, the bucket's own where None; None where there is none."""
        prices = self.all_prices()
        if prices.cold_gib_month is not None:
            return prices.cold_gib_month
        standard = storage_class in (None, *LISTS[self.cloud].standard)
        return prices.object_gib_month if standard else self.listed(storage_class)

    def listed(self, storage_class: str | None) -> str | None:
        """The list's price of a class, if it has one that is not the standard class's."""
        return LISTS[self.cloud].classes.get(storage_class or "") if self.currency == LISTED else None


@dataclass(frozen=True, slots=True)
class PriceList:
    """Public prices in USD, without discounts or free shares."""

    region: str
    known: str
    """The month, YYYY-MM, of which they are known."""
    compute: str
    """What is listed as compute: AWS and Azure list whole machines, which are divided as Google lists its own."""
    volume: str
    object: str
    prices: Prices
    standard: tuple[str, ...]
    """Storage classes that cost what objects do."""
    classes: Mapping[str, str]
    """What a GiB of the others costs a month, of those that answer at once."""


def _prices(*each: str) -> Prices:
    return Prices.model_validate(dict(zip(NAMES, each, strict=True)))


LISTS: Mapping[Cloud, PriceList] = {
    Cloud.AWS: PriceList(
        "us-east-1",
        "2025-01",
        "EC2 On-Demand, m6i.large (2 vCPU, 8 GiB) for 0.096 an hour",
        "EBS gp3",
        "S3 Standard, first 50 TB",
        _prices("0.0312", "0.0042", "0.08", "0.023", "0.005", "0.0004"),
        ("STANDARD", "INTELLIGENT_TIERING"),
        {"STANDARD_IA": "0.0125", "ONEZONE_IA": "0.01", "GLACIER_IR": "0.004"},
    ),
    Cloud.GOOGLE: PriceList(
        "us-central1",
        "2025-01",
        "Compute Engine on demand, N2 predefined vCPU and memory",
        "balanced persistent disk",
        "Cloud Storage Standard, regional",
        _prices("0.031611", "0.004237", "0.10", "0.020", "0.005", "0.0004"),
        ("STANDARD",),
        {"NEARLINE": "0.010", "COLDLINE": "0.004", "ARCHIVE": "0.0012"},
    ),
    Cloud.AZURE: PriceList(
        "East US",
        "2025-01",
        "Virtual Machines pay as you go, Linux, D2s v5 (2 vCPU, 8 GiB) for 0.096 an hour",
        "Standard SSD managed disk, LRS, E10 to E30",
        "Blob Storage hot, LRS, first 50 TB",
        _prices("0.0312", "0.0042", "0.075", "0.0208", "0.0055", "0.00044"),
        ("STANDARD", "HOT"),
        {"COOL": "0.0152", "COLD": "0.0036"},
    ),
}
