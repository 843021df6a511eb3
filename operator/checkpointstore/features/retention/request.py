"""What a retention Job is asked to do, the JSON in its environment, and how it ended, its termination message."""

from pydantic import Field

from ...kernel.fragment import Fragment
from ...kernel.scheduled import Report, Run
from .space import LEAST


class Request(Run):
    keep_last: int = Field(default=0, ge=0)
    """0 keeps a thread's whole history, whatever `keep_for` says."""
    keep_for: float | None = None
    delete_after: float | None = None
    grace: float = Field(default=3600, ge=0)
    """How long the values of removed checkpoints wait for a run that had read one of them and goes on from it."""
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


class Outcome(Report):
    removed: Removed = Removed()
    delta: int = 0
    """Threads whose history was left alone because a DeltaChannel's values are made of it."""
    reusable: int | None = None
    """Bytes that are free inside the tables; None where that could not be told."""
    returned: int = 0
    """Bytes that went back to the volume, or would have."""
    kept: str = ""
    """Why what is free was not given back; "" where it was, or is not worth it."""
