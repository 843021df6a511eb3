"""What a tiering Job and the recaller are asked to do, the JSON in their environment, and how a run ended."""

from datetime import datetime

from pydantic import Field

from ...kernel.fragment import Fragment
from ...kernel.object_store import Where
from ...kernel.scheduled import Ending, Report, Run, Whose


class Place(Whose, Where):
    """Whose database it is as well. All that the recaller needs to know."""


class Tier(Fragment):
    """A step down."""

    name: str = Field(min_length=1)
    """What objects say of themselves."""
    after: float = Field(ge=0)
    """It is for what was last written longer ago, in seconds."""
    storage_class: str | None = None
    """The bucket's own when absent."""


class Request(Place, Run):
    prefix: str = Field(min_length=1)
    """What the keys of this store's objects begin with; nothing else in the bucket is ever removed."""
    tiers: tuple[Tier, ...] = Field(min_length=1)
    """In their order. A thread moves once it is old enough for the first."""
    keep_latest_hot: bool = True
    delete_after: float | None = None
    """What is cold of a thread that is gone is forgotten once its last write is older."""
    wait: float = Field(default=3600, ge=0)
    """How long the values of moved checkpoints stay hot for a run that had read one of them and goes on from it."""
    grace: float = Field(default=86400, ge=0)
    """An object that nothing refers to goes after so long."""


class Moved(Fragment):
    threads: int = 0
    checkpoints: int = 0
    writes: int = 0
    blobs: int = 0
    """Values that were copied; they leave their table by a later run."""
    bytes: int = 0
    """What all these take in their tables, without indexes."""

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(**{name: getattr(self, name) + getattr(other, name) for name in Moved.model_fields})


class Holding(Fragment):
    """What the catalog knows of one tier."""

    name: str
    storage_class: str | None = None
    objects: int = 0
    bytes: int = 0
    threads: int = 0
    """With anything in it; one that has something in two tiers counts in both."""


class Cold(Fragment):
    """What the catalog knows."""

    threads: int = 0
    objects: int = 0
    bytes: int = 0
    """Of the objects."""
    waiting: int = 0
    """Threads that were asked for and are not back yet."""
    deleted: int = 0
    """Threads that were deleted, and of which an object still holds rows."""
    deleted_elsewhere: int = 0
    """Those of them whose objects are in the folder of another store, which this one was recovered from."""
    last_deletion: datetime | None = None
    tiers: tuple[Holding, ...] = ()
    """Each as it was written: a name with two classes counts as two."""


class Outcome(Report):
    moved: Moved = Moved()
    cold: Cold = Cold()
    collected: int = 0
    """Objects that nothing referred to any more, and that are gone."""
    rewritten: int = 0
    """Objects whose rows of use are in another one now."""
    writes: int = 0
    """Requests of the object store that write or list."""
    reads: int = 0


class Repeat(Place):
    """What the deletions Job is asked."""

    origin: str = Field(min_length=1)
    """The folder of the store that the data came from."""


class Repeated(Ending):
    entries: int = 0
    """Threads in the ledger."""
    deleted: int = 0
    unclear: int = 0
    """Threads that were left, as their checkpoints' ids do not tell whether they are older than the deletion."""
    seconds: float = 0
