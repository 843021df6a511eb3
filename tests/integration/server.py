"""A real PostgreSQL of the tests' own: fresh data, TLS, a free loopback port, never root, every statement logged."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from checkpointstore.adapters import certificate

HBA = """# certificates for the fixed roles, passwords for everybody else, nothing without TLS
local    all  all                          trust
local    replication  all                  trust
hostssl  all  postgres,pooler  127.0.0.1/32  cert
hostssl  all  all              127.0.0.1/32  scram-sha-256
"""
CONFIGURATION = """
listen_addresses = '127.0.0.1'
ssl = on
fsync = off
full_page_writes = off
autovacuum = off
wal_level = replica
max_wal_senders = 0
max_connections = 80
shared_buffers = 64MB
log_statement = all
log_min_error_statement = info
shared_preload_libraries = 'pg_stat_statements'
"""


@dataclass(frozen=True)
class Server:
    """`secrets` is a folder with ca.crt, and tls.crt and tls.key of the superuser, as the Job finds them mounted.

    `binaries` and what the server sees of `data` are below `root`.
    """

    root: Path
    binaries: Path
    data: Path
    secrets: Path
    port: int

    @property
    def log(self) -> str:
        return (self.data / "log").read_text("utf-8", "replace")

    def admin(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection[dict[str, Any]]:
        """The tests' own way in, over the socket; what it says is in the log too, so let it say no secret."""
        return psycopg.connect(
            host=str(self.data), port=self.port, user=user, dbname=database, autocommit=True, row_factory=dict_row
        )

    def call(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs on its data, as its account."""
        _call(self, program, *arguments, "-D", self.place)

    @property
    def place(self) -> str:
        """Its data's folder as its programs see it."""
        return f"/{self.data.relative_to(self.root)}"

    def start(self) -> None:
        self.call("pg_ctl", "start", "-w", "-l", f"{self.place}/log")

    def stop(self, mode: str = "fast") -> None:
        self.call("pg_ctl", "stop", "-m", mode)

    def reset(self) -> None:
        """Drop every database and role that initdb or this session's fixtures did not make."""
        with self.admin() as connection:
            for row in connection.execute("SELECT datname FROM pg_database WHERE datname !~ '^template|^postgres$'"):
                connection.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
            # What the schema Job makes in the maintenance database.
            connection.execute("DROP SCHEMA IF EXISTS checkpointstore CASCADE")
            roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_|^postgres$'").fetchall()
            if roles:
                names = ", ".join(f'"{row["rolname"]}"' for row in roles)
                connection.execute(f"DROP ROLE {names}")

    def local_uri(self, database: str) -> str:
        """For stock savers as superuser, over the socket."""
        return f"postgresql://postgres@/{database}?host={self.data}&port={self.port}"

    def uri(self, user: str, password: str, database: str = "app") -> str:
        ca = self.secrets / "ca.crt"
        address = f"localhost:{self.port}/{database}"
        return f"postgresql://{user}:{password}@{address}?sslmode=verify-full&sslrootcert={ca}"


@contextmanager
def running(root: Path = Path("/"), more: str = "") -> Iterator[Server]:
    """Start one and stop it, whatever happens in between; with `more` in its configuration."""
    folder = Path(tempfile.mkdtemp(prefix="checkpointstore-postgres-", dir=root / "tmp"))
    server = Server(root, found_binaries(root), folder / "data", folder / "secrets", free_port())
    try:
        _initialise(server, folder, more)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def found_binaries(root: Path = Path("/")) -> Path:
    """The newest server's programs, or those that CHECKPOINTSTORE_TEST_POSTGRES names."""
    if (given := os.environ.get("CHECKPOINTSTORE_TEST_POSTGRES")) and root == Path("/"):
        return Path(given)
    found = sorted(
        (root / "usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), reverse=True
    )
    if not found:
        raise RuntimeError(
            "The integration tests start a PostgreSQL and find none under /usr/lib/postgresql/*/bin: "
            "run `apt-get install postgresql` (and postgresql-contrib where it is a package of its own)."
        )
    return found[0].parent


def _initialise(server: Server, folder: Path, more: str) -> None:
    owner = account(server.root)
    os.chown(folder, *owner)
    server.call("initdb", "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8")
    ca, key = certificate.authority("tests")
    leaf, leaf_key = certificate.leaf(ca, key, "localhost", ("localhost",))
    client, client_key = certificate.leaf(ca, key, "postgres", ())
    settings = f"port = {server.port}\nunix_socket_directories = '{server.place}'\nssl_ca_file = 'ca.crt'\n"
    data = {"pg_hba.conf": HBA.encode(), "server.crt": leaf, "server.key": leaf_key, "ca.crt": ca}
    for name, content in data.items():
        _write(server.data / name, content, owner)
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(CONFIGURATION + settings + more)
    server.secrets.mkdir(mode=0o755)
    for name, content in {"ca.crt": ca, "tls.crt": client, "tls.key": client_key}.items():
        _write(server.secrets / name, content, None)


def _write(path: Path, content: bytes, owner: tuple[int, int] | None) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    if owner:
        os.chown(path, *owner)


def account(root: Path) -> tuple[int, int]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    users = dict(line.split(":", 1) for line in (root / "etc/passwd").read_text().splitlines())
    _, user, group, _ = users.get("postgres", users["nobody"]).split(":", 3)
    return int(user), int(group)


def _call(server: Server, program: str, *arguments: str) -> None:
    user, group = account(server.root)
    who: dict[str, Any] = {"user": user, "group": group, "extra_groups": []}
    command = [str(server.binaries / program), *arguments]
    if server.root != Path("/"):
        into = ["chroot", f"--userspec={user}:{group}", "--groups=", str(server.root)]
        command, who = [*into, f"/{server.binaries.relative_to(server.root)}/{program}", *arguments], {}
    done = subprocess.run(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **(who if os.getuid() == 0 else {}),
    )
    if done.returncode:
        log = server.log[-2000:] if (server.data / "log").exists() else ""
        raise RuntimeError(f"{program} failed: {done.stdout or ''}{log}")


def free_port() -> int:
    """Below those that are given to whoever connects: nobody takes it until what is started has it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4
    while True:
        number = 20_000 + 2_500 * worker + secrets.randbelow(2_500)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number
