"""What every page has: the frame, the sign-in form, and the page that only says something."""

from datetime import datetime

from ..kernel.values import moment
from .html import Content, Html, element, together

NAME = "CheckpointStore"


def document(title: str, *main: Content, person: str = "", wide: bool = True) -> str:
    """A whole page; `title` comes before the console's name."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · {NAME}"),
        element("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/static/console.css"),
        element("script", src="/static/console.js", defer=True),
    )
    body = element(
        "body",
        element("a", "Skip to the content", href="#main", class_="skip"),
        _header(person),
        element("main", *main, id="main", tabindex="-1", class_=None if wide else "narrow"),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _header(person: str) -> Html:
    home = element("a", NAME, href="/", class_="home")
    if not person:
        return element("header", home)
    out = element("form", element("button", "Sign out"), method="post", action="/sign-out")
    return element("header", home, element("p", "Signed in as ", element("b", person)), out)


def live(part: Html, now: datetime) -> Html:
    """The part of a page that renews itself, and how one stops it; without a script it is as it was when it came."""
    at = element("time", now.strftime("%H:%M:%S"), id="at", datetime=moment(now))
    return together(
        (
            element(
                "p",
                element("span", "As of ", at, " UTC. "),
                element("button", "Pause updates", id="pause", type="button", hidden=True, aria_pressed="false"),
                element("span", id="said", role="status"),
                class_="asof",
            ),
            element("div", part, id="live"),
        )
    )


def sign_in(note: str = "", onward: str = "/", elsewhere: bool = False) -> str:
    """The form that takes a token; `elsewhere` when another site's link led here, with which no cookie is sent."""
    command = "kubectl create token ACCOUNT --namespace NAMESPACE"
    form = element(
        "form",
        element("p", element("strong", note), id="note", class_="note", role="alert") if note else None,
        element("label", "Token", for_="token"),
        element(
            "input",
            id="token",
            name="token",
            type="password",
            required=True,
            autofocus=True,
            autocomplete="off",
            spellcheck="false",
            aria_describedby="note hint" if note else "hint",
        ),
        element("input", type="hidden", name="next", value=onward),
        element("button", "Sign in", class_="main"),
        element(
            "p",
            "Paste what ",
            element("code", command),
            " prints. It stays in a cookie of this browser until you sign out or it ends. ",
            "You see the stores that it may ",
            element("code", "get"),
            ".",
            id="hint",
            class_="hint",
        ),
        method="post",
        action="/sign-in",
    )
    again = element("p", element("a", "I am signed in already", href=onward)) if elsewhere else None
    return document("Sign in", element("h1", "Sign in"), form, again, wide=False)


def saying(title: str, sentence: str, person: str = "") -> str:
    """A page with one sentence and the way back."""
    back = element("p", element("a", "All stores", href="/"))
    return document(title, element("h1", title), element("p", sentence), back, person=person, wide=False)
