"""A session is the token itself in a cookie that no script reads; here is what is made of it and let in."""

import base64
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

COOKIE = "__Host-checkpointstore"
LONGEST = 3800
"""Characters of a token: browsers drop a cookie of more than 4096 with its name and marks."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_NEXT = re.compile(r"/(?:stores/[a-z0-9.-]+/[a-z0-9.-]+)?")
WINDOW, FAILURES, ADDRESSES = 60.0, 10, 10_000


def token(pasted: str) -> str | None:
    """The token in what somebody pasted; None where there can be none."""
    text = pasted.strip().removeprefix("Bearer ").strip()
    return text if len(text) <= LONGEST and _TOKEN.fullmatch(text) else None


def max_age(held: str, now: float) -> int | None:
    """Seconds until the token ends, at least 0, as it says itself; None where it does not.

    Nothing is verified here: the API server does that. Without an end the cookie goes with the browser.
    """
    try:
        claims = held.split(".")[1]
        end = float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
        return max(0, int(end - now))
    except (ValueError, LookupError, TypeError, OverflowError):
        return None


def own(headers: Mapping[str, str], host: str) -> bool:
    """Whether a form was sent from a page of ours.

    Origin alone does not do: our own pages send none of their address, so browsers write `null` there.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("Origin", "")).netloc == host != ""


def onward(asked: str) -> str:
    """Where to go after signing in: a page of the console, whatever the address says."""
    return asked if _NEXT.fullmatch(asked) else "/"


class Attempts:
    """Wrong tokens of each address within the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def allowed(self, address: str) -> bool:
        return len(self._lately(address)) < FAILURES

    def fail(self, address: str) -> None:
        self._failed[address] = [*self._lately(address), self._clock()]
        self._failed.move_to_end(address)
        while len(self._failed) > ADDRESSES:
            self._failed.popitem(last=False)

    def _lately(self, address: str) -> list[float]:
        return [at for at in self._failed.get(address, ()) if at > self._clock() - WINDOW]
