"""The console in a real browser, over TLS, on two hundred stores: by keyboard alone, without a word in its console."""

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from checkpointstore.console import review, server
from checkpointstore.console.server import Console
from checkpointstore.console.tls import Certificate
from checkpointstore.console.trend import QUESTIONS, Prometheus, Trend, Trends
from tests.integration import chromium
from tests.integration.chromium import Page
from tests.unit.console import fleet as made
from tests.unit.console.fleet import SCRIPT, Fake, cluster, many

pytestmark = pytest.mark.skipif(not chromium.there(), reason="chromium is not installed: `make tools`")
WORST = ("team-00", "agents-000")
ACTIVE = "document.activeElement"
NAVIGATION = "performance.getEntriesByType('navigation')[0]"
FIRST_PAGE_BYTES = 150_000
Steps = Callable[[Page, str], Awaitable[None]]


class Hour(Prometheus):
    """An hour as a busy store has it."""

    async def trends(self, _store: review.Key) -> Trends:
        waves = tuple((60.0 * minute, 1 + 0.4 * math.sin(minute / 5) + minute / 60) for minute in range(60))
        sizes = (0.004, 310, 12, 7e8)
        return Trends(
            tuple(
                Trend(question.title, tuple((at, value * size) for at, value in waves), question.spell)
                for question, size in zip(QUESTIONS, sizes, strict=True)
            )
        )


def visit(fake: Fake, steps: Steps, prometheus: Prometheus | None = None) -> None:
    """A console on loopback, with a certificate of its own, and a browser before it; neither complains of the other."""

    async def run() -> None:
        console = Console(fake, prometheus or Prometheus(""), "docs/runbooks").application()
        runner = web.AppRunner(console, access_log=None)
        await runner.setup()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            await web.SockSite(runner, listener, ssl_context=Certificate(None).context).start()
            home = f"https://localhost:{listener.getsockname()[1]}"
            async with chromium.page() as page:
                await steps(page, home)
                assert [url for url in page.requests if not url.startswith((home, "about:", "data:"))] == []
                assert page.complaints == []
            await runner.cleanup()

    asyncio.run(run())


def crowd() -> Fake:
    """Two hundred stores, one of them with all that a page can show."""
    stores = many()
    stores[0] = made.store(
        *WORST, Ready=("False", "NoPrimary", f"No instance leads {SCRIPT}; kubectl get pods shows why")
    )
    fake = cluster(stores)
    fake.objects["CheckpointBackup"] = [
        made.backup(*WORST, f"agents-000-{kind}") for kind in ("full-202611260300", "differential-202611270300")
    ]
    fake.objects["CheckpointBackup"].append(made.backup(*WORST, "agents-000-by-hand", "Failed"))
    fake.objects["Event"] = [made.event(*WORST, "PrimaryChanged", "agents-000-1 leads now")]
    return fake


async def sign_in(page: Page, home: str, name: str = "admin", path: str = "/") -> None:
    """As a person without a mouse does: the field has the focus, Enter sends."""
    await page.open(home + path)
    await page.until(f"{ACTIVE}.id === 'token'")
    await page.type(f"token-of-{name}")
    await page.press("Enter")
    await page.until("!document.getElementById('token') && document.readyState === 'complete'")


async def tab_to(page: Page, wanted: str, most: int = 12) -> None:
    """Tab until what is wanted has the focus, which must be seen."""
    for _ in range(most):
        await page.press("Tab")
        if await page.ask(f"{ACTIVE}.matches({wanted!r})"):
            assert await page.ask(f"getComputedStyle({ACTIVE}).outlineStyle") == "solid"
            return
    raise AssertionError(f"{wanted}: not within {most} tabs; on {await page.ask(f'{ACTIVE}.outerHTML')}")


def test_the_keyboard_alone_leads_from_the_form_to_a_store_and_out() -> None:
    async def steps(page: Page, home: str) -> None:
        await sign_in(page, home)
        assert await page.ask("document.querySelectorAll('tbody tr').length") == 200
        await page.press("Tab")
        assert await page.ask(f"{ACTIVE}.className") == "skip"
        await page.press("Enter")
        assert await page.ask("location.hash") == "#main"
        await tab_to(page, "#q")
        await page.type("agents-000")
        await page.until("document.querySelectorAll('tbody tr').length === 1")
        assert "q=agents-000" in await page.ask("location.search")
        await tab_to(page, "tbody a")
        await page.press("Enter")
        await page.until("location.pathname === '/stores/team-00/agents-000' && document.querySelector('h1')")
        assert await page.ask("document.querySelector('h1').textContent") == "team-00/agents-000"
        await tab_to(page, "header button")
        await page.press("Enter")
        await page.until("location.pathname === '/sign-in'")
        await page.open(f"{home}/")
        await page.until(f"{ACTIVE}.id === 'token'")

    visit(crowd(), steps)


