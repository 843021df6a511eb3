"""The deletions Job: a database that was recovered deletes again what had been deleted when it was lost."""

import os
import time
from collections.abc import Mapping

from ..adapters import postgres
from ..adapters.bucket import Bucket
from ..adapters.tiering import Archive
from ..features.tiering.request import Repeat, Repeated
from . import ledger, life, mounted


def run(environ: Mapping[str, str] = os.environ) -> int:
    """Do the work, write the outcome where Kubernetes picks it up, and return the exit code."""
    life.begin()
    outcome, code = conclude(environ)
    return life.end(environ, outcome.text(), code)


def conclude(environ: Mapping[str, str]) -> tuple[Repeated, int]:
    """The outcome and the exit code."""
    return life.concluded(Repeated, lambda: _worked(environ))


def _worked(environ: Mapping[str, str]) -> Repeated:
    begun = time.monotonic()
    request = life.asked(Repeat, environ)
    found = ledger.read(Bucket(mounted.account(environ, request)), request.origin)
    with postgres.connect(mounted.tables(environ, request), f"checkpointstore deletions {request.store}") as connection:
        archive = Archive(connection, request.owner, request.group, False)
        deleted, unclear = ledger.repeat(archive.deletions, found) if archive.prepare() else (0, 0)
    return Repeated(entries=len(found), deleted=deleted, unclear=unclear, seconds=round(time.monotonic() - begun, 1))
