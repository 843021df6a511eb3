"""The contract with Kubernetes: a request in the environment, an outcome in a file, an exit code."""

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from . import journal
from .failure import TRANSIENT, Failure, refused, transient

REQUEST = "CHECKPOINTSTORE_JOB"
RESULT = "CHECKPOINTSTORE_RESULT_FILE"
LIMIT = 4096
DONE = 0

Outcome = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """JSON from the operator; what is missing or of another type is refused by name."""

    values: Mapping[str, Any]

    def text(self, key: str, default: str | None = None) -> str:
        return self._typed(key, str, default)

    def number(self, key: str) -> int:
        return self._typed(key, int, None)

    def flag(self, key: str) -> bool:
        return self._typed(key, bool, False)

    def texts(self, key: str) -> list[str]:
        values = self._typed(key, list, None)
        if not values or not all(isinstance(value, str) for value in values):
            raise refused("InvalidRequest", f"{REQUEST}: {key} must be a list of strings and not empty")
        return values

    def part(self, key: str) -> "Request":
        return Request(self._typed(key, dict, {}))

    def _typed(self, key: str, kind: type[T], default: T | None) -> T:
        value = self.values.get(key)
        value = default if value is None else value
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise refused("InvalidRequest", f"{REQUEST}: {key} must be a {kind.__name__}")
        return value


def run(work: Callable[[Request], Outcome], environ: Mapping[str, str] = os.environ) -> int:
    """Do the work, write the outcome where Kubernetes picks it up, and return the exit code."""
    # As a container's first process it would otherwise ignore SIGTERM; being cut off anywhere is fine.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TRANSIENT))
    outcome, code = _conclude(work, environ)
    Path(environ.get(RESULT, "/dev/termination-log")).write_text(text(outcome), "utf-8")
    journal.write("finished", code=code, reason=outcome.get("reason", ""), message=outcome.get("message", ""))
    return code


def text(outcome: Outcome) -> str:
    """The outcome as compact JSON that fits; only a message is ever long, and gives up its end."""
    line = _compact(outcome)
    if len(line) <= LIMIT:
        return line
    message = str(outcome.get("message", ""))
    low, high = 0, len(message)
    while low < high:
        middle = (low + high + 1) // 2
        fits = len(_compact({**outcome, "message": message[:middle] + "…"})) <= LIMIT
        low, high = (middle, high) if fits else (low, middle - 1)
    return _compact({**outcome, "message": message[:low] + "…"})


def _compact(outcome: Outcome) -> str:
    """In ASCII, so that a character is a byte."""
    known = {key: value for key, value in outcome.items() if value is not None}
    return json.dumps(known, separators=(",", ":"))


def _conclude(work: Callable[[Request], Outcome], environ: Mapping[str, str]) -> tuple[Outcome, int]:
    try:
        return work(_request(environ)), DONE
    except Failure as error:
        failure = error
    except OSError as error:
        failure = transient("SystemError", f"{type(error).__name__}: {error}")
    return {"reason": failure.reason, "message": failure.message}, failure.code


def _request(environ: Mapping[str, str]) -> Request:
    try:
        values = json.loads(environ.get(REQUEST, ""))
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise refused("InvalidRequest", f"{REQUEST} must be a JSON object")
    return Request(values)
