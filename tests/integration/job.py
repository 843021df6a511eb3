"""Runs the schema Job the way its pod does, in a process of its own, and lets a test kill it at any statement."""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from checkpointstore.jobs import schema

EXTERNAL_PASSWORD = "canary-Wd4fUx0bNk6JhS1o"
PASSWORDS = {"app_a": "canary-Kj3nvQ8wXz7TtR2a", "app_b": "canary-Pq5mbL1cYd9HsG4e"}


@dataclass(frozen=True)
class Result:
    code: int
    outcome: dict[str, Any]
    log: str

    @property
    def steps(self) -> list[str]:
        return [line["step"] for line in map(json.loads, self.log.splitlines()) if line["event"] == "done"]


@dataclass(frozen=True)
class Job:
    """One Job's input: the request, the folder of the admin's Secret, the application's login."""

    request: Mapping[str, Any]
    admin: Path
    username: str = "app_a"
    password: str = PASSWORDS["app_a"]
    extra: Mapping[str, str] = field(default_factory=dict)

    def run(self, kill_at: int = 0) -> Result:
        return self.start(kill_at).wait()

    def start(self, kill_at: int = 0) -> "Running":
        """With `kill_at` the process sends its n-th changing statement and is gone before the answer."""
        folder = Path(tempfile.mkdtemp(prefix="checkpointstore-job-"))
        (folder / "application").mkdir()
        (folder / "application/username").write_text(self.username)
        (folder / "application/password").write_text(self.password)
        (folder / "log").touch()
        environ = {
            "CHECKPOINTSTORE_JOB": json.dumps(self.request),
            "CHECKPOINTSTORE_ADMIN_DIR": str(self.admin),
            "CHECKPOINTSTORE_APPLICATION_DIR": str(folder / "application"),
            "CHECKPOINTSTORE_RESULT_FILE": str(folder / "result"),
            **self.extra,
        }
        pid = os.fork()
        if pid == 0:
            _child(folder, environ, kill_at)
        return Running(pid, folder)


@dataclass(frozen=True)
class Running:
    pid: int
    folder: Path

    def wait(self) -> Result:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        result = self.folder / "result"
        outcome = json.loads(result.read_text()) if result.exists() else {}
        log = (self.folder / "log").read_text()
        shutil.rmtree(self.folder)
        return Result(code, outcome, log)


def _child(folder: Path, environ: Mapping[str, str], kill_at: int) -> None:
    code = 70
    try:
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stderr = os.fdopen(2, "w", buffering=1)
        if kill_at:
            _die_at(kill_at)
        code = schema.run(environ)
    finally:
        os._exit(code)


def _die_at(kill_at: int) -> None:
    """Let this process send its n-th changing statement, and be gone before the answer."""
    execute, count = psycopg.Connection.execute, 0

    def counted(self: psycopg.Connection[Any], query: Any, params: Any = None, **kwargs: Any) -> Any:
        nonlocal count
        text = query if isinstance(query, str) else query.as_string(self)
        if params is None and not text.startswith(("SELECT", "WITH", "SET search_path", "SET ROLE", "RESET")):
            count += 1
            if count == kill_at:
                self.pgconn.send_query(text.encode())
                while self.pgconn.flush():
                    pass
                os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, query, params, **kwargs)

    psycopg.Connection.execute = counted  # type: ignore[method-assign]
