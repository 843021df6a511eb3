"""What an agent script says and is told: one JSON object a line, so that a person and a test read the same thing."""

import json
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

STOP = Path("/tmp/stop")
"""Whoever makes this file ends a script early that looks for it."""


def say(event: str, **fields: Any) -> None:
    """Print one event with the time it happened, seconds since the epoch; in one piece, as threads do so, too."""
    sys.stdout.write(json.dumps({"event": event, "at": round(time.time(), 3), **fields}) + "\n")
    sys.stdout.flush()


def finish(ok: bool, **fields: Any) -> NoReturn:
    """Print the result and end the program with it."""
    say("result", ok=ok, **fields)
    sys.exit(0 if ok else 1)
