"""Takes a store's repository out of the bucket: what its owner asked for when the store goes."""

import sys

from .job import Outcome, Request, run
from .pgbackrest import Repository


def work(request: Request) -> Outcome:
    path = f"{request.text('base')}/{request.text('uid')}"
    # Begun again after a kill it finds less, or nothing, and that is fine.
    Repository(path).call("repo-rm", "--recurse", stanza=False)
    return {"erased": path}


if __name__ == "__main__":
    sys.exit(run(work))
