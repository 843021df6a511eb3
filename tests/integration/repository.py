"""A PostgreSQL that archives into a folder, `pgbackrest server` beside it, and the programs run as in their pods."""

import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from checkpointstore import repository
from checkpointstore.adapters import certificate
from tests.integration.server import found_binaries, free_port

UID = "0b9c6f0e-6f3c-4f43-9b1a-0f0a5d1c7a11"
NOTHING: Mapping[str, str] = {}
RETENTION = {"repo1-retention-full": "3"}
HBA = """
local    all  all                  trust
hostssl  all  postgres  127.0.0.1/32  cert
"""
CONFIGURATION = """
listen_addresses = '127.0.0.1'
ssl = on
ssl_ca_file = 'ca.crt'
fsync = off
autovacuum = off
wal_level = logical
max_connections = 40
shared_buffers = 32MB
max_wal_size = 1GB
archive_mode = on
"""


@dataclass(frozen=True)
class Result:
    code: int
    outcome: dict[str, Any]
    log: list[dict[str, Any]]


@dataclass(frozen=True)
class Stand:
    """`folder` holds everything but the bucket, owned by the account that PostgreSQL runs as.

    `base` is the store's folder in the bucket, `environment` what its own programs are run with besides.
    """

    folder: Path
    port: int
    host_port: int
    base: Path
    settings: Mapping[str, str]
    environment: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def repository(self) -> Path:
        return self.base / UID

    def connect(self, host: Path | None = None, port: int = 0, database: str = "app") -> psycopg.Connection[Any]:
        address, number = str(host or self.data), port or self.port
        return psycopg.connect(
            host=address, port=number, user="postgres", dbname=database, autocommit=True, row_factory=dict_row
        )

    def sql(self, text: str, database: str = "app") -> list[dict[str, Any]]:
        with self.connect(database=database) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def put(self, thread: str, number: int) -> datetime:
        """One more checkpoint; the time at which it was committed."""
        content = json.dumps({"n": number})
        row = self.sql(
            "INSERT INTO public.checkpoints (thread_id, checkpoint_id, checkpoint) "
            f"VALUES ('{thread}', '{number:08d}', '{content}') RETURNING xmin::text AS xid"
        )[0]
        at: datetime = self.sql(f"SELECT pg_xact_commit_timestamp('{row['xid']}'::xid) AS at")[0]["at"]
        return at

    @contextmanager
    def archiving(self) -> Iterator[None]:
        """As while pgBackRest's asynchronous archiving goes on and on: it keeps its lock."""
        folder = self.folder / "tmp/pgbackrest"
        folder.mkdir(exist_ok=True)
        own(folder)
        with ExitStack() as held:
            # pgBackRest 2.55 has one for each repository.
            for name in ("main-archive.lock", "main-archive-1.lock"):
                file = held.enter_context((folder / name).open("w"))
                own(folder / name)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def restart(self) -> None:
        """PostgreSQL, in order and in its place."""
        call(self.folder, "pg_ctl", "restart", "-w", "-D", str(self.data), "-l", str(self.folder / "postgres.log"))

    def crash(self) -> None:
        """A process of PostgreSQL is killed, and it begins anew by itself."""
        began = self.checkpointer()
        os.kill(self.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")[0]["pid"], signal.SIGKILL)
        while True:
            with suppress(psycopg.OperationalError, IndexError):
                if self.checkpointer() != began:
                    return
            time.sleep(0.05)

    def checkpointer(self) -> datetime:
        """Since when it runs."""
        question = "SELECT backend_start AS at FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        at: datetime = self.sql(question)[0]["at"]
        return at

    def archive(self) -> str:
        """Have everything until now archived; the segment that it ended in."""
        name: str = self.sql("SELECT pg_walfile_name(pg_switch_wal()) AS name")[0]["name"]
        deadline = time.monotonic() + 60
        while not list(self.repository.glob(f"archive/main/*/*/{name}-*.gz")):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return name

    def log(self) -> str:
        return (self.folder / "postgres.log").read_text("utf-8", "replace")[-3000:]

    def run(self, program: str, request: Mapping[str, Any], **environ: str) -> Result:
        return self.wait(self.start(program, request, **environ))

    def start(self, program: str, request: Mapping[str, Any], **environ: str) -> "subprocess.Popen[str]":
        """Under Debian's own Python, which has nothing but the standard library, as the images have."""
        result = self.folder / "result"
        result.unlink(missing_ok=True)
        return subprocess.Popen(
            ["/usr/bin/python3", "-m", f"repository.{program}"],
            env={**self.environ(), "CHECKPOINTSTORE_JOB": json.dumps(request), **environ},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **who(),
        )

    def wait(self, process: "subprocess.Popen[str]") -> Result:
        log = process.communicate(timeout=180)[1]
        result = self.folder / "result"
        outcome = json.loads(result.read_text()) if result.exists() else {}
        assert not result.exists() or len(result.read_bytes()) <= 4096
        return Result(process.returncode, outcome, [json.loads(line) for line in log.splitlines()])

    def environ(self) -> dict[str, str]:
        return {
            **self.environment,
            "PATH": f"{self.folder}/bin:{found_binaries()}:/usr/bin:/bin",
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": str(self.folder / "program"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CHECKPOINTSTORE_RESULT_FILE": str(self.folder / "result"),
            "CHECKPOINTSTORE_REPOSITORY_DIR": str(self.folder / "conf"),
            "CHECKPOINTSTORE_BACKUP_DIR": str(self.folder / "backup"),
            "CHECKPOINTSTORE_ADMIN_DIR": str(self.folder / "admin"),
            "CHECKPOINTSTORE_PROGRESS_PORT": "0",
        }

    def backup(self, kind: str = "full", **changed: Any) -> Result:
        request = {
            "store": "shop/agents",
            "type": kind,
            "hosts": ["localhost"],
            "hostPort": self.host_port,
            "primary": "localhost",
            "port": self.port,
            "database": "app",
            "dataDirectory": str(self.data),
            "socket": str(self.data),
            "hostConfig": str(self.folder / "conf/host.conf"),
        }
        return self.run("backup", {**request, **changed})

    def copy(self, uid: str) -> Path:
        """Another repository beside the first, with the same content and times, to be damaged."""
        shutil.copytree(self.repository, self.base / uid, symlinks=True)
        for path in (self.base / uid, *(self.base / uid).rglob("*")):
            own(path)
        return self.base / uid

    def look(self, uid: str = UID, **target: Any) -> Result:
        return self.run("look", {"base": str(self.base), "uid": uid, "target": target})

    def recovery(self, name: str, backup: str, uid: str = UID, **target: Any) -> dict[str, Any]:
        """A request for restore."""
        return {
            "base": str(self.base),
            "uid": uid,
            "backupId": backup,
            "target": target,
            "dataDirectory": str(self.folder / "volumes" / name),
            "databaseSize": 30_000_000,
            "memory": 128,
        }

    def restore(self, name: str, backup: str, uid: str = UID, **target: Any) -> Result:
        return self.run("restore", self.recovery(name, backup, uid, **target))

    def verify(self, name: str, uid: str = UID) -> Result:
        request = {
            "base": str(self.base),
            "uid": uid,
            "dataDirectory": str(self.folder / "volumes" / name),
            "database": "app",
            "memory": 128,
            "live": {"host": "localhost", "port": self.port},
        }
        return self.run("verify", request)

    @contextmanager
    def opened(self, name: str) -> Iterator[psycopg.Connection[Any]]:
        """A restored directory, started as a store would start it: with the configuration that lies in it."""
        directory, port = self.folder / "volumes" / name, free_port()
        options = f"-c port={port} -c archive_mode=off -c unix_socket_directories={directory}"
        log = str(self.folder / "opened.log")
        call(self.folder, "pg_ctl", "start", "-w", "-D", str(directory), "-o", options, "-l", log)
        try:
            with self.connect(directory, port) as connection:
                yield connection
        finally:
            call(self.folder, "pg_ctl", "stop", "-m", "immediate", "-D", str(directory))


@contextmanager
def running(
    base: Path | None = None, settings: Mapping[str, str] = RETENTION, environment: Mapping[str, str] = NOTHING
) -> Iterator[Stand]:
    """A stand without a backup and with an empty database.

    `base` is its place in a bucket that it shares, `settings` are pgBackRest's besides ours, and with an
    `environment` PostgreSQL and pgBackRest run, and the programs that call them.
    """
    # A short name: the path of a socket may have a hundred characters only.
    folder = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    place = base or folder / "repository/shop/agents"
    stand = Stand(folder, free_port(), free_port(), place, settings, environment)
    try:
        _furnish(stand)
        log = str(folder / "postgres.log")
        call(folder, "pg_ctl", "start", "-w", "-D", str(stand.data), "-l", log, environment=environment)
        server = ["pgbackrest", f"--config={folder}/conf/host.conf", "server"]
        host = subprocess.Popen(server, stderr=subprocess.DEVNULL, cwd="/", env=stand.environ(), **who())
        try:
            stand.sql("CREATE DATABASE app", "postgres")
            deadline = time.monotonic() + 60
            while True:
                with suppress(OSError), socket.create_connection(("localhost", stand.host_port), 5):
                    break
                assert time.monotonic() < deadline, "pgbackrest server does not listen"
                time.sleep(0.05)
            yield stand
        finally:
            host.send_signal(signal.SIGTERM)
            host.wait()
            call(folder, "pg_ctl", "stop", "-m", "immediate", "-D", str(stand.data))
    finally:
        shutil.rmtree(folder)


def _furnish(stand: Stand) -> None:
    folder = stand.folder
    own(folder)
    call(folder, "initdb", "-k", "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "-D", str(stand.data))
    for name in ("conf", "backup", "admin", "tmp", "volumes", "bin"):
        (folder / name).mkdir(parents=True)
    stand.base.mkdir(parents=True)
    own(stand.base)
    if stand.environment:
        _wrap(stand)
    source = Path(repository.__file__).parent
    shutil.copytree(source, folder / "program/repository", ignore=shutil.ignore_patterns("__pycache__"))
    _hasten(folder / "program/repository/archive.py")
    _certificates(stand)
    (folder / "conf/repository.conf").write_text(_repository(stand))
    (folder / "conf/host.conf").write_text(_host(stand))
    (stand.data / "pg_hba.conf").write_text(HBA)
    push = f"pgbackrest --config={folder}/conf/host.conf --stanza=main archive-push %p"
    with (stand.data / "postgresql.conf").open("a") as file:
        file.write(f"{CONFIGURATION}port = {stand.port}\nunix_socket_directories = '{stand.data}'\n")
        file.write(f"track_commit_timestamp = on\narchive_command = '{push}'\n")
    for path in folder.rglob("*"):
        own(path)


def _wrap(stand: Stand) -> None:
    """The programs hand nothing of their environment on to pgBackRest."""
    told = " ".join(f"{name}='{value}'" for name, value in stand.environment.items())
    wrapper = stand.folder / "bin/pgbackrest"
    wrapper.write_text(f'#!/bin/sh\n{told} exec /usr/bin/pgbackrest "$@"\n')
    wrapper.chmod(0o755)


def _hasten(program: Path) -> None:
    """Holes are believed when they are minutes old, and no test waits for that."""
    text = program.read_text()
    assert "SETTLED_SECONDS = 120" in text
    program.write_text(text.replace("SETTLED_SECONDS = 120", "SETTLED_SECONDS = 0"))


def _certificates(stand: Stand) -> None:
    ca, key = certificate.authority("tests")
    pairs = {
        stand.data / "server": certificate.leaf(ca, key, "localhost", ("localhost",)),
        stand.folder / "backup/tls": certificate.leaf(ca, key, "backup", ()),
        stand.folder / "admin/tls": certificate.leaf(ca, key, "postgres", ()),
    }
    for path, (public, private) in pairs.items():
        path.with_suffix(".crt").write_bytes(public)
        path.with_suffix(".key").touch(0o600)
        path.with_suffix(".key").write_bytes(private)
        (path.parent / "ca.crt").write_bytes(ca)


def _repository(stand: Stand) -> str:
    settings = {"repo1-path": stand.repository, "repo1-bundle": "y", "job-retry": "0", **stand.settings}
    return "\n".join(("[global]", *(f"{name}={value}" for name, value in settings.items()), ""))


def _host(stand: Stand) -> str:
    return "\n".join(
        (
            _repository(stand).strip(),
            "tls-server-address=127.0.0.1",
            f"tls-server-port={stand.host_port}",
            f"tls-server-cert-file={stand.data}/server.crt",
            f"tls-server-key-file={stand.data}/server.key",
            f"tls-server-ca-file={stand.data}/ca.crt",
            "tls-server-auth=backup=*",
            "log-level-file=off",
            "log-level-console=off",
            f"lock-path={stand.folder}/tmp/pgbackrest",
            f"spool-path={stand.folder}/tmp/host",
            "[main]",
            f"pg1-path={stand.data}",
            f"pg1-socket-path={stand.data}",
            f"pg1-port={stand.port}",
            "",
        )
    )


def who() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def own(path: Path) -> None:
    if identity := who():
        os.chown(path, identity["user"], identity["group"])


def call(folder: Path, program: str, *arguments: str, environment: Mapping[str, str] = NOTHING) -> None:
    done = subprocess.run(
        [str(found_binaries() / program), *arguments],
        cwd="/",
        env={**environment, "PATH": f"{found_binaries()}:/usr/bin:/bin", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        check=False,
        **who(),
    )
    if done.returncode:
        logs = "".join(path.read_text("utf-8", "replace")[-2000:] for path in folder.glob("*.log"))
        raise RuntimeError(f"{program} failed: {(done.stderr or b'').decode()}{logs}")
