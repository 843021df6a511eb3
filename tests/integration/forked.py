"""The tiering Job in a process that is there at once: it is forked from one that has imported what it needs."""

import multiprocessing
import os
from datetime import timedelta
from multiprocessing.process import BaseProcess

from checkpointstore.adapters import bucket, cold, part
from checkpointstore.jobs import tiering

PATIENCE, TIMEOUT = timedelta(seconds=0.2), timedelta(seconds=1)
"""How long a request to the object store is tried, and how long one try takes."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def begin(environ: dict[str, str]) -> BaseProcess:
    process = _FORKS.Process(target=_run, args=(environ,))
    process.start()
    return process


def _run(environ: dict[str, str]) -> None:
    """An object holds a thread or two, so that threads go all the time."""
    bucket.PATIENCE, bucket.TIMEOUT = PATIENCE, TIMEOUT
    cold.ROWS, part.BATCH_ROWS, tiering.OBJECT = 300, 300, 1
    os.environ.update(environ)
    os._exit(tiering.run())
