"""What the list of reasons is made of: a condition with its reasons by status, and an event."""

from dataclasses import dataclass

from ..kernel.condition import Status


@dataclass(frozen=True, slots=True)
class Reason:
    name: str
    meaning: str
    stalls: bool = False
    """It stays until a person acts, so the store is Stalled for this reason too."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One condition: what it says, its reasons by status, and whether it also speaks for other conditions."""

    type: str
    meaning: str
    good: Status
    reasons: tuple[tuple[Status, tuple[Reason, ...]], ...]
    borrows: str = ""
    """Whose reasons it gives besides its own."""

    def abnormal(self) -> tuple[Reason, ...]:
        """The reasons that need a look."""
        return tuple(reason for status, listed in self.reasons if status is not self.good for reason in listed)


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    reason: str
    meaning: str
