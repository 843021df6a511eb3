"""The ledger: which threads were deleted when, kept in the bucket so that a recovered database deletes them again.

A thread is told by the SHA-256 of its id, in objects `ledger/TIME-RANDOM.json` below a store's folder.
"""

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from ..adapters.bucket import Bucket
from ..adapters.deletions import Deletions
from ..features.retention.identifier import TIMED, lowest
from ..kernel.errors import Unavailable
from . import journal

FOLDER = "/ledger/"
MOST = 10_000
"""Deletions in one object."""
KEEP = timedelta(days=30)
"""Beyond twice the recovery window: a base backup may be older than the window."""


def tell(deletions: Deletions, bucket: Bucket, prefix: str) -> None:
    """Write what was deleted since the last run."""
    while found := deletions.untold(MOST):
        key = f"{prefix}{FOLDER}{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.json"
        entries = [{"thread": digest, "at": at.isoformat()} for digest, at in found.items()]
        bucket.put(key, json.dumps({"schema": "1", "deletions": entries}).encode())
        deletions.told(found)
        journal.write("told", deletions=len(found))


def forget(deletions: Deletions, bucket: Bucket, prefix: str, window: float) -> None:
    """What no backup can bring back any more; `window` in seconds."""
    keep = 2 * window + KEEP.total_seconds()
    deletions.forget(keep)
    old = datetime.now(UTC) - timedelta(seconds=keep)
    if gone := [key for key, written in bucket.keys(prefix + FOLDER) if written < old]:
        bucket.delete(gone)


def read(bucket: Bucket, prefix: str) -> Mapping[str, datetime]:
    """The last deletion of each thread, by digest. Raises Unavailable where an object is none of ours."""
    last: dict[str, datetime] = {}
    for key, _ in bucket.keys(prefix + FOLDER):
        try:
            for entry in json.loads(bucket.get(key))["deletions"]:
                at = datetime.fromisoformat(entry["at"])
                last[entry["thread"]] = max(at, last.get(entry["thread"], at))
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"object {key} is no ledger of deletions: {type(error).__name__}") from None
    return last


def repeat(deletions: Deletions, ledger: Mapping[str, datetime]) -> tuple[int, int]:
    """Delete again what was deleted after its newest checkpoint; how many, and of how many that cannot be told."""
    deleted = unclear = 0
    digests = list(ledger)
    for first in range(0, len(digests), MOST):
        for found in deletions.threads(digests[first : first + MOST]):
            if not re.match(TIMED, found.newest):
                unclear += 1
            elif found.newest < lowest(ledger[found.sha256]):
                deletions.delete(found.thread)
                deleted += 1
    return deleted, unclear
