"""How every Job begins and ends: a request in its environment, an outcome for Kubernetes to pick up, an exit code."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from ..kernel.errors import Refused, StoreError
from ..kernel.job import REFUSED as REFUSED
from . import journal

REQUEST = "CHECKPOINTSTORE_JOB"
RESULT = "CHECKPOINTSTORE_RESULT_FILE"
DONE, TRANSIENT = 0, 1
Kind = TypeVar("Kind", bound=BaseModel)


class Ending(Protocol):
    """A Job's outcome, as far as it can fail."""

    @classmethod
    def failure(cls, reason: str, message: str) -> Self: ...


Outcome = TypeVar("Outcome", bound=Ending)


def begin() -> None:
    """As a container's first process it would otherwise ignore SIGTERM; being cut off anywhere is fine."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TRANSIENT))


def asked(kind: type[Kind], environ: Mapping[str, str]) -> Kind:
    """The request. Raises Refused("InvalidRequest") naming each field that is wrong."""
    try:
        return kind.model_validate_json(environ.get(REQUEST, ""))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Refused("InvalidRequest", f"{REQUEST}: {problems}") from None


def concluded(kind: type[Outcome], work: Callable[[], Outcome]) -> tuple[Outcome, int]:
    """What the work came to, or a failure with reason and message, and the exit code."""
    try:
        return work(), DONE
    except Refused as error:
        return kind.failure(error.reason, error.message), REFUSED
    except StoreError as error:
        return kind.failure("Unavailable", error.message), TRANSIENT


def end(environ: Mapping[str, str], outcome: str, code: int) -> int:
    """Write the outcome, JSON, and give the exit code back."""
    Path(environ.get(RESULT, "/dev/termination-log")).write_text(outcome, "utf-8")
    journal.write("finished", code=code, outcome=outcome)
    return code
