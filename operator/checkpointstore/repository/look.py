"""Chooses what a recovery restores from, before any volume is made."""

import sys
import time
from collections.abc import Mapping

from . import archive, clock, target
from .failure import TRANSIENT, Failure, refused
from .info import Stanza
from .job import Outcome, Request, run
from .pgbackrest import Repository


def work(request: Request) -> Outcome:
    base, wanted = request.text("base"), target.parse(request.part("target"))
    uid = request.text("uid", "") or only(base, stanzas(base))
    repository = Repository(f"{base}/{uid}")
    stanza = repository.info()
    if not stanza.exists:
        raise refused("NoRepository", f"there is no repository at {base}/{uid}")
    now = time.time()
    backup = target.choose(stanza.backups, wanted, now)
    found = archive.read(repository.everything(), backup.archive_id)
    segments = target.path(backup, found, wanted, now)
    oldest = stanza.backups[0]
    return {
        "uid": uid,
        "backupId": backup.label,
        "databaseSize": backup.size,
        "firstRecoverabilityPoint": clock.whole(oldest.recoverable),
        "lastArchived": clock.whole(max(segment.at for segment in segments)),
        "timeline": max(segment.timeline for segment in segments),
    }


def stanzas(base: str) -> dict[str, Stanza | Failure]:
    """The repositories below `base`; one that cannot be read counts too."""
    found: dict[str, Stanza | Failure] = {}
    for name, entry in Repository(base).list().items():
        if entry["type"] != "path":
            continue
        try:
            stanza = Repository(f"{base}/{name}").info()
        except Failure as failure:
            if failure.code == TRANSIENT:
                raise
            found[name] = failure
            continue
        if stanza.exists:
            found[name] = stanza
    return found


def only(base: str, found: Mapping[str, Stanza | Failure]) -> str:
    if not found:
        raise refused("NoRepository", f"there is no repository below {base}")
    if len(found) > 1:
        several = "; ".join(f"{uid} ({_last(entry)})" for uid, entry in sorted(found.items()))
        raise refused("AmbiguousRepository", f"give the uid of one of the stores that were called so: {several}")
    ((uid, entry),) = found.items()
    if isinstance(entry, Failure):
        raise entry
    return uid


def _last(entry: Stanza | Failure) -> str:
    if isinstance(entry, Failure):
        return f"cannot be read: {entry.reason}"
    return f"last backup {clock.whole(entry.backups[-1].stop)}" if entry.backups else "no backup"


if __name__ == "__main__":
    sys.exit(run(work))
