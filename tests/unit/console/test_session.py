"""What is taken for a token, for how long, from whom, and how many wrong ones."""

import base64
import json

import pytest

from checkpointstore.console import session
from checkpointstore.console.session import Attempts


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{body}.c2lnbmVk"


@pytest.mark.parametrize(
    ("pasted", "token"),
    [
        ("  abc.def-g_h\n", "abc.def-g_h"),
        ("Bearer abc", "abc"),
        ("", None),
        ("two words", None),
        ("a;b", None),
        ("a\r\nSet-Cookie: b", None),
        ("ä", None),
        ("a" * session.LONGEST, "a" * session.LONGEST),
        ("a" * (session.LONGEST + 1), None),
    ],
)
def test_a_token_is_one_word_that_a_cookie_can_hold(pasted: str, token: str | None) -> None:
    assert session.token(pasted) == token


@pytest.mark.parametrize(
    ("token", "seconds"),
    [
        (jwt(exp=1600), 600),
        (jwt(exp=400), 0),
        (jwt(), None),
        (jwt(exp="soon"), None),
        (jwt(exp=float("inf")), None),
        ("opaque", None),
        ("a.!!!.c", None),
        ("a.W10.c", None),
    ],
)
def test_a_cookie_ends_with_its_token(token: str, seconds: int | None) -> None:
    assert session.max_age(token, 1000) == seconds


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://console:8443"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "https://console:8443"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_a_form_is_taken_from_our_own_pages_only(headers: dict[str, str], own: bool) -> None:
    assert session.own(headers, "console:8443") is own


@pytest.mark.parametrize(
    ("asked", "onward"),
    [
        ("/", "/"),
        ("/stores/shop/agents", "/stores/shop/agents"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/stores/shop/agents/../../..", "/"),
        ("/stores/shop/agents\n", "/"),
        ("/sign-out", "/"),
    ],
)
def test_signing_in_leads_to_a_page_of_the_console(asked: str, onward: str) -> None:
    assert session.onward(asked) == onward


def test_wrong_tokens_of_an_address_are_counted_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(session.FAILURES):
        assert attempts.allowed("10.0.0.1")
        attempts.fail("10.0.0.1")
    assert not attempts.allowed("10.0.0.1")
    assert attempts.allowed("10.0.0.2")
    now[0] = session.WINDOW
    assert attempts.allowed("10.0.0.1")
    monkeypatch.setattr(session, "ADDRESSES", 2)
    for number in range(5):
        attempts.fail(f"10.0.1.{number}")
    assert len(attempts._failed) == 2
