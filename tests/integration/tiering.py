"""Runs the tiering Job and the recaller on a store of the tests and a bucket, and says what is where."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from checkpointstore.adapters import postgres
from checkpointstore.adapters.bucket import Bucket
from checkpointstore.adapters.tiering import Archive
from checkpointstore.features.tiering.request import Outcome, Place
from checkpointstore.jobs import mounted, recall, tiering
from tests.integration import graphs, objectstore
from tests.integration.job import PASSWORDS
from tests.integration.pruning import COPY
from tests.integration.pruning import Store as Pruned

WHOLE: dict[str, Any] = {"keepLatestHot": False}
"""What to ask for whole threads to move."""
PREFIX = "cold-data/shop/agents/uid"
JOB = "from checkpointstore.jobs.tiering import run; raise SystemExit(run())"
# An object holds a thread or two, so that threads go all the time.
SMALL = (
    "from checkpointstore.adapters import cold, part; from checkpointstore.jobs import tiering; "
    "cold.ROWS, part.BATCH_ROWS, tiering.OBJECT = 300, 300, 1; raise SystemExit(tiering.run())"
)
RECALLER = "from checkpointstore.jobs.recall import run; run()"


@dataclass(frozen=True)
class Store(Pruned):
    bucket: objectstore.Bucket

    def asked(self, **asked: Any) -> dict[str, str]:
        where = {"host": "localhost", "port": self.server.port, "database": "app", **self.bucket.place()}
        tier = {"name": "cold", "after": asked.pop("after", 0), "storageClass": asked.pop("storageClass", None)}
        request = {"store": "shop/agents", "provider": "Patroni", **where, "prefix": PREFIX, "tiers": [tier]}
        request |= {"wait": 0, "grace": 0, "share": 1, **asked}
        secrets = {"CHECKPOINTSTORE_ADMIN_DIR": str(self.server.secrets), **self.bucket.environ()}
        return {"CHECKPOINTSTORE_JOB": json.dumps(request), **secrets}

    def tier(self, **asked: Any) -> Outcome:
        """One run, to its end."""
        outcome, code = tiering.conclude(self.asked(**asked))
        assert (code, outcome.reason) == (0, ""), outcome
        return outcome

    def begin(self, result: Path, program: str = JOB, **asked: Any) -> subprocess.Popen[bytes]:
        """A run in a process of its own."""
        environ = {**os.environ, **self.asked(**asked), "CHECKPOINTSTORE_RESULT_FILE": str(result)}
        return subprocess.Popen([sys.executable, "-c", program], env=environ, stderr=subprocess.DEVNULL)

    @contextmanager
    def recaller(self) -> Iterator[subprocess.Popen[bytes]]:
        """A recaller that stands."""
        process = subprocess.Popen([sys.executable, "-c", RECALLER], env={**os.environ, **self.asked()})
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def ask(self, thread: str) -> str:
        """The application asks for a thread."""
        uri = self.server.uri("app_a", PASSWORDS["app_a"])
        with psycopg.connect(uri, autocommit=True) as connection:
            row = connection.execute("SELECT checkpointstore.recall(%s)", [thread]).fetchone()
        assert row is not None
        return str(row[0])

    def recall(self, *threads: str) -> None:
        """Ask for threads, and bring back all that were asked for."""
        for thread in threads:
            assert self.ask(thread) in ("Queued", "Failed")
        self.drain(self.asked())

    def drain(self, asked: Mapping[str, str]) -> None:
        """Bring back all that were asked for."""
        place = Place.model_validate_json(asked["CHECKPOINTSTORE_JOB"])
        target = mounted.admin(asked, place)
        target = target if place.provider == "External" else target.database(place.database)
        with postgres.connect(target, "recaller") as connection:
            archive = Archive(connection, place.owner, place.group, False)
            assert archive.prepare()
            recall.drain(archive, asked, place)

    @contextmanager
    def archive(self) -> Iterator[Archive]:
        with self.server.admin("app") as connection:
            archive = Archive(connection, "app_owner", "app", False)
            archive.prepare()
            yield archive

    def account(self) -> Bucket:
        environ = self.asked()
        return Bucket(mounted.account(environ, Place.model_validate_json(environ["CHECKPOINTSTORE_JOB"])))

    def catalog(self, query: str) -> list[Any]:
        with self.server.admin("app") as connection:
            return [tuple(row.values()) for row in connection.execute(query)]

    def cold(self) -> set[str]:
        return {row[0] for row in self.catalog("SELECT DISTINCT thread_id FROM checkpointstore.cold_threads")}


def copies(store: Store, count: int) -> None:
    """A thread with subgraphs, and so many more like it."""
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "model", 6)
    with store.server.admin("app") as connection:
        connection.execute(psycopg.ClientCursor(connection).mogrify(COPY, {"copies": count}))


def all_back(store: Store) -> None:
    """Every thread that is cold is brought back."""
    store.recall(*store.cold())
