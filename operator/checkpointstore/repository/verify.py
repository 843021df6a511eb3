"""Proves that the newest backup and the archive after it can be recovered: reads all, restores, replays, compares."""

import sys
import time
from pathlib import Path

from . import check, target
from .failure import Failure, refused
from .instance import Ended, Instance
from .job import Outcome, Request, run
from .pgbackrest import Repository
from .progress import Progress
from .recovery import Recovered, recovered
from .state import State
from .target import Target


def work(request: Request) -> Outcome:
    start = time.monotonic()
    directory = Path(request.text("dataDirectory"))
    live = request.part("live")
    address = (live.text("host"), live.number("port"))
    state = State(directory)
    state.lock()
    repository = Repository(f"{request.text('base')}/{request.text('uid')}")
    backup = target.choose(repository.info().backups, Target(), time.time())
    state.begin({"verify": True})
    progress = Progress(directory, backup.size)
    progress.serve()
    progress.enter("verifying")
    check.repository(repository)
    instance = Instance(directory, request.number("memory"), durable=False)
    try:
        with recovered(repository, backup, Target(), instance, progress) as result:
            progress.enter("checking")
            facts = _contents(result, request.text("database"), address)
    except Failure as failure:
        raise _of_repository(failure) from None
    return {
        "backupId": backup.label,
        "recoveredTo": result.outcome["recoveredTo"],
        "seconds": round(time.monotonic() - start, 1),
        "bytes": result.outcome["bytes"],
        **facts,
    }


def _contents(result: Recovered, database: str, live: tuple[str, int]) -> Outcome:
    instance = result.instance
    check.catalog(instance, database)
    tables = check.indexes(instance, database)
    threads = check.threads(instance, database, live)
    try:
        instance.stop(result.process)
    except Ended as ended:
        raise ended.failure() from None
    check.checksums(instance)
    return {"threads": threads, "tables": tables}


def _of_repository(failure: Failure) -> Failure:
    """A hole after the newest backup is damage, when nobody asked for a target behind it."""
    if failure.reason == "TargetInGap":
        return refused("RepositoryDamaged", f"{failure.message}; take a backup, so that later targets need none of it")
    return failure


if __name__ == "__main__":
    sys.exit(run(work))
