"""An S3 server that counts what it is asked for: as much of S3 as pgBackRest speaks, with TLS, no signature checked."""

import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from checkpointstore.adapters import certificate

TIME = "2026-01-01T00:00:00.000Z"


class Bucket:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.asked: Counter[str] = Counter()
        self.port = 0

    def settings(self) -> Mapping[str, str]:
        """Of pgBackRest, to use it."""
        return {
            "repo1-type": "s3",
            "repo1-s3-bucket": "bucket",
            "repo1-s3-endpoint": "localhost",
            "repo1-s3-region": "here",
            "repo1-s3-uri-style": "path",
            "repo1-s3-key": "id",
            "repo1-s3-key-secret": "secret",
            "repo1-storage-host": "localhost",
            "repo1-storage-port": str(self.port),
            "repo1-storage-verify-tls": "n",
        }

    def listed(self, prefix: str, delimiter: str) -> bytes:
        found = {
            name: name[len(prefix) :].partition(delimiter or "\0") for name in self.objects if name.startswith(prefix)
        }
        folders = sorted({f"{prefix}{first}/" for first, cut, _ in found.values() if cut})
        files = sorted(name for name, (_, cut, _) in found.items() if not cut)
        return "".join(
            (
                "<ListBucketResult><IsTruncated>false</IsTruncated>",
                *(
                    f"<Contents><Key>{escape(name)}</Key><LastModified>{TIME}</LastModified>"
                    f"<Size>{len(self.objects[name])}</Size></Contents>"
                    for name in files
                ),
                *(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders),
                "</ListBucketResult>",
            )
        ).encode()


@contextmanager
def serving(folder: Path) -> Iterator[Bucket]:
    bucket = Bucket()
    ca, key = certificate.authority("tests")
    pair = folder / "s3.pem"
    pair.write_bytes(b"".join(certificate.leaf(ca, key, "localhost", ("localhost",))))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bucket))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    bucket.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()


def _handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def asked(self) -> tuple[str, dict[str, str]]:
            """The object's name, "" for the bucket, and the query."""
            url = urlsplit(self.path)
            name = unquote(url.path).removeprefix("/bucket").removeprefix("/")
            return name, dict(parse_qsl(url.query, keep_blank_values=True))

        def answer(self, code: int, body: bytes = b"") -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_GET(self) -> None:
            name, query = self.asked()
            bucket.asked["read" if name else "list"] += 1
            if not name:
                self.answer(200, bucket.listed(query.get("prefix", ""), query.get("delimiter", "")))
            elif name in bucket.objects:
                self.answer(200, bucket.objects[name])
            else:
                self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

        do_HEAD = do_GET

        def do_PUT(self) -> None:
            name, query = self.asked()
            bucket.asked["write"] += 1
            if "uploadId" in query:
                bucket.parts[query["uploadId"]][int(query["partNumber"])] = self.body()
            else:
                bucket.objects[name] = self.body()
            self.answer(200)

        def do_POST(self) -> None:
            """One object in parts; what is deleted stays."""
            name, query = self.asked()
            self.body()
            bucket.asked["write"] += 1
            if "uploads" in query:
                bucket.parts[name] = {}
                told = f"<UploadId>{escape(name)}</UploadId>"
                self.answer(200, f"<InitiateMultipartUploadResult>{told}</InitiateMultipartUploadResult>".encode())
            elif "uploadId" in query:
                parts = bucket.parts.pop(query["uploadId"])
                bucket.objects[name] = b"".join(parts[number] for number in sorted(parts))
                self.answer(200, b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
            else:
                self.answer(200, b"<DeleteResult></DeleteResult>")

        def do_DELETE(self) -> None:
            self.answer(204)

        def log_message(self, format: str, *args: object) -> None:
            """What was asked is counted."""

    return Handler
