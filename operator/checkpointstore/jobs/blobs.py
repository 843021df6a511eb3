"""The collection Job: values outside go that no row refers to, hot or cold, and that no recovery can bring back."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from ..adapters import postgres
from ..adapters.blobs import References
from ..adapters.bucket import Bucket
from ..features.blobs.request import Outcome, Request
from ..features.blobs.tag import until
from . import journal, life, mounted, progress

MOST = 1000
"""Objects that one request removes, and references between two words of how far it is."""


def _worked(environ: Mapping[str, str]) -> Outcome:
    begun = time.monotonic()
    request = life.asked(Request, environ)
    bucket = Bucket(mounted.account(environ, request))
    with postgres.connect(mounted.tables(environ, request), f"checkpointstore blobs {request.store}") as connection:
        references = References(connection, request.owner, request.group)
        life.alone("blobs", references.lock)
        outcome = _collected(references, bucket, request) if references.prepare() else Outcome()
    seconds = round(time.monotonic() - begun, 1)
    return outcome.model_copy(update={"dry_run": request.dry_run, "seconds": seconds})


_PROGRAM = life.Program(Outcome, _worked)
run, conclude = _PROGRAM.run, _PROGRAM.conclude


def _collected(references: References, bucket: Bucket, asked: Request) -> Outcome:
    """What is in the bucket is listed first: a value that is referred to then is there."""
    closed = references.now() - timedelta(seconds=asked.grace)
    there = _there(bucket, asked.root, [asked.folder])
    old = {key for key in there if _closed(key, asked.folder, closed)}
    lost: set[str] = set()
    elsewhere: set[str] = set()
    for number, key in enumerate(references.referred()):
        if number % MOST == 0:
            progress.tell(objects=len(there), referred=number)
        old.discard(key)
        if not key.startswith(f"{asked.folder}/"):
            elsewhere.add(key)
        elif key not in there and _closed(key, asked.folder, closed):
            lost.add(key)
    lost |= elsewhere - _there(bucket, asked.root, {key.rsplit("/", 2)[0] for key in elsewhere}).keys()
    gone = references.unused(sorted(old), asked.keep)
    gone_bytes = sum(there[key] for key in gone)
    if not asked.dry_run:
        for first in range(0, len(gone), MOST):
            bucket.delete([f"{asked.root}/{key}" for key in gone[first : first + MOST]])
            journal.write("removed", objects=len(gone[first : first + MOST]))
    left = 0 if asked.dry_run else len(gone)
    return Outcome(
        objects=len(there) - left,
        bytes=sum(there.values()) - (gone_bytes if left else 0),
        unused=len(old) - len(gone),
        removed=len(gone),
        removed_bytes=gone_bytes,
        elsewhere=len(elsewhere),
        missing=len(lost),
        example=min(lost, default=""),
    )


def _there(bucket: Bucket, root: str, folders: Iterable[str]) -> dict[str, int]:
    """Bytes of each value in these folders, by its key."""
    found = (item for folder in folders for item in bucket.sizes(f"{root}/{folder}/"))
    return {key.removeprefix(f"{root}/"): size for key, size in found}


def _closed(key: str, folder: str, before: datetime) -> bool:
    """Whether no row can have begun to refer to it lately."""
    at = until(key, folder)
    return at is not None and at <= before
