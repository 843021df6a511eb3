"""How every Job begins and ends: a request in its environment, an outcome for Kubernetes to pick up, an exit code."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ..kernel.errors import Refused
from ..kernel.job import REFUSED as REFUSED
from . import journal

REQUEST = "CHECKPOINTSTORE_JOB"
RESULT = "CHECKPOINTSTORE_RESULT_FILE"
DONE, TRANSIENT = 0, 1
Kind = TypeVar("Kind", bound=BaseModel)


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


def end(environ: Mapping[str, str], outcome: str, code: int) -> int:
    """Write the outcome, JSON, and give the exit code back."""
    Path(environ.get(RESULT, "/dev/termination-log")).write_text(outcome, "utf-8")
    journal.write("finished", code=code, outcome=outcome)
    return code
