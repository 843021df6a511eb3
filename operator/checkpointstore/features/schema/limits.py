"""`spec.limits`: how large a checkpoint may be, for every saver, as the database itself refuses what is larger."""

from pydantic import Field, model_validator

from ...kernel.compute import Quantity
from ...kernel.fragment import Fragment
from ...kernel.values import quantity

# Beyond 512 MiB in all a stock saver can write a checkpoint that no server can ever read back.
LEAST, MOST = "1Ki", "500Mi"
RANGE = f"checkpointSize must be from {LEAST} to {MOST}: PostgreSQL cannot read what is larger in one piece"
_SIZE = "quantity(string(self.checkpointSize))"
RULES = (
    {
        "rule": f"!has(self.checkpointSize) || ({_SIZE}.compareTo(quantity('{LEAST}')) >= 0"
        f" && {_SIZE}.compareTo(quantity('{MOST}')) <= 0)",
        "message": RANGE,
        "fieldPath": ".checkpointSize",
    },
)


class Limits(Fragment):
    """What is too large to be stored."""

    checkpoint_size: Quantity | None = Field(default=None)
    """What the values of one checkpoint and its pending writes may be together, such as 64Mi or 10Ki, give or take two
    percent. A saver that puts more gets an error with thread, channel and size; from four fifths on there are
    warnings in PostgreSQL's log. What is there already stays, and a thread that is beyond it goes on once its values
    are smaller. No limit when absent."""

    @model_validator(mode="after")
    def _readable(self) -> "Limits":
        size = self.checkpoint_size
        if size is not None and not quantity(LEAST) <= quantity(size) <= quantity(MOST):
            raise ValueError(RANGE)
        return self

    @property
    def bytes(self) -> int:
        """0 for no limit."""
        return int(quantity(self.checkpoint_size)) if self.checkpoint_size is not None else 0
