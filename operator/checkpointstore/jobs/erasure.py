"""The erasure Job: what a deleted store has in an object store goes, as its owner asked for."""

from collections.abc import Mapping
from itertools import islice

from ..adapters.bucket import Bucket
from ..kernel.erasure import Erase, Erased
from . import life, mounted

PAGE = 1000
"""Objects that one request removes."""


def _worked(environ: Mapping[str, str]) -> Erased:
    request = life.asked(Erase, environ)
    bucket = Bucket(mounted.account(environ, request))
    # Begun again after a kill it finds less, or nothing, and that is fine.
    removed, keys = 0, (key for key, _ in bucket.keys(f"{request.folder}/"))
    while page := list(islice(keys, PAGE)):
        bucket.delete(page)
        removed += len(page)
    return Erased(removed=removed)


_PROGRAM = life.Program(Erased, _worked)
run, conclude = _PROGRAM.run, _PROGRAM.conclude
