"""How every Job begins and ends: a request in its environment, an outcome for Kubernetes to pick up, an exit code."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from ..kernel.errors import Refused, StoreError, Unavailable
from ..kernel.job import REFUSED as REFUSED
from . import journal, progress

REQUEST = "CHECKPOINTSTORE_JOB"
RESULT = "CHECKPOINTSTORE_RESULT_FILE"
DONE, TRANSIENT = 0, 1
PATIENCE = 3.0
"""Seconds."""
Kind = TypeVar("Kind", bound=BaseModel)


class Ending(Protocol):
    """A Job's outcome, as far as it can fail and is told."""

    @classmethod
    def failure(cls, reason: str, message: str) -> Self: ...
    def text(self) -> str: ...


Outcome = TypeVar("Outcome", bound=Ending)


def begin() -> None:
    """As a container's first process it would otherwise ignore SIGTERM; being cut off anywhere is fine."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TRANSIENT))


class Program(Generic[Outcome]):
    """A Job: what it does with its environment, and how that is told."""

    def __init__(self, kind: type[Outcome], work: Callable[[Mapping[str, str]], Outcome]) -> None:
        self._kind, self._work = kind, work

    def run(self, environ: Mapping[str, str] = os.environ) -> int:
        """Do the work, write the outcome where Kubernetes picks it up, and return the exit code."""
        begin()
        progress.serve(environ)
        outcome, code = self.conclude(environ)
        Path(environ.get(RESULT, "/dev/termination-log")).write_text(outcome.text(), "utf-8")
        journal.write("finished", code=code, outcome=outcome.text())
        return code

    def conclude(self, environ: Mapping[str, str]) -> tuple[Outcome, int]:
        """What the work came to, or a failure with reason and message, and the exit code."""
        try:
            return self._work(environ), DONE
        except Refused as error:
            return self._kind.failure(error.reason, error.message), REFUSED
        except StoreError as error:
            return self._kind.failure("Unavailable", error.message), TRANSIENT


def alone(kind: str, lock: Callable[[], bool]) -> None:
    """Wait a moment for the lock that one Job of a kind holds. Raises Unavailable."""
    begun = time.monotonic()
    while not lock():
        # The server may not have noticed yet that the one before is gone.
        if time.monotonic() - begun > PATIENCE:
            raise Unavailable(f"another {kind} Job is at work")
        time.sleep(0.1)


def asked(kind: type[Kind], environ: Mapping[str, str]) -> Kind:
    """The request. Raises Refused("InvalidRequest") naming each field that is wrong."""
    try:
        return kind.model_validate_json(environ.get(REQUEST, ""))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Refused("InvalidRequest", f"{REQUEST}: {problems}") from None
