"""Who wrote what to the API server, counted from its audit log."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from demo.kubectl import run

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def log() -> Path | None:
    """Where the local cluster's API server logs each request; None on a cluster that has no such log here."""
    path = Path(run([sys.executable, "-m", "localcluster", "audit-log"]).strip())
    return path if path.exists() else None


def writes(lines: Iterable[str], user: str, since: datetime, until: datetime) -> Counter[str]:
    """Finished writes of `user` in a span of time by `verb resource/name`, its Lease's renewal aside."""
    found: Counter[str] = Counter()
    for line in lines:
        if user not in line:
            continue
        event = json.loads(line)
        if event.get("stage") != "ResponseComplete" or event["user"]["username"] != user:
            continue
        when = datetime.fromisoformat(event["requestReceivedTimestamp"])
        target = event.get("objectRef", {})
        resource = target.get("resource", "?")
        if event["verb"] in WRITES and resource != "leases" and since <= when <= until:
            where = "/".join(filter(None, map(target.get, ("namespace", "resource", "subresource", "name"))))
            found[f"{event['verb']} {where}"] += 1
    return found


def now() -> datetime:
    """This moment, as the audit log writes it."""
    return datetime.now(UTC)
