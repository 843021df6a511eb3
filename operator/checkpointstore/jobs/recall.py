"""The recaller: stands beside a store and brings back the threads that applications ask for."""

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache

from ..adapters import postgres
from ..adapters.bucket import Account, Bucket
from ..adapters.tiering import Archive
from ..features.tiering.request import Place
from ..kernel.errors import StoreError, Unavailable
from . import journal, life, mounted

LOOK = 30.0
"""Seconds after which it looks by itself: what failed is tried again, and what it did not hear is found."""
SOON, LATE = 1.0, 30.0


def run(environ: Mapping[str, str] = os.environ) -> None:
    """Serve until it is ended; whatever is in the way is waited for."""
    life.begin()
    pause = SOON
    while True:
        begun = time.monotonic()
        try:
            serve(environ)
        except StoreError as error:
            journal.write("waiting", message=error.message[:500])
        pause = SOON if time.monotonic() - begun > LATE else min(LATE, pause * 2)
        time.sleep(pause)


def serve(environ: Mapping[str, str]) -> None:
    """One session with the primary; only errors end it."""
    place = life.asked(Place, environ)
    with postgres.connect(mounted.tables(environ, place), f"checkpointstore recaller {place.store}") as connection:
        archive = Archive(connection, place.owner, place.group, False)
        if not archive.prepare():
            raise Unavailable("there are no checkpoint tables yet")
        archive.listen()
        # A new one, and its first request, take half as long as a small thread.
        opened = lru_cache(maxsize=1)(Bucket)
        while True:
            drain(archive, environ, place, opened)
            archive.heard(LOOK)


def drain(
    archive: Archive, environ: Mapping[str, str], place: Place, opened: Callable[[Account], Bucket] = Bucket
) -> None:
    """Bring back all that were asked for, one after another."""
    while threads := archive.waiting():
        # Credentials may change at any time.
        bucket = opened(mounted.account(environ, place))
        for thread in threads:
            begun = time.monotonic()
            try:
                rows = archive.bring(thread, bucket)
                journal.write("recalled", rows=rows, seconds=round(time.monotonic() - begun, 3))
            except StoreError as error:
                journal.write("failed", message=error.message[:500])
                archive.failed(thread, error.message)