def test_a_page_that_was_asked_for_comes_after_signing_in_and_a_wrong_token_is_told() -> None:
    async def steps(page: Page, home: str) -> None:
        await page.open(f"{home}/stores/bank/ledger")
        await page.until(f"{ACTIVE}.id === 'token'")
        await page.type("wrong")
        await page.press("Enter")
        await page.until("document.querySelector('[role=alert]')")
        # The browser tells of the status 403 itself.
        assert all("403" in told for told in page.complaints)
        page.complaints.clear()
        await page.until(f"{ACTIVE}.id === 'token'")
        await page.type("token-of-clerk")
        await page.press("Enter")
        await page.until("document.querySelector('h1').textContent === 'bank/ledger'")
        assert await page.ask("document.cookie") == ""
        await page.open(f"{home}/")
        assert (
            await page.ask("[...document.querySelectorAll('tbody a')].map((a) => a.textContent).join()")
            == "bank/ledger"
        )

    visit(cluster(), steps)


def test_what_changes_is_shown_by_itself_and_keeps_the_focus() -> None:
    fake = crowd()

    async def steps(page: Page, home: str) -> None:
        await sign_in(page, home)
        await tab_to(page, "tbody a")
        where = await page.ask(f"{ACTIVE}.getAttribute('href')")
        fake.objects["CheckpointStore"][0]["status"]["conditions"][0]["message"] = "It was mended"
        await page.until("document.body.textContent.includes('It was mended')")
        assert await page.ask(f"{ACTIVE}.getAttribute('href')") == where
        await tab_to_pause(page)
        fake.objects["CheckpointStore"][0]["status"]["conditions"][0]["message"] = "It broke again"
        at = await page.ask("document.getElementById('at').textContent")
        await asyncio.sleep(6)
        assert await page.ask("document.getElementById('at').textContent") == at
        await page.press("Space")
        await page.until("document.body.textContent.includes('It broke again')")

    visit(fake, steps)


async def tab_to_pause(page: Page) -> None:
    await page.press("Tab", shift=True)
    assert await page.ask(f"{ACTIVE}.id") == "pause"
    await page.press("Enter")
    assert await page.ask(f"{ACTIVE}.getAttribute('aria-pressed')") == "true"


def test_a_revoked_token_ends_at_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "TRUSTED_SECONDS", 1)
    fake = cluster()

    async def steps(page: Page, home: str) -> None:
        await sign_in(page, home)
        fake.tokens.clear()
        await page.until("location.pathname === '/sign-in' && document.querySelector('[role=alert]')")
        assert "not valid any more" in await page.ask("document.body.textContent")
        page.complaints.clear()

    visit(fake, steps)


def test_the_first_page_of_two_hundred_stores_is_small_and_quick() -> None:
    async def steps(page: Page, home: str) -> None:
        await sign_in(page, home)
        for what in ("first", "again"):
            took = await page.ask(f"{NAVIGATION}.domContentLoadedEventEnd - {NAVIGATION}.requestStart")
            served = await page.ask(f"{NAVIGATION}.responseEnd - {NAVIGATION}.requestStart")
            sizes = "performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize || 0), 0)"
            size = await page.ask(sizes)
            print(f"200 stores, {what}: {size} bytes, served in {served:.0f} ms, stands after {took:.0f} ms")
            assert 50_000 < size < FIRST_PAGE_BYTES
            await page.open(f"{home}/")

    visit(crowd(), steps)


def test_it_can_be_seen_by_day_and_by_night_on_a_desk_and_on_a_phone(tmp_path: Path) -> None:
    """The pictures stay in pytest's folder, to be looked at."""

    async def steps(page: Page, home: str) -> None:
        await page.open(f"{home}/sign-in")
        places = {"sign-in": "/sign-in", "fleet": "/", "store": f"/stores/{'/'.join(WORST)}"}
        for name, path in places.items():
            if name == "fleet":
                await sign_in(page, home)
            seen = set()
            for scheme in ("light", "dark"):
                for width in (1280, 390):
                    await page.dress(scheme, width, 2000 if name == "store" else 900)
                    await page.open(home + path)
                    seen.add(await page.picture(tmp_path / f"{name}-{scheme}-{width}.png"))
                    assert await page.ask("document.documentElement.scrollWidth <= innerWidth"), (name, width)
            assert len(seen) == 4
        assert await page.ask("document.body.textContent.includes('alert(')")

    visit(crowd(), steps, Hour(""))
    print(f"pictures: {tmp_path}")


def test_the_files_that_the_pages_name_are_served() -> None:
    assert {file.name for file in server.STATIC.iterdir()} == set(server.FILES)
