"""`spec.monitoring`: what a person wants to be told of."""

from typing import Annotated

from pydantic import Field, model_validator

from ...kernel.fragment import Fragment
from ...kernel.values import seconds
from .price import Cost

ANY = "set at least one of writesPerSecond, p99 and storageDaysLeft"
_ANY = "has(self.writesPerSecond) || has(self.p99) || has(self.storageDaysLeft)"
THRESHOLD_RULES = ({"rule": _ANY, "message": ANY},)


class Thresholds(Fragment):
    """What the condition ThresholdsExceeded, and an event, tell of. Prometheus must scrape the instances."""

    writes_per_second: int | None = Field(default=None, ge=1, le=10_000_000)
    """Rows that may be written to the checkpoint tables a second."""
    p99: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}(ms|s)$")] | None = None
    """How long 99 of 100 statements may take in the server, in ms or s: of put, put_writes and get the slowest."""
    storage_days_left: int | None = Field(default=None, ge=1, le=3650)
    """For how many days the volumes must still have room at the pace of the last days."""
    sustained_for: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}[mh]$")] = "10m"
    """How long without a break a threshold must be exceeded before it is told, and kept before that is; in m or h."""

    @model_validator(mode="after")
    def _some(self) -> "Thresholds":
        if self.writes_per_second is None and self.p99 is None and self.storage_days_left is None:
            raise ValueError(ANY)
        return self

    @property
    def sustained(self) -> float:
        """`sustained_for` in seconds."""
        return seconds(self.sustained_for)

    @property
    def slow(self) -> float | None:
        """`p99` in seconds."""
        return seconds(self.p99) if self.p99 else None


class Monitoring(Fragment):
    """What a person wants to be told of."""

    thresholds: Thresholds | None = None
    """What the condition ThresholdsExceeded tells of; it is not there when absent."""
    cost: Cost | None = None
    """With what status.cost is reckoned; it is not there when absent. With {} the list prices of AWS."""
