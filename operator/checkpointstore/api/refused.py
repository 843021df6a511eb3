"""What the lists of refused specs are made of: who refuses one, and in which words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refused:
    """A spec that the API server does not take; `answer` is what kubectl prints, from the field path on."""

    what: str
    spec: Mapping[str, Any]
    answer: str
    before: Mapping[str, Any] | None = None
    """The spec it would replace, where only the change is refused."""


@dataclass(frozen=True, slots=True)
class Told:
    """A spec that the API server takes and the operator does not: a condition gives reason and message."""

    what: str
    condition: str
    reason: str
    message: str
