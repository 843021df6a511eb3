"""The console from outside: who gets in, who sees what, what every answer carries, and that no token comes back."""

import asyncio
import logging
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from checkpointstore.console import review, session
from checkpointstore.console.server import HEADERS, Console
from checkpointstore.console.trend import Prometheus
from tests.unit.console.fleet import Fake, cluster, many
from tests.unit.console.test_session import jwt

OWN = {"Sec-Fetch-Site": "same-origin"}
PAGES = ("/", "/?q=shop", "/?part=1", "/stores/shop/agents", "/stores/shop/agents?part=1")


class Browser:
    """Follows nothing by itself; keeps the one cookie in its own hands, as it is marked for TLS only."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self._client = client
        self.cookie: str | None = None

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return await self._client.get(path, headers={**headers, **self._cookies()}, allow_redirects=False)

    async def post(self, path: str, data: dict[str, str], headers: dict[str, str] = OWN) -> ClientResponse:
        return await self._client.post(path, data=data, headers={**headers, **self._cookies()}, allow_redirects=False)

    async def sign_in(self, name: str) -> ClientResponse:
        answer = await self.post("/sign-in", {"token": f"token-of-{name}"})
        if session.COOKIE in answer.cookies:
            self.cookie = answer.cookies[session.COOKIE].value
        return answer

    def _cookies(self) -> dict[str, str]:
        return {"Cookie": f"{session.COOKIE}={self.cookie}"} if self.cookie else {}


def visit(fake: Fake, steps: Callable[[Browser], Awaitable[None]], prometheus: str = "") -> None:
    async def run() -> None:
        application = Console(fake, Prometheus(prometheus), "docs/runbooks").application()
        async with TestClient(TestServer(application)) as client:
            await steps(Browser(client))

    asyncio.run(run())


def links(text: str) -> set[str]:
    return set(re.findall(r'href="/stores/([^"]+)"', text))


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("admin", {"shop/agents", "shop/orders", "bank/ledger"}),
        ("shopkeeper", {"shop/agents", "shop/orders"}),
        ("clerk", {"bank/ledger"}),
        ("stranger", set()),
    ],
)
def test_a_person_sees_their_stores_and_no_others(name: str, seen: set[str]) -> None:
    async def steps(browser: Browser) -> None:
        assert (await browser.sign_in(name)).status == 303
        for path in ("/", "/?part=1"):
            answer = await browser.get(path)
            assert (answer.status, links(await answer.text())) == (200, seen)
        for store in ("shop/agents", "shop/orders", "bank/ledger"):
            for path in (f"/stores/{store}", f"/stores/{store}?part=1"):
                assert (await browser.get(path)).status == (200 if store in seen else 404)

    visit(cluster(), steps)


def test_a_store_that_one_may_not_see_is_as_one_that_is_not_there() -> None:
    async def steps(browser: Browser) -> None:
        await browser.sign_in("clerk")
        hidden, absent = await browser.get("/stores/shop/agents"), await browser.get("/stores/shop/nothing")
        assert (hidden.status, await hidden.text()) == (absent.status, await absent.text())

    visit(cluster(), steps)


def test_a_store_of_one_namespace_is_not_shown_by_the_name_of_another() -> None:
    fake = cluster()
    fake.rights.add(("clerk", "get", "shop", "ledger"))

    async def steps(browser: Browser) -> None:
        await browser.sign_in("clerk")
        assert (await browser.get("/stores/shop/ledger")).status == 404

    visit(fake, steps)


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_the_form_and_back(path: str) -> None:
    async def steps(browser: Browser) -> None:
        answer = await browser.get(path)
        if "part" in path:
            assert answer.status == 401
            return
        assert (answer.status, answer.headers["Location"]) == (303, f"/sign-in?next={path.partition('?')[0]}")
        form = await (await browser.get(answer.headers["Location"])).text()
        assert f'name="next" value="{path.partition("?")[0]}"' in form

    fake = cluster()
    visit(fake, steps)
    assert fake.asked == []


def test_the_cookie_is_for_this_host_over_tls_and_for_no_script() -> None:
    fake = cluster()
    held = jwt(exp=int(time.time()) + 600)
    fake.tokens[held] = "admin"

    async def steps(browser: Browser) -> None:
        answer = await browser.post("/sign-in", {"token": f" {held}\n", "next": "/stores/shop/agents"})
        assert (answer.status, answer.headers["Location"]) == (303, "/stores/shop/agents")
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"__Host-checkpointstore={held}; ")
        parts = set(cookie.split("; ")[1:])
        assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} < parts
        age = next(part for part in parts if part.startswith("Max-Age="))
        assert 590 <= int(age.removeprefix("Max-Age=")) <= 600
        assert "Domain" not in cookie
        opaque = await browser.sign_in("admin")
        assert "Max-Age" not in opaque.headers["Set-Cookie"]

    visit(fake, steps)


def test_a_wrong_token_gets_nobody_in_and_comes_back_in_no_page() -> None:
    async def steps(browser: Browser) -> None:
        for wrong in ("wrong-token", "wrong token", "x" * 5000):
            answer = await browser.post("/sign-in", {"token": wrong})
            assert answer.status == 403
            assert "Set-Cookie" not in answer.headers
            text = await answer.text()
            assert "does not take this token" in text
            assert wrong not in text

    visit(cluster(), steps)


def test_after_ten_wrong_tokens_an_address_has_to_wait() -> None:
    fake = cluster()

    async def steps(browser: Browser) -> None:
        await browser.sign_in("clerk")
        for number in range(session.FAILURES):
            assert (await browser.post("/sign-in", {"token": f"wrong-{number}"})).status == 403
        # Who is in stays in, whoever else guesses from there.
        assert (await browser.get("/")).status == 200
        answer = await browser.sign_in("admin")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
        browser.cookie = "wrong-cookie"
        assert (await browser.get("/")).status == 429

    visit(fake, steps)
    assert fake.count("TokenReview") == session.FAILURES + 1


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_a_form_of_another_site_is_refused(path: str, headers: dict[str, str]) -> None:
    async def steps(browser: Browser) -> None:
        answer = await browser.post(path, {"token": "token-of-admin"}, headers)
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers

    visit(cluster(), steps)


def test_signing_out_takes_the_cookie_away() -> None:
    async def steps(browser: Browser) -> None:
        await browser.sign_in("admin")
        answer = await browser.post("/sign-out", {})
        assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
        assert answer.cookies[session.COOKIE].value == ""
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
        assert "Secure" in answer.headers["Set-Cookie"]

    visit(cluster(), steps)


def test_a_revoked_token_is_signed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "TRUSTED_SECONDS", 0)
    fake = cluster()

    async def steps(browser: Browser) -> None:
        await browser.sign_in("admin")
        assert (await browser.get("/")).status == 200
        fake.tokens.clear()
        assert (await browser.get("/?part=1")).status == 401
        answer = await browser.get("/")
        assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/&ended")
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
        assert "not valid any more" in await (await browser.get("/sign-in?next=/&ended")).text()

    visit(fake, steps)


def test_every_answer_carries_the_headers_and_none_the_token() -> None:
    async def steps(browser: Browser) -> None:
        await browser.sign_in("admin")
        for path in (
            *PAGES,
            "/sign-in",
            "/healthz",
            "/nothing",
            "/stores/a/b",
            "/static/nothing",
            "/static/console.js",
        ):
            answer = await browser.get(path)
            for name, value in HEADERS.items():
                if not (name == "Cache-Control" and path == "/static/console.js"):
                    assert answer.headers[name] == value, path
            assert "token-of-admin" not in await answer.text()
        browser.cookie = None
        answer = await browser.get("/")
        assert answer.headers.items() >= HEADERS.items()

    visit(cluster(), steps)


def test_an_api_server_that_is_away_is_said_and_nothing_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    fake = cluster()
    fake.away = True

    async def steps(browser: Browser) -> None:
        answer = await browser.sign_in("admin")
        assert answer.status == 503
        browser.cookie = "token-of-admin"
        answer = await browser.get("/")
        assert answer.status == 503
        assert "API server does not answer" in await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"

    with caplog.at_level(logging.DEBUG):
        visit(fake, steps)
    assert "/ is not answered" in caplog.text
    assert "token-of-admin" not in caplog.text


def test_methods_and_pages_that_are_not_there_are_refused() -> None:
    async def steps(browser: Browser) -> None:
        await browser.sign_in("admin")
        assert (await browser.get("/sign-out")).status == 405
        assert (await browser.post("/", {})).status == 405
        assert (await browser.get("/static/..%2fserver.py")).status == 404
        assert (await browser.get("/stores/SHOP/agents")).status == 404
        assert (await browser.post("/sign-in", {"token": "x" * 20_000})).status == 413

    visit(cluster(), steps)


def test_another_sites_link_offers_the_way_that_has_the_cookie() -> None:
    async def steps(browser: Browser) -> None:
        way = "I am signed in already"
        assert way in await (await browser.get("/sign-in?next=/stores/a/b", **{"Sec-Fetch-Site": "cross-site"})).text()
        assert way not in await (await browser.get("/sign-in")).text()

    visit(cluster(), steps)


def test_a_prometheus_that_does_not_answer_keeps_no_page_waiting(unused_port: int) -> None:
    async def steps(browser: Browser) -> None:
        await browser.sign_in("admin")
        begun = time.monotonic()
        text = await (await browser.get("/stores/shop/agents")).text()
        assert time.monotonic() - begun < 5
        assert "Prometheus" in text
        assert str(unused_port) not in text

    visit(cluster(), steps, f"http://127.0.0.1:{unused_port}")


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield int(listener.getsockname()[1])


def test_the_first_page_of_two_hundred_stores_comes_at_once() -> None:
    async def steps(browser: Browser) -> None:
        await browser.sign_in("admin")
        begun = time.perf_counter()
        answer = await browser.get("/")
        text = await answer.text()
        print(f"200 stores: {len(text.encode())} bytes in {(time.perf_counter() - begun) * 1000:.0f} ms")
        assert len(links(text)) == 200
        assert len(text.encode()) < 150_000

    visit(cluster(many()), steps)
