"""What a retention Job is asked to do, the JSON in its environment, and how it ended, its termination message."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, Field, ValidationError

from ...kernel.fragment import Fragment
from .space import LEAST


class Request(Fragment):
    """Durations are in seconds."""

    model_config = ConfigDict(extra="ignore")
    """What else the slice puts into the JSON only makes another Job of it."""

    store: str
    provider: str
    host: str = ""
    """Patroni only, as are port and database: an External store's Secret says its own."""
    port: int = 5432
    database: str = "app"
    owner: str = Field(default="app_owner", min_length=1, max_length=63)
    """The role that owns the tables; what is removed is removed as it."""
    group: str = Field(default="app", min_length=1, max_length=63)
    """The application's, which has no business with the Job's own tables."""
    keep_last: int = Field(default=0, ge=0)
    """0 keeps a thread's whole history, whatever `keep_for` says."""
    keep_for: float | None = None
    delete_after: float | None = None
    dry_run: bool = False
    grace: float = Field(default=3600, ge=0)
    """How long the values of removed checkpoints wait for a run that had read one of them and goes on from it."""
    limit: float = Field(default=480, gt=0)
    """How long a run may take; the next one goes on where it ended."""
    share: float = Field(default=0.25, gt=0, le=1)
    """The part of the time that it works in."""
    spare: int = Field(default=0, ge=0)
    """Bytes that may be written to the volumes; with 0 no table is rewritten."""
    least: int = Field(default=LEAST, gt=0)
    """A table is not rewritten for fewer bytes than these."""


class Removed(Fragment):
    checkpoints: int = 0
    writes: int = 0
    blobs: int = 0
    threads: int = 0
    """Whole threads."""
    bytes: int = 0
    """What these took in their tables, without indexes."""

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(**{name: getattr(self, name) + getattr(other, name) for name in Removed.model_fields})


class Outcome(Fragment):
    """Either what was done, or the reason and message of what is in the way."""

    threads: int = 0
    """That were looked at."""
    removed: Removed = Removed()
    delta: int = 0
    """Threads whose history was left alone because a DeltaChannel's values are made of it."""
    busy: int = 0
    """Threads that were left for the next run."""
    busy_reason: str = ""
    """What the server said of the last of them."""
    complete: bool = False
    """Whether all threads were looked at."""
    dry_run: bool = False
    seconds: float = 0
    reusable: int | None = None
    """Bytes that are free inside the tables; None where that could not be told."""
    returned: int = 0
    """Bytes that went back to the volume, or would have."""
    kept: str = ""
    """Why what is free was not given back; "" where it was, or is not worth it."""
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
