"""What a real Prometheus says of pods is read as it is, and what is no Prometheus is told as such, in time."""

import asyncio
import http.server
import math
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from checkpointstore.adapters import prometheus
from checkpointstore.adapters.prometheus import Access
from checkpointstore.features.pooler.load import BUSY, TRANSACTIONS, WAITING, Load, read, selector
from checkpointstore.kernel.errors import Refused, Unavailable
from checkpointstore.kernel.prometheus import Gap
from checkpointstore.runtime.autoscaler import SERVER

from .prometheus import Page, exporter, running, served

POD = "agents-pooler-a"
LABELS = {"namespace": "shop", "pod": POD}


def load(url: str, later: float = 0.0) -> Load | Gap:
    found = asyncio.run(prometheus.samples(Access(url), selector("shop", [POD])))
    return read(found, [POD], time.time() + later)


def until(url: str, wanted: Callable[[Load | Gap], bool], timeout: float = 30) -> Load | Gap:
    deadline = time.monotonic() + timeout
    while not wanted(found := load(url)):
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found


def reason(found: Load | Gap) -> str:
    return found.reason if isinstance(found, Gap) else ""


def test_a_real_prometheus_tells_the_load_and_its_lies_are_seen(tmp_path: Path) -> None:
    page = Page()
    with exporter(page) as where, running(tmp_path, {where: LABELS}) as url:
        # A scrape that came late makes the first readings uneven.
        found = until(url, lambda told: isinstance(told, Load) and told.busy == pytest.approx(10.0, rel=0.5))
        assert isinstance(found, Load)
        # Every counter grows alike: each transaction has waited a second.
        assert found.wait == pytest.approx(1.0)
        assert (found.waiting, found.clients) == (1.0, 2.0)
        assert reason(load(url, later=60)) == "SamplesStale"
        assert reason(load(url, later=-60)) == "SamplesContradictory"
        page.values[TRANSACTIONS] = 1e9

        def falls(told: Load | Gap) -> bool:
            # From scrape to scrape: what fell once is seen for as long as one takes.
            page.values[TRANSACTIONS] /= 2
            return "began anew" in str(told)

        until(url, falls)
        until(url, lambda told: isinstance(told, Load))
        page.values[WAITING] = math.nan
        until(url, lambda told: "not a number" in str(told))


def test_a_pod_that_is_read_twice_is_one_as_long_as_both_agree(tmp_path: Path) -> None:
    one, other = Page(), Page()
    with exporter(one) as first, exporter(other) as second:
        targets = {first: LABELS, second: {**LABELS, "by": "another"}}
        with running(tmp_path, targets) as url:
            found = until(url, lambda told: isinstance(told, Load))
            assert isinstance(found, Load)
            assert found.waiting == 1.0
            other.values[BUSY] = 500.0
            until(url, lambda told: "disagree" in str(told))


def test_a_number_or_none(tmp_path: Path) -> None:
    with exporter(Page()) as where, running(tmp_path, {where: LABELS}) as url:
        until(url, lambda told: isinstance(told, Load))
        assert asyncio.run(prometheus.value(Access(url), f"sum(last_over_time({WAITING}[1m]))")) == 1.0
        assert asyncio.run(prometheus.value(Access(url), "sum(nothing)")) is None
        with pytest.raises(Refused, match="HTTP Status Code 400"):
            asyncio.run(prometheus.value(Access(url), "sum("))


def test_how_busy_a_server_is_leaves_out_what_gives_way(tmp_path: Path) -> None:
    began, shares = time.monotonic(), {"idle": 0.2, "nice": 0.5, "user": 0.25, "system": 0.05}

    def page(request: http.server.BaseHTTPRequestHandler) -> None:
        seconds = time.monotonic() - began
        series = ((cpu, mode, share * seconds) for cpu in range(2) for mode, share in shares.items())
        text = "".join(f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}"}} {value}\n' for cpu, mode, value in series)
        answers(text.encode())(request)

    with served(handler(page)) as where, running(tmp_path, {where: {**LABELS, "pod": "agents-0"}}) as url:
        query = SERVER.format(namespace="shop", pod="agents-0")
        deadline = time.monotonic() + 30
        while (busy := asyncio.run(prometheus.value(Access(url), query))) is None:
            assert time.monotonic() < deadline
            time.sleep(0.3)
    assert busy == pytest.approx(0.3, abs=0.05)


