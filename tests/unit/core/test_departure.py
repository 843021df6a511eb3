"""How long a pod that goes keeps its server: the program as the kubelet runs it, asking an API like Patroni's."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from checkpointstore.adapters import certificate
from checkpointstore.providers.patroni import departure

LEADER = {"name": "agents-0", "role": "leader", "state": "running"}
STANDBY = {"name": "agents-1", "role": "replica", "state": "streaming"}
Tell = Callable[..., None]
PATIENCE = 60
"""Whoever takes longer waits for something."""


@pytest.fixture(autouse=True)
def _for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a slow machine would look like a pod that waits no longer."""
    monkeypatch.setattr(departure, "SECONDS", 10 * PATIENCE)


@pytest.fixture
def patroni(tmp_path: Path) -> Iterator[tuple[int, Tell]]:
    """The port of one that tells of the members it was told of."""
    answer = b""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/cluster"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    def tell(*members: dict[str, str]) -> None:
        nonlocal answer
        answer = json.dumps({"members": members, "scope": "agents-rw"}).encode()

    tell()
    ca, key = certificate.authority("ours")
    pem, own = certificate.leaf(ca, key, "standby", ("elsewhere",))
    (tmp_path / "both.pem").write_bytes(pem + own)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port, tell
    server.shutdown()
    thread.join()
    server.server_close()


def run(port: int) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PATRONI_NAME": "agents-0"}
    return subprocess.Popen([sys.executable, "-c", departure.script(port)], env=environment)


def test_a_primary_waits_until_another_leads(patroni: tuple[int, Tell]) -> None:
    port, tell = patroni
    tell(LEADER, STANDBY)
    hook = run(port)
    with pytest.raises(subprocess.TimeoutExpired):
        hook.wait(1)
    tell({**LEADER, "role": "replica"}, {**STANDBY, "role": "leader", "state": "running"})
    assert hook.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    "members",
    [
        pytest.param((LEADER,), id="nobody else is there"),
        pytest.param((LEADER, {**STANDBY, "state": "stopped"}), id="all go, as with their store"),
        pytest.param(({**LEADER, "name": "agents-2"}, {**STANDBY, "name": "agents-0"}), id="another leads"),
    ],
)
def test_whoever_has_nobody_to_wait_for_goes_at_once(
    patroni: tuple[int, Tell], members: tuple[dict[str, str], ...]
) -> None:
    port, tell = patroni
    tell(*members)
    assert run(port).wait(PATIENCE) == 0


def test_a_server_without_patroni_is_not_waited_for() -> None:
    assert run(9).wait(PATIENCE) == 0


def test_nobody_is_waited_for_without_an_end(patroni: tuple[int, Tell], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure, "SECONDS", 1)
    port, tell = patroni
    tell(LEADER, STANDBY)
    assert run(port).wait(PATIENCE) == 0
