"""A program's log: one line of JSON an event, to standard error; never a secret."""

import json
import sys
from datetime import UTC, datetime


def write(event: str, **facts: str | int | float) -> None:
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
    print(json.dumps(line), file=sys.stderr, flush=True)
