"""A standby of the tests' server, on the same host."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.server import Server, free_port


@contextmanager
def following(server: Server, synchronous: bool) -> Iterator[Server]:
    """A copy that follows, and that commits wait for where it is synchronous."""
    data = server.data.with_name("standby")
    standby = Server(server.root, server.binaries, data, server.secrets, free_port())
    source = f"host={server.place} port={server.port} user=postgres"
    standby.call("pg_basebackup", "-d", source, "-R", "-X", "stream", "-c", "fast")
    settings = f"port = {standby.port}\nunix_socket_directories = '{standby.place}'\n"
    with (data / "postgresql.conf").open("a") as file:
        file.write(settings)
    standby.start()
    try:
        _wait_for(server, "*" if synchronous else "")
        yield standby
    finally:
        _wait_for(server, "")
        standby.stop("immediate")


def _wait_for(server: Server, names: str) -> None:
    with server.admin() as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        connection.execute("SELECT pg_reload_conf()")
