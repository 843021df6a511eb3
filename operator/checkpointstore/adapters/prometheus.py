"""Questions to a Prometheus; its client is synchronous, so each is asked in a thread of its own."""

import asyncio
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.util import Retry

from ..kernel.errors import Refused, Unavailable
from ..kernel.prometheus import Series

TIMEOUT = 5
LIMIT = 16 * 1024 * 1024
"""Bytes of an answer: twenty pods that are read each second stay below it."""
T = TypeVar("T")
# Who does not answer keeps a thread for seconds: so few of them that eight such leave the others theirs.
_AT_ONCE, _THREADS = 2, ThreadPoolExecutor(18, "prometheus")
_asked: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Access:
    """Where a Prometheus is and how to get in. `ca` is PEM, "" for the public authorities."""

    url: str
    ca: str = ""
    token: str = field(default="", repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)


async def samples(access: Access, query: str) -> tuple[Series, ...]:
    """The time series that a range selector gives.

    Raises Unavailable when nobody answers in time, Refused("PrometheusRefuses") when the answer is no.
    """
    return await _ask(access, query, _series)


async def value(access: Access, query: str) -> float | None:
    """The one number that a query gives, None where it gives none. Raises as `samples` does."""
    return await _ask(access, query, _number)


def _series(found: Sequence[Any]) -> tuple[Series, ...]:
    return tuple(
        Series(
            str(item["metric"].get("__name__", "")),
            item["metric"],
            tuple((float(at), float(number)) for at, number in item.get("values", ())),
        )
        for item in found
    )


def _number(found: Sequence[Any]) -> float | None:
    return float(found[0]["value"][1]) if len(found) == 1 else None


async def _ask(access: Access, query: str, read: Callable[[Sequence[Any]], T]) -> T:
    loop = asyncio.get_running_loop()
    places = _asked.setdefault(loop, {}).setdefault(access.url, asyncio.Semaphore(_AT_ONCE))
    async with places:
        try:
            async with asyncio.timeout(2 * TIMEOUT):
                return read(await loop.run_in_executor(_THREADS, _answer, access, query))
        except (PrometheusApiClientException, ValueError, LookupError, TypeError, AttributeError) as error:
            raise Refused(
                "PrometheusRefuses", f"{access.url} does not answer as Prometheus does: {_brief(error)}"
            ) from None
        except (requests.RequestException, TimeoutError, OSError) as error:
            raise Unavailable(f"{access.url} does not answer: {type(error).__name__}") from None


def _answer(access: Access, query: str) -> Sequence[Any]:
    with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
        session.trust_env = False
        session.hooks["response"].append(partial(_bounded, until=time.monotonic() + 2 * TIMEOUT))
        if access.ca:
            file = Path(folder) / "ca.crt"
            file.write_text(access.ca)
            session.verify = str(file)
        if access.token:
            session.headers["Authorization"] = f"Bearer {access.token}"
        session.auth = access.login
        client = PrometheusConnect(url=access.url.rstrip("/"), session=session, timeout=TIMEOUT, retry=Retry(0))
        found = client.custom_query(query)
        return found if isinstance(found, list) else []


def _bounded(answer: requests.Response, until: float, **_: Any) -> None:
    """Read an answer that a person's own server gives, not more of it than any real one has, and not for ever."""
    content = bytearray()
    for chunk in answer.iter_content(65536):
        content += chunk
        if len(content) > LIMIT or time.monotonic() > until:
            raise requests.exceptions.ContentDecodingError("too long")
    answer._content = bytes(content)


def _brief(error: Exception) -> str:
    """An HTTP status, or the kind of the fault; the server's own page goes no further, as it may be anybody's."""
    status = re.match(r"HTTP Status Code [0-9]+", str(error))
    return status[0] if status else type(error).__name__
