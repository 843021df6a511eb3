"""The console's HTTPS server: who asks is reviewed first, then what they may see is read and shown."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from ..adapters import kube
from ..kernel.action import Manifest
from ..kernel.errors import StoreError
from . import fleet, page, session, store
from .reading import Cluster, Reading
from .review import Key, Person, Reviews
from .settings import Settings
from .tls import Certificate
from .trend import Prometheus

STATIC = Path(__file__).parent / "static"
FILES = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
NAME = "[a-z0-9.-]+"
FORM_BYTES = 16 * 1024
PATIENCE = 10.0
"""Seconds for the API server to answer all that a page needs."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "checkpointstore",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
logger = logging.getLogger(__name__)


class Console:
    """The pages, over anything that answers as the API server does."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus, runbooks: str) -> None:
        self._reviews, self._reading = Reviews(cluster), Reading(cluster)
        self._prometheus, self._runbooks = prometheus, runbooks
        self._attempts = session.Attempts()
        self._files = {name: (STATIC / name).read_bytes() for name in FILES}

    def application(self) -> web.Application:
        """Ready to be served."""
        app = web.Application(middlewares=[guarded], client_max_size=FORM_BYTES)
        app.router.add_get("/", self._fleet)
        app.router.add_get(f"/stores/{{namespace:{NAME}}}/{{name:{NAME}}}", self._store)
        app.router.add_get("/sign-in", self._form)
        app.router.add_post("/sign-in", self._sign_in)
        app.router.add_post("/sign-out", self._sign_out)
        app.router.add_get("/healthz", _health)
        app.router.add_get("/static/{name}", self._static)
        return app

    async def _fleet(self, request: web.Request) -> web.StreamResponse:
        person = await self._person(request)
        stores = await self._reading.stores()
        seen = await self._reviews.visible(person, stores)
        bodies = [body for key, body in stores.items() if key in seen]
        wanted, now = request.query.get("q", "")[:100], datetime.now(UTC)
        if "part" in request.query:
            return _html(fleet.part(bodies, wanted, now))
        return _html(fleet.page(bodies, wanted, person.name, now))

    async def _store(self, request: web.Request) -> web.StreamResponse:
        person = await self._person(request)
        key = (request.match_info["namespace"], request.match_info["name"])
        # Asked before it is looked for, and answered alike: nobody learns which stores there are.
        body = (await self._reading.stores()).get(key) if await self._reviews.sees(person, key) else None
        if body is None:
            text = page.saying("No such store", "There is none of this name that you may see.", person.name)
            return _html(text, HTTPStatus.NOT_FOUND)
        shown = await self._shown(key, body)
        now = datetime.now(UTC)
        if "part" in request.query:
            return _html(store.part(shown, self._runbooks, now))
        return _html(store.page(shown, self._runbooks, person.name, now))

    async def _shown(self, key: Key, body: Manifest) -> store.Shown:
        pods, backups, events, trends = await asyncio.gather(
            self._reading.pods(key),
            self._reading.backups(key),
            self._reading.events(key),
            self._prometheus.trends(key),
        )
        return store.Shown(body, pods, backups, events, trends)

    async def _form(self, request: web.Request) -> web.StreamResponse:
        onward = session.onward(request.query.get("next", "/"))
        note = "Your token is not valid any more. Sign in with a new one." if "ended" in request.query else ""
        return _html(page.sign_in(note, onward, request.headers.get("Sec-Fetch-Site") == "cross-site"))

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        _own(request)
        form = await request.post()
        onward = session.onward(str(form.get("next", "/")))
        held = session.token(str(form.get("token", "")))
        self._allow(request)
        if held is None or await self._reviews.who(held) is None:
            self._attempts.fail(request.remote or "")
            return _html(page.sign_in("The API server does not take this token.", onward), HTTPStatus.FORBIDDEN)
        answer = web.HTTPSeeOther(onward)
        age = session.max_age(held, time.time())
        answer.set_cookie(session.COOKIE, held, max_age=age, path="/", secure=True, httponly=True, samesite="Strict")
        raise answer

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        _own(request)
        raise _forgetting(web.HTTPSeeOther("/sign-in"))

    async def _person(self, request: web.Request) -> Person:
        """Who asks; raises what leads to the sign-in page."""
        held = session.token(request.cookies.get(session.COOKIE, ""))
        if held is None:
            raise _stranger(request, "")
        if not self._reviews.met(held):
            self._allow(request)
        person = await self._reviews.who(held)
        if person is None:
            self._attempts.fail(request.remote or "")
            raise _stranger(request, "&ended")
        return person

    def _allow(self, request: web.Request) -> None:
        if not self._attempts.allowed(request.remote or ""):
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(int(session.WINDOW))})

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound()
        # They change only with the release, and are asked for again when the console restarts.
        headers = {"Cache-Control": "max-age=300"}
        return web.Response(body=self._files[name], content_type=FILES[name], charset="utf-8", headers=headers)


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer has the headers, and every failure says so in one sentence and tells nothing else."""
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await handler(request)
    except web.HTTPRedirection as redirection:
        redirection.headers.update(HEADERS)
        raise
    except web.HTTPException as error:
        answer = _failed(error)
    except (StoreError, TimeoutError) as error:
        logger.warning("%s is not answered: %s", request.rel_url.path, getattr(error, "message", "too slow"))
        answer = _html(
            page.saying("Not now", "The API server does not answer as it should. Try again in a moment."),
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


def _failed(error: web.HTTPException) -> web.Response:
    known = {
        401: "Sign in first.",
        403: "This form was not sent from a page of the console.",
        404: "There is no such page.",
        429: "Too many wrong tokens came from your address. Wait a minute.",
    }
    answer = _html(page.saying(error.reason, known.get(error.status, "That cannot be done here.")), error.status)
    for name in ("Retry-After", "Allow"):
        if name in error.headers:
            answer.headers[name] = error.headers[name]
    return answer


def _stranger(request: web.Request, why: str) -> web.HTTPException:
    if "part" in request.query:
        return web.HTTPUnauthorized()
    answer = web.HTTPSeeOther(f"/sign-in?next={quote(request.path)}{why}")
    if why:
        _forgetting(answer)
    return answer


def _forgetting(answer: web.HTTPSeeOther) -> web.HTTPSeeOther:
    answer.del_cookie(session.COOKIE, path="/", secure=True, httponly=True, samesite="Strict")
    return answer


def _own(request: web.Request) -> None:
    if not session.own(request.headers, request.host):
        raise web.HTTPForbidden()


async def _health(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="ok\n")


def _html(text: str, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def run(settings: Settings) -> None:
    """Serve until told to stop. Raises OSError when the certificate cannot be used, Unavailable without a cluster."""
    certificate = Certificate(settings.certificate)
    web.run_app(
        _served(settings, certificate),
        port=settings.port,
        ssl_context=certificate.context,
        access_log=None,
        print=None,
        shutdown_timeout=5,
    )


async def _served(settings: Settings, certificate: Certificate) -> web.Application:
    cluster = await kube.connect()
    app = Console(cluster, Prometheus(settings.prometheus), settings.runbooks).application()

    async def beside(_app: web.Application) -> AsyncIterator[None]:
        keeping = asyncio.create_task(certificate.keep())
        yield
        keeping.cancel()
        await cluster.close()

    app.cleanup_ctx.append(beside)
    return app
