"""`spec.pooler`: how clients share server connections, and how many pods do it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from ...kernel.compute import Resources
from ...kernel.fragment import Fragment
from ...kernel.prometheus import PrometheusServer
from ...kernel.values import seconds

MOST_INSTANCES = 20
ONE_OF = "set at most one of instances and autoscaling"
ORDER = "minInstances must not be above maxInstances"
_ONE_OF = "!has(self.instances) || !has(self.autoscaling)"
_ORDER = "self.minInstances <= self.maxInstances"
RULES = ({"rule": _ONE_OF, "message": ONE_OF, "fieldPath": ".autoscaling"},)
AUTOSCALING_RULES = ({"rule": _ORDER, "message": ORDER, "fieldPath": ".minInstances"},)


class PoolMode(StrEnum):
    TRANSACTION = "Transaction"
    SESSION = "Session"


class Autoscaling(Fragment):
    """How the pooler follows the load, as Prometheus tells it."""

    min_instances: int = Field(default=2, ge=1, le=MOST_INSTANCES)
    """The fewest pooler pods."""
    max_instances: int = Field(default=8, ge=1, le=MOST_INSTANCES)
    """The most pooler pods."""
    max_wait: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}(ms|s)$")] = "50ms"
    """How long a transaction may wait for a server connection, on average, before the pooler grows; in ms or s."""
    scale_down_after: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}[smh]$")] = "10m"
    """How long less must have sufficed before the pooler shrinks; in s, m or h. Up to sixteen times as long where it
    had to grow again soon after."""
    prometheus: PrometheusServer | None = None
    """Where the load is read. The operator's own setting when absent."""

    @model_validator(mode="after")
    def _ordered(self) -> "Autoscaling":
        if self.min_instances > self.max_instances:
            raise ValueError(ORDER)
        return self

    @property
    def wait(self) -> float:
        """`max_wait` in seconds."""
        return seconds(self.max_wait)

    @property
    def patience(self) -> float:
        """`scale_down_after` in seconds."""
        return seconds(self.scale_down_after)


class Pooler(Fragment):
    """The connection pooler that applications talk to."""

    pool_mode: PoolMode = PoolMode.TRANSACTION
    """Transaction: a server connection is lent for one transaction. Session: for the client's whole connection."""
    instances: int | None = Field(default=None, ge=1, le=MOST_INSTANCES)
    """Number of pooler pods; 2 when neither this nor autoscaling is set."""
    autoscaling: Autoscaling | None = None
    """Instead of a number: as many pods, and as many server connections, as the load needs."""
    resources: Resources = Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "256Mi"})
    """Requests and limits of the pgbouncer container."""

    @model_validator(mode="after")
    def _one(self) -> "Pooler":
        if self.instances is not None and self.autoscaling:
            raise ValueError(ONE_OF)
        return self

    @property
    def least(self) -> int:
        """The fewest pods."""
        return self.autoscaling.min_instances if self.autoscaling else self.instances or 2

    @property
    def most(self) -> int:
        """The most pods."""
        return self.autoscaling.max_instances if self.autoscaling else self.least

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that it needs."""
        server = self.autoscaling.prometheus if self.autoscaling else None
        return server.secrets() if server else frozenset()
