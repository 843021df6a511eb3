"""What a tiering Job and the recaller are asked to do, the JSON in their environment, and how a run ended."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, Field, ValidationError

from ...kernel.fragment import Fragment


class Place(Fragment):
    """Whose database it is, and where the objects are. All that the recaller needs to know."""

    model_config = ConfigDict(extra="ignore")
    """What else the slice puts into the JSON only makes another Job of it."""

    store: str
    provider: str
    host: str = ""
    """Patroni only, as are port and database: an External store's Secret says its own."""
    port: int = 5432
    database: str = "app"
    owner: str = Field(default="app_owner", min_length=1, max_length=63)
    """The role that owns the tables; what is moved is moved as it."""
    group: str = Field(default="app", min_length=1, max_length=63)
    """The application's, which may recall and sees nothing of the catalog."""
    bucket: str = Field(min_length=1)
    endpoint: str | None = None
    """Amazon's of the region when absent."""
    region: str = "us-east-1"
    path_style: bool = False
    authority: str = ""
    """The file with the authority of the object store's certificate; the public ones when empty."""


class Request(Place):
    """Durations are in seconds."""

    prefix: str = Field(min_length=1)
    """What the keys of this store's objects begin with; nothing else in the bucket is ever removed."""
    tier: str = Field(min_length=1)
    """What objects say of themselves."""
    after: float = Field(ge=0)
    """A thread moves once its last write is older."""
    keep_latest_hot: bool = True
    storage_class: str | None = None
    delete_after: float | None = None
    """What is cold of a thread that is gone is forgotten once its last write is older."""
    dry_run: bool = False
    wait: float = Field(default=3600, ge=0)
    """How long the values of moved checkpoints stay hot for a run that had read one of them and goes on from it."""
    grace: float = Field(default=86400, ge=0)
    """An object that nothing refers to goes after so long."""
    limit: float = Field(default=480, gt=0)
    """How long a run may take before it begins no other thread; the next one goes on where it ended."""
    share: float = Field(default=0.25, gt=0, le=1)
    """The part of the time that it works in."""


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


class Cold(Fragment):
    """What the catalog knows."""

    threads: int = 0
    objects: int = 0
    bytes: int = 0
    """Of the objects."""
    waiting: int = 0
    """Threads that were asked for and are not back yet."""


class Outcome(Fragment):
    """Either what was done, or the reason and message of what is in the way."""

    threads: int = 0
    """That were looked at."""
    moved: Moved = Moved()
    cold: Cold = Cold()
    collected: int = 0
    """Objects that nothing referred to any more, and that are gone."""
    busy: int = 0
    """Threads that were left for the next run."""
    busy_reason: str = ""
    """What was in the way of the last of them."""
    complete: bool = False
    """Whether all threads were looked at."""
    dry_run: bool = False
    seconds: float = 0
    reason: str = ""
    message: str = ""

    def text(self) -> str:
        return self.model_dump_json(by_alias=True)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self | None:
        """What a run says that did its work; None where it says something else."""
        try:
            return cls.model_validate(said) if "complete" in said and not said.get("reason") else None
        except ValidationError:
            return None
