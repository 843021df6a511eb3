"""Runs the retention Job on a store of the tests, and says what a stock saver reads of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.postgres import PostgresSaver

from checkpointstore.adapters.retention import Tables
from checkpointstore.features.retention.request import Outcome, Request
from checkpointstore.jobs import retention
from checkpointstore.jobs.retention import Work
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS
from tests.integration.server import Server

Read = dict[tuple[str, str], CheckpointTuple]
PROGRAM = "from checkpointstore.jobs.retention import run; raise SystemExit(run())"
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
COPY = """
INSERT INTO checkpoints SELECT c.* FROM generate_series(1, %(copies)s) AS i, LATERAL (
  SELECT (jsonb_populate_record(r, jsonb_build_object('thread_id', 'copy-' || i))).* FROM checkpoints AS r) AS c;
INSERT INTO checkpoint_blobs SELECT c.* FROM generate_series(1, %(copies)s) AS i, LATERAL (
  SELECT (jsonb_populate_record(r, jsonb_build_object('thread_id', 'copy-' || i))).* FROM checkpoint_blobs AS r) AS c;
INSERT INTO checkpoint_writes SELECT c.* FROM generate_series(1, %(copies)s) AS i, LATERAL (
  SELECT (jsonb_populate_record(r, jsonb_build_object('thread_id', 'copy-' || i))).* FROM checkpoint_writes AS r) AS c;
"""
"""Every row of every thread again, in so many threads more."""


@dataclass(frozen=True)
class Store:
    server: Server

    @contextmanager
    def saver(self) -> Iterator[PostgresSaver]:
        """A stock saver, as the application."""
        with PostgresSaver.from_conn_string(self.server.uri("app_a", PASSWORDS["app_a"])) as saver:
            yield saver

    def environ(self, **asked: Any) -> dict[str, str]:
        where = {"host": "localhost", "port": self.server.port, "database": "app"}
        request = {"store": "shop/agents", "provider": "Patroni", **where, "grace": 0, "share": 1, **asked}
        return {"CHECKPOINTSTORE_JOB": json.dumps(request), "CHECKPOINTSTORE_ADMIN_DIR": str(self.server.secrets)}

    def prune(self, **asked: Any) -> Outcome:
        """One run, to its end."""
        outcome, code = retention.conclude(self.environ(**asked))
        assert (code, outcome.reason) == (0, ""), outcome
        return outcome

    def quick(self, **asked: Any) -> Outcome:
        """The same without a program, a login and a certificate."""
        request = Request.model_validate_json(self.environ(**asked)["CHECKPOINTSTORE_JOB"])
        with self.server.admin("app") as connection:
            return Work(Tables(connection, request.owner, request.group, request.dry_run), request).do()

    def start(self, result: Path, **asked: Any) -> subprocess.Popen[bytes]:
        """A run in a process of its own."""
        environ = {**os.environ, **self.environ(**asked), "CHECKPOINTSTORE_RESULT_FILE": str(result)}
        return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environ, stderr=subprocess.DEVNULL)

    def read(self, thread: str) -> Read:
        """Every checkpoint of every namespace, as the saver reads it."""
        with self.saver() as saver:
            found = list(saver.list({"configurable": {"thread_id": thread}}))
        places = ((item, item.config["configurable"]) for item in found)
        return {(place["checkpoint_ns"], place["checkpoint_id"]): item for item, place in places}

    def rows(self, database: str = "app") -> dict[str, set[str]]:
        """All rows of the checkpoint tables."""
        with self.server.admin(database) as connection:
            return {
                table: {row["text"] for row in connection.execute(f"SELECT r::text AS text FROM {table} AS r")}
                for table in TABLES
            }

    def loose(self) -> list[Any]:
        """Blobs that no checkpoint refers to, and writes of no checkpoint."""
        with self.server.admin("app") as connection:
            blobs = connection.execute(
                "SELECT thread_id, checkpoint_ns, channel, version FROM checkpoint_blobs EXCEPT "
                "SELECT thread_id, checkpoint_ns, v.key, v.value FROM checkpoints, "
                "jsonb_each_text(checkpoint -> 'channel_versions') AS v"
            ).fetchall()
            writes = connection.execute(
                "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoint_writes EXCEPT "
                "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints"
            ).fetchall()
        return [*blobs, *writes]


def ids(read: Read, name: str = "") -> list[str]:
    """The checkpoints of a namespace, newest first."""
    return sorted((identifier for found, identifier in read if found == name), reverse=True)


def names(read: Read) -> set[str]:
    return {name for name, _ in read}


def head(saver: PostgresSaver, thread: str) -> CheckpointTuple:
    found = saver.get_tuple(config(thread))
    assert found is not None
    return found


def shifted(identifier: str, hours: float) -> str:
    """The id as it would be, so many hours earlier."""
    ticks = int(identifier.replace("-", "")[:12] + identifier[15:18], 16) - int(hours * 36_000_000_000)
    digits = f"{ticks:015x}"
    return f"{digits[:8]}-{digits[8:12]}-6{digits[12:]}{identifier[18:]}"
