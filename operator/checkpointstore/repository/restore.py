"""Makes a data directory out of a backup and the archive, up to a target, and leaves it stopped and ready."""

import sys
from pathlib import Path
from typing import Any

from . import client, target
from .instance import Ended, Instance
from .job import Outcome, Request, run
from .pgbackrest import Repository
from .progress import Progress
from .recovery import recovered
from .state import State

# The new store has a password of its own; the old store's must not open it.
_CLOSE = """
SET default_transaction_read_only = off;
SELECT format('ALTER ROLE %I PASSWORD NULL', rolname) FROM pg_roles WHERE rolname IN ('app_a', 'app_b') \\gexec
"""


def work(request: Request) -> Outcome:
    directory = Path(request.text("dataDirectory"))
    state, asked = State(directory), dict[str, Any](request.values)
    wanted = target.parse(request.part("target"))
    state.lock()
    if (before := state.outcome(asked)) is not None:
        return before
    repository = Repository(f"{request.text('base')}/{request.text('uid')}")
    backup = target.named(repository.info().backups, request.text("backupId"))
    state.begin(asked)
    progress = Progress(directory, request.number("databaseSize"))
    progress.serve()
    instance = Instance(directory, request.number("memory"), durable=True)
    with recovered(repository, backup, wanted, instance, progress) as result:
        client.ask(instance.way, "postgres", _CLOSE)
        try:
            instance.stop(result.process)
        except Ended as ended:
            raise ended.failure() from None
    state.end(asked, result.outcome)
    return result.outcome


if __name__ == "__main__":
    sys.exit(run(work))
