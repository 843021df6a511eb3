"""A real S3 server of the tests' own, with TLS and one bucket, and a way to it that fails on purpose."""

import hashlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from checkpointstore.adapters import certificate
from localcluster import objectstore
from localcluster.layout import tool
from localcluster.objectstore import BUCKET, REGION
from tests.integration.server import free_port

PROGRAM = tool(objectstore.PROGRAM)
Fault = Callable[[str, str], str]
"""What becomes of a request, by its method and path: "" lets it pass, "refuse" closes the connection, "500" answers
or another status answers so, "lose" passes it on and closes the connection instead of answering, "late" passes it on
once the other side has given up waiting, "cut" breaks off in the middle of what it carries, on both sides, and "half"
keeps half of an object and says that all is well."""
CODES = {"403": b"AccessDenied", "429": b"TooManyRequests", "503": b"SlowDown"}


@dataclass
class Bucket:
    """`secrets` is a folder with the credentials, a file a key, and the authority beside it."""

    endpoint: str
    direct: str
    """The same without the way that can fail."""
    folder: Path
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Requests so far: method, path, headers in lower case."""
    fault: Fault = field(default=lambda method, path: "")

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def data(self) -> Path:
        """The objects, as files."""
        return self.folder / "data" / BUCKET

    def allow(self, **folders: str) -> None:
        """Users by their names, which are their keys too, may read and write below a folder each, and nobody else but
        the administrator may do anything.
        """
        known = self._asked("PATCH", "list-users")
        for user in folders:
            if f"<Access>{user}<" not in known:
                account = f"<Account><Access>{user}</Access><Secret>{user}</Secret><Role>user</Role></Account>"
                self._asked("PATCH", "create-user", account)
        statements = [_allowed(user, folder) for user, folder in folders.items()]
        self._asked("PUT", f"{BUCKET}?policy=", json.dumps({"Statement": statements}))

    def _asked(self, method: str, path: str, content: str = "") -> str:
        """What it answers to its administrator."""
        root = [(self.secrets / f"AWS_{name}").read_text() for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
        asked = {
            "url": f"{self.direct}/{path}",
            "request": method,
            "user": ":".join(root),
            "aws-sigv4": f"aws:amz:{REGION}:s3",
            "header": f"x-amz-content-sha256: {hashlib.sha256(content.encode()).hexdigest()}",
            "cacert": str(self.folder / "ca.crt"),
            "noproxy": "*",
            "data": content,
        }
        config = "".join(f"{name} = {json.dumps(value)}\n" for name, value in asked.items())
        curl = ["curl", "--disable", "--silent", "--show-error", "--fail", "--config", "-"]
        return subprocess.run(curl, input=config, capture_output=True, text=True, check=True).stdout

    def place(self) -> dict[str, Any]:
        """The part of a request that says where it is."""
        where = {"bucket": BUCKET, "endpoint": self.endpoint, "region": REGION, "pathStyle": True}
        return {**where, "authority": str(self.folder / "ca.crt")}

    def environ(self) -> dict[str, str]:
        return {"CHECKPOINTSTORE_BUCKET_DIR": str(self.secrets)}

    def objects(self, ending: str = ".parquet") -> list[Path]:
        # Folders may go while we look.
        found = (Path(folder) / name for folder, _, names in os.walk(self.data) for name in names)
        return sorted(path for path in found if path.name.endswith(ending))

    def empty(self) -> None:
        """Nothing is in it, nothing was seen, nothing fails."""
        for path in self.data.iterdir():
            shutil.rmtree(path)
        self.seen.clear()
        self.fault = lambda method, path: ""

    def manifests(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.objects(".json")]


def _allowed(user: str, folder: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": [user]},
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/{folder}/*"],
    }


@contextmanager
def running() -> Iterator[Bucket]:
    """Start one and stop it, whatever happens in between."""
    if not PROGRAM.exists():
        raise RuntimeError(f"{PROGRAM} is missing: run `python3 -m localcluster build {objectstore.PROGRAM}`.")
    folder = Path(tempfile.mkdtemp(prefix="checkpointstore-s3-"))
    ca, key = certificate.authority("tests")
    for name in ("server", "proxy"):
        leaf, leaf_key = certificate.leaf(ca, key, "localhost", ("localhost",))
        (folder / f"{name}.crt").write_bytes(leaf)
        (folder / f"{name}.key").write_bytes(leaf_key)
    (folder / "ca.crt").write_bytes(ca)
    place = objectstore.Place(folder)
    objectstore.make_folders(place)
    keys = dict(line.split("=", 1) for line in place.credentials.read_text().splitlines())
    (folder / "secrets").mkdir()
    (folder / "secrets/AWS_ACCESS_KEY_ID").write_text(keys[objectstore.ACCESS_KEY])
    (folder / "secrets/AWS_SECRET_ACCESS_KEY").write_text(keys[objectstore.SECRET_KEY])
    port = free_port()
    argv = objectstore.command(PROGRAM, place, f"127.0.0.1:{port}", folder / "server")
    (folder / "iam").mkdir()
    argv.insert(1, f"--iam-dir={folder / 'iam'}")
    server = subprocess.Popen(argv, env={**os.environ, **keys}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        direct = f"https://localhost:{port}"
        known = objectstore.ObjectStore(
            direct,
            REGION,
            BUCKET,
            keys[objectstore.ACCESS_KEY],
            keys[objectstore.SECRET_KEY],
            ca.decode(),
        )
        objectstore.make_bucket(known, folder / "ca.crt")
        bucket = Bucket("", direct, folder)
        with _proxy(bucket, port) as endpoint:
            bucket.endpoint = endpoint
            yield bucket
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


@contextmanager
def _proxy(bucket: Bucket, port: int) -> Iterator[str]:
    trusted = ssl.create_default_context(cafile=str(bucket.folder / "ca.crt"))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _pass(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.split("?")[0]
            bucket.seen.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
            fate = bucket.fault(self.command, path)
            if fate == "refuse":
                return self._hang_up()
            if fate.isdecimal():
                code = CODES.get(fate, b"InternalError")
                return self._answer(int(fate), {}, b"<Error><Code>%s</Code></Error>" % code)
            if fate == "late":
                with suppress(OSError):
                    self.rfile.read(1)
            there = http.client.HTTPSConnection("localhost", port, context=trusted, timeout=30)
            there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                there.putheader(name, value)
            there.endheaders(content[: len(content) // 2] if fate == "cut" else content)
            if fate == "cut":
                there.close()
                return self._hang_up()
            answer = there.getresponse()
            body = answer.read()
            there.close()
            if fate in ("lose", "late"):
                return self._hang_up()
            if fate == "half":
                os.truncate(bucket.folder / "data" / path.lstrip("/"), len(content) // 2)
            return self._answer(answer.status, dict(answer.getheaders()), body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

        def _hang_up(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            with suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                        self.send_header(name, value)
                length = headers.get("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bucket.folder / "proxy.crt", bucket.folder / "proxy.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, what
        time.sleep(0.05)
