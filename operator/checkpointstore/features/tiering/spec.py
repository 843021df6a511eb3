"""`spec.tiering`: where cold threads go, and after how long."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from ...kernel.cron import Cron
from ...kernel.duration import Duration, cel, duration
from ...kernel.fragment import Fragment
from ...kernel.object_store import ObjectStore

MOST = 4
NAMES = "each tier needs a name of its own"
ORDER = "each tier needs a longer after than the one before it"
_ORDER = " && ".join(
    f"(size(self) <= {number} || {cel(f'self[{number - 1}].after')} < {cel(f'self[{number}].after')})"
    for number in range(1, MOST)
)
TIERS_RULES = (
    {"rule": "self.all(a, self.exists_one(b, b.name == a.name))", "message": NAMES},
    {"rule": _ORDER, "message": ORDER},
)
LAST = "retention.deleteAfter must be longer than each tiering.tiers[].after: a thread would go before it gets there"
RULE = (
    "!has(self.spec.tiering) || !has(self.spec.retention) || !has(self.spec.retention.deleteAfter) || "
    f"self.spec.tiering.tiers.all(t, {cel('self.spec.retention.deleteAfter')} > {cel('t.after')})"
)


class Tier(Fragment):
    """Where threads are that have been idle for a while."""

    name: Annotated[str, Field(pattern="^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=32)]
    """A word for people, such as cold, which is in each object and its manifest."""
    after: Duration
    """A thread moves here when its last write is as old as this, in hours (h), days (d) or weeks (w); from another tier
    once all that are in an object with it are as old."""
    storage_class: Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$", max_length=64)] | None = None
    """The class that objects are written with, such as STANDARD_IA; one that answers at once. The bucket's own when
    absent."""


def _steps(tiers: Sequence[Tier]) -> Sequence[Tier]:
    if len({tier.name for tier in tiers}) < len(tiers):
        raise ValueError(NAMES)
    if any(duration(one.after) >= duration(next_.after) for one, next_ in pairwise(tiers)):
        raise ValueError(ORDER)
    return tiers


class Tiering(Fragment):
    """Threads that nobody writes to any more move to an object store, and come back when they are asked for."""

    object_store: ObjectStore
    """Where they are kept, below cold-data/NAMESPACE/NAME/UID of the store."""
    tiers: Annotated[
        list[Tier],
        Field(min_length=1, max_length=MOST, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        AfterValidator(_steps),
    ]
    """One to four, each with a longer `after` than the one before it. Objects move down, and never up."""
    keep_latest_hot: bool = True
    """The newest checkpoint of each thread stays in the database, with what it needs, so that a stock saver resumes any
    thread. Without, whole threads go, and an application asks for one by `checkpointstore.recall` before it reads."""
    schedule: Cron = "*/10 * * * *"
    """When threads are looked at: a cron line of five fields, in UTC."""
    dry_run: bool = False
    """Only say in status what would move; nothing does."""

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that it needs."""
        return self.object_store.secrets()
