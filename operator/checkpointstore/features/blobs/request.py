"""What a collection Job is asked, the JSON in its environment, and how a run ended."""

from typing import Any

from pydantic import Field

from ...kernel.object_store import Where
from ...kernel.scheduled import Done, Whose, rounded


class Request(Whose, Where):
    """Durations are in seconds."""

    root: str = Field(min_length=1)
    """What keys begin with before the part that rows refer to."""
    folder: str = Field(min_length=1)
    """This store's own part of that; nothing else in the bucket is ever removed."""
    grace: float = Field(gt=0)
    """So long after no row can newly refer to it a value is looked at."""
    keep: float = Field(default=0, ge=0)
    """So long nothing may have referred to it."""
    dry_run: bool = False


class Outcome(Done):
    objects: int = 0
    """That are left in the store's folder."""
    bytes: int = 0
    """Of these."""
    unused: int = 0
    """Those that nothing refers to, and that wait for their grace, or as a recovery may need them."""
    removed: int = 0
    removed_bytes: int = 0
    elsewhere: int = 0
    """Values in the folder of another store, which this one was recovered from."""
    missing: int = 0
    """Values that rows refer to, and that are not there."""
    example: str = ""
    """The first of them."""

    def figures(self) -> dict[str, Any]:
        return {
            "objects": rounded(self.objects),
            "bytes": self.bytes,
            "unused": rounded(self.unused),
            "removed": rounded(self.removed),
            "removedBytes": rounded(self.removed_bytes),
            "elsewhere": rounded(self.elsewhere),
            "missing": rounded(self.missing),
            "example": self.example or None,
            **super().figures(),
        }
