"""A real PgBouncer with the operator's own configuration, before a test's server, on a loopback address of its own."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from checkpointstore.adapters import certificate
from checkpointstore.features.pooler.configuration import CONFIG, OPERATORS, PID_FILE, PORT, SOCKET, configuration
from checkpointstore.features.pooler.spec import Pooler
from checkpointstore.kernel import scram
from checkpointstore.kernel.action import Peer
from tests.integration import trixie
from tests.integration.job import PASSWORDS
from tests.integration.objectstore import until
from tests.integration.server import Server, account
from tests.unit.core.test_budget import database as like

HOST = "localhost"


@dataclass(frozen=True)
class PgBouncer:
    peer: Peer
    admin: Mapping[str, bytes]
    """The client certificate of who gives it orders."""
    uri: str
    """For the application."""
    pid: int


@contextmanager
def pooling(server: Server, connections: int) -> Iterator[PgBouncer]:
    """Start one with so many server connections, and stop it."""
    root = trixie.root()
    folder = Path(tempfile.mkdtemp(prefix="checkpointstore-pooler-", dir=root / "tmp"))
    # Nobody else listens there on the port that poolers have.
    address = f"127.{1 + secrets.randbelow(250)}.{secrets.randbelow(250)}.{2 + secrets.randbelow(250)}"
    ca, key = certificate.authority("poolers")
    own, own_key = certificate.leaf(ca, key, "pooler", (HOST,))
    admin, admin_key = certificate.leaf(ca, key, "postgres", ())
    try:
        user, group = account(root)
        place = f"/{folder.relative_to(root)}"
        users = "".join(f'"{name}" "{scram.verifier(name, password)}"\n' for name, password in PASSWORDS.items())
        files = {
            **_files(server, connections, place, address),
            "userlist.txt": "\n".join((*OPERATORS, users)),
            "tls.crt": own.decode(),
            "tls.key": own_key.decode(),
            "ca.crt": ca.decode(),
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        for path in (folder, *folder.iterdir()):
            os.chown(path, user, group)
        into = ["chroot", f"--userspec={user}:{group}", "--groups=", str(root)]
        command = [*into, f"/{trixie.POOLER}", f"{place}/pgbouncer.ini"]
        with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                until(lambda: "process up" in (folder / "log").read_text() or process.poll() is not None)
                assert process.poll() is None, (folder / "log").read_text()
                login = f"app_a:{PASSWORDS['app_a']}@{address}:{PORT}/app?sslmode=require"
                peer = Peer(HOST, address)
                orders = {"tls.crt": admin, "tls.key": admin_key, "ca.crt": ca}
                yield PgBouncer(peer, orders, f"postgresql://{login}", process.pid)
            finally:
                process.kill()
    finally:
        shutil.rmtree(folder)


def _files(server: Server, connections: int, place: str, address: str) -> dict[str, str]:
    """The operator's, but for where they are and where it listens; the server is as one of somebody else's."""
    database = replace(
        like(80), provider="External", host="127.0.0.1", port=server.port, certificates=False, server_tls="require"
    )
    files = configuration(Pooler(), database, connections)
    moved = {CONFIG: place, PID_FILE: f"{place}/pid", f"unix_socket_dir = {SOCKET}": f"unix_socket_dir = {place}"}
    moved["listen_addr = 0.0.0.0"] = f"listen_addr = {address}"
    text = files["pgbouncer.ini"]
    for old, new in moved.items():
        assert old in text
        text = text.replace(old, new)
    return {**files, "pgbouncer.ini": text}
