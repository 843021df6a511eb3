"""The erasure Job: what a deleted store has in an object store goes, as its owner asked for."""

import os
from collections.abc import Mapping
from itertools import islice

from ..adapters.bucket import Bucket
from ..kernel.erasure import Erase, Erased
from . import life, mounted

PAGE = 1000
"""Objects that one request removes."""


def run(environ: Mapping[str, str] = os.environ) -> int:
    """Do the work, write the outcome where Kubernetes picks it up, and return the exit code."""
    life.begin()
    outcome, code = conclude(environ)
    return life.end(environ, outcome.text(), code)


def conclude(environ: Mapping[str, str]) -> tuple[Erased, int]:
    """The outcome and the exit code."""
    return life.concluded(Erased, lambda: _worked(environ))


def _worked(environ: Mapping[str, str]) -> Erased:
    request = life.asked(Erase, environ)
    bucket = Bucket(mounted.account(environ, request))
    # Begun again after a kill it finds less, or nothing, and that is fine.
    removed, keys = 0, (key for key, _ in bucket.keys(f"{request.folder}/"))
    while page := list(islice(keys, PAGE)):
        bucket.delete(page)
        removed += len(page)
    return Erased(removed=removed)
