"""A standby of the tests' server, on the same host, and a pair of which the standby takes over."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration import server as servers
from tests.integration.objectstore import until
from tests.integration.server import Server, free_port

# No statement is logged, as logs are copied too. What a killed server leaves in shared memory is found by the next one
# in its folder.
PAIR = """
max_wal_senders = 10
log_statement = none
dynamic_shared_memory_type = mmap
synchronous_standby_names = '*'
"""


@contextmanager
def following(server: Server, synchronous: bool) -> Iterator[Server]:
    """A copy that follows, and that commits wait for where it is synchronous."""
    standby = _copied(server, server.data.with_name("standby"), free_port())
    try:
        _wait_for(server, "*" if synchronous else "")
        yield standby
    finally:
        _wait_for(server, "")
        standby.stop("immediate")


@dataclass
class Pair:
    """Every commit waits for the standby, also when there is none yet."""

    primary: Server
    standby: Server

    def fail_over(self) -> None:
        """The primary is killed, its standby takes over, and a new one follows that in its place."""
        lost, self.primary = self.primary, self.standby
        os.kill(int((lost.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        with self.primary.admin() as connection:
            connection.execute("SELECT pg_promote()")
        until(lambda: not _at_work(lost.data))
        for path in lost.data.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.standby = _copied(self.primary, lost.data, lost.port)

    def uri(self, user: str, password: str) -> str:
        """Whoever is the primary."""
        one, other = (f"localhost:{server.port}" for server in (self.primary, self.standby))
        return self.primary.uri(user, password).replace(one, f"{one},{other}") + "&target_session_attrs=primary"


@contextmanager
def pair() -> Iterator[Pair]:
    with servers.running(more=PAIR) as primary:
        standby = _copied(primary, primary.data.with_name("standby"), free_port())
        try:
            yield Pair(primary, standby)
        finally:
            standby.stop("immediate")


def _copied(server: Server, data: Path, port: int) -> Server:
    """A copy that follows, in a folder that is empty or not there."""
    standby = Server(server.root, server.binaries, data, server.secrets, port)
    source = f"host={server.place} port={server.port} user=postgres"
    standby.call("pg_basebackup", "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync", "--no-manifest")
    for path in data.glob(".s.PGSQL.*"):
        # Of a server that may not be gone yet.
        path.unlink()
    settings = f"port = {port}\nunix_socket_directories = '{standby.place}'\n"
    with (data / "postgresql.conf").open("a") as file:
        file.write(settings)
    standby.start()
    return standby


def _at_work(data: Path) -> bool:
    """Whether a process of a server is left."""
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if path.readlink() == data:
                return True
    return False


def _wait_for(server: Server, names: str) -> None:
    with server.admin() as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        connection.execute("SELECT pg_reload_conf()")
