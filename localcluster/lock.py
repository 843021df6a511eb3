"""Lets one command at a time change the host's cluster."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from localcluster.errors import LocalClusterError
from localcluster.host import need_root
from localcluster.layout import LOCK


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the host's lock for the block; the kernel lets go of it however the process ends."""
    need_root()
    with LOCK.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise held_by(file.read().strip()) from error
        # Its last holder may have removed the file between our opening and locking it.
        if not LOCK.exists() or LOCK.stat().st_ino != os.fstat(file.fileno()).st_ino:
            raise held_by("that has just ended")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            LOCK.unlink()


def held_by(process: str) -> LocalClusterError:
    """What to tell the second one."""
    return LocalClusterError(
        f"process {process} is bringing this host's cluster up or down: wait for it, then try again."
    )
