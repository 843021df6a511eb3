"""The deletions Job: a database that was recovered deletes again what had been deleted when it was lost."""

import time
from collections.abc import Mapping

from ..adapters import postgres
from ..adapters.bucket import Bucket
from ..adapters.tiering import Archive
from ..features.tiering.request import Repeat, Repeated
from . import ledger, life, mounted


def _worked(environ: Mapping[str, str]) -> Repeated:
    begun = time.monotonic()
    request = life.asked(Repeat, environ)
    found = ledger.read(Bucket(mounted.account(environ, request)), request.origin)
    with postgres.connect(mounted.tables(environ, request), f"checkpointstore deletions {request.store}") as connection:
        archive = Archive(connection, request.owner, request.group, False)
        deleted, unclear = ledger.repeat(archive.deletions, found) if archive.prepare() else (0, 0)
    return Repeated(entries=len(found), deleted=deleted, unclear=unclear, seconds=round(time.monotonic() - begun, 1))


_PROGRAM = life.Program(Repeated, _worked)
run, conclude = _PROGRAM.run, _PROGRAM.conclude
