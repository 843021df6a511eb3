"""`spec.tiering`: where cold threads go, and after how long."""

from typing import Annotated

from pydantic import Field

from ...kernel.cron import Cron
from ...kernel.duration import Duration, cel
from ...kernel.fragment import Fragment
from ...kernel.object_store import ObjectStore

ORDER = "retention.deleteAfter must be longer than tiering.tiers[0].after: a thread would go before it becomes cold"
RULE = (
    "!has(self.spec.tiering) || !has(self.spec.retention) || !has(self.spec.retention.deleteAfter) || "
    f"{cel('self.spec.retention.deleteAfter')} > {cel('self.spec.tiering.tiers[0].after')}"
)


class Tier(Fragment):
    """Where threads go that have been idle for a while."""

    name: Annotated[str, Field(pattern="^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=32)]
    """A word for people, such as cold, which is in each object and its manifest."""
    after: Duration
    """A thread moves when its last write is as old as this, in hours (h), days (d) or weeks (w)."""
    storage_class: Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$", max_length=64)] | None = None
    """The class that objects are written with, such as STANDARD_IA; one that answers at once. The bucket's own when
    absent."""


class Tiering(Fragment):
    """Threads that nobody writes to any more move to an object store, and come back when they are asked for."""

    object_store: ObjectStore
    """Where they are kept, below cold-data/NAMESPACE/NAME/UID of the store."""
    tiers: Annotated[
        list[Tier], Field(min_length=1, max_length=1, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ]
    """The tier; there can be one."""
    keep_latest_hot: bool = True
    """The newest checkpoint of each thread stays in the database, with what it needs, so that a stock saver resumes any
    thread. Without, whole threads go, and an application asks for one by `checkpointstore.recall` before it reads."""
    schedule: Cron = "*/10 * * * *"
    """When threads are looked at: a cron line of five fields, in UTC."""
    dry_run: bool = False
    """Only say in status what would move; nothing does."""

    @property
    def tier(self) -> Tier:
        return self.tiers[0]

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that it needs."""
        return self.object_store.secrets()
