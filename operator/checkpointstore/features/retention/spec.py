"""`spec.retention`: how much of each thread's history stays, when whole threads go, and when that is looked after."""

from pydantic import Field, model_validator

from ...kernel.cron import Cron
from ...kernel.duration import Duration, cel, duration
from ...kernel.fragment import Fragment

ANY_HISTORY = "set at least one of keepLast and keepFor"
ANY = "set at least one of history and deleteAfter"
ORDER = "deleteAfter must not be shorter than history.keepFor"
_ORDER = (
    "!has(self.deleteAfter) || !has(self.history) || !has(self.history.keepFor) || "
    f"{cel('self.deleteAfter')} >= {cel('self.history.keepFor')}"
)
HISTORY_RULES = ({"rule": "has(self.keepLast) || has(self.keepFor)", "message": ANY_HISTORY},)
RULES = (
    {"rule": "has(self.history) || has(self.deleteAfter)", "message": ANY},
    {"rule": _ORDER, "message": ORDER, "fieldPath": ".deleteAfter"},
)


class History(Fragment):
    """How much of a thread's history stays: a checkpoint stays while any of these keeps it, and the newest always."""

    keep_last: int | None = Field(default=None, ge=1, le=100_000)
    """So many of a thread's newest checkpoints stay."""
    keep_for: Duration | None = None
    """A checkpoint stays so long from the time in its id, in hours (h), days (d) or weeks (w); one whose id tells no
    time stays."""

    @model_validator(mode="after")
    def _any(self) -> "History":
        if self.keep_last is None and self.keep_for is None:
            raise ValueError(ANY_HISTORY)
        return self


class Retention(Fragment):
    """How long checkpoints stay. What is removed is gone from the database; backups keep it for their own time."""

    history: History | None = None
    """How much of a thread's history stays; all of it when absent."""
    delete_after: Duration | None = None
    """A whole thread goes when its newest checkpoint is as old as this, in hours (h), days (d) or weeks (w); never when
    absent."""
    schedule: Cron = "*/10 * * * *"
    """When it is looked after: a cron line of five fields, in UTC."""
    dry_run: bool = False
    """Only say in status what would go; nothing is removed."""

    @model_validator(mode="after")
    def _some(self) -> "Retention":
        if self.history is None and self.delete_after is None:
            raise ValueError(ANY)
        keep_for = self.history.keep_for if self.history else None
        if self.delete_after and keep_for and duration(self.delete_after) < duration(keep_for):
            raise ValueError(ORDER)
        return self