def handler(act: Callable[[http.server.BaseHTTPRequestHandler], None]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            act(self)

        def log_message(self, *_: object) -> None: ...

    return Handler


def answers(body: bytes, status: int = 200) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def act(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.end_headers()
        request.wfile.write(body)

    return act


EMPTY = b'{"status":"success","data":{"resultType":"vector","result":[]}}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>not me</html>", 200),
        (b'{"status":"success"}', 200),
        (b'{"data":{"result":[{"metric":{},"values":[["a","b"]]}]}}', 200),
        (b'{"data":{"result":[[]]}}', 200),
        (b"no", 403),
        (b"secret page", 500),
    ],
)
def test_what_is_no_prometheus_is_told(body: bytes, status: int) -> None:
    with served(handler(answers(body, status))) as where, pytest.raises(Refused) as told:
        asyncio.run(prometheus.samples(Access(f"http://127.0.0.1:{where}"), "up[1m]"))
    assert told.value.reason == "PrometheusRefuses"
    assert "secret" not in told.value.message
    assert status == 200 or str(status) in told.value.message


def test_who_says_too_much_is_not_heard_to_the_end() -> None:
    def flood(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(1000):
            request.wfile.write(b" " * 1024 * 1024)

    with served(handler(flood)) as where, pytest.raises(Unavailable):
        asyncio.run(prometheus.samples(Access(f"http://127.0.0.1:{where}"), "up[1m]"))


def test_who_does_not_answer_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "TIMEOUT", 1)
    with served(handler(lambda _: time.sleep(5))) as where, pytest.raises(Unavailable, match="does not answer"):
        asyncio.run(prometheus.samples(Access(f"http://127.0.0.1:{where}"), "up[1m]"))
    with pytest.raises(Unavailable):
        asyncio.run(prometheus.samples(Access("http://127.0.0.1:1"), "up[1m]"))


def test_those_that_hang_or_drip_keep_no_other_from_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight of them, each asked by more than there are threads; one that sends a byte a second ends too."""
    monkeypatch.setattr(prometheus, "TIMEOUT", 5)
    ended = threading.Event()

    def hang(_: object) -> None:
        ended.wait(40)

    def drip(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not ended.is_set():
            request.wfile.write(b" " * 65536)
            time.sleep(1)

    async def story(bad: list[str], good: str) -> float:
        asked = [asyncio.create_task(prometheus.value(Access(url), "up")) for url in bad for _ in range(3)]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        assert await prometheus.value(Access(good), "up") is None
        took = time.monotonic() - began
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, Unavailable)
        return took

    with ExitStack() as servers:
        acts = [drip, *[hang] * 7]
        bad = [f"http://127.0.0.1:{servers.enter_context(served(handler(act)))}" for act in acts]
        good = f"http://127.0.0.1:{servers.enter_context(served(handler(answers(EMPTY))))}"
        servers.callback(ended.set)
        assert asyncio.run(story(bad, good)) < 4
        deadline = time.monotonic() + 2 * prometheus.TIMEOUT + 5
        while any(thread.name.startswith("prometheus") for thread in busy()):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def busy() -> list[threading.Thread]:
    """Threads that are in the middle of an answer."""
    frames = sys._current_frames()
    return [
        thread
        for thread in threading.enumerate()
        if (frame := frames.get(thread.ident or 0)) and "_answer" in "".join(traceback.format_stack(frame))
    ]


@pytest.mark.parametrize(
    ("access", "header"),
    [
        (Access("", token="a token"), "Bearer a token"),
        (Access("", login=("me", "a word")), "Basic bWU6YSB3b3Jk"),
        (Access(""), None),
    ],
)
def test_who_asks_says_who_it_is(access: Access, header: str | None) -> None:
    heard: list[str | None] = []

    def act(request: http.server.BaseHTTPRequestHandler) -> None:
        heard.append(request.headers.get("Authorization"))
        answers(EMPTY)(request)

    with served(handler(act)) as where:
        asked = Access(f"http://127.0.0.1:{where}/", token=access.token, login=access.login)
        assert asyncio.run(prometheus.samples(asked, "up[1m]")) == ()
    assert heard == [header]
    assert "a token" not in repr(access)
    assert "a word" not in repr(access)


def test_a_certificate_is_verified_by_the_authority_that_is_given(tmp_path: Path) -> None:
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files]
    subprocess.run(new, check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(answers(EMPTY)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)

    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_address[1]}"
    try:
        assert asyncio.run(prometheus.samples(Access(url, ca=certificate.read_text()), "up[1m]")) == ()
        with pytest.raises(Unavailable, match="SSLError"):
            asyncio.run(prometheus.samples(Access(url), "up[1m]"))
    finally:
        server.shutdown()
        server.server_close()
