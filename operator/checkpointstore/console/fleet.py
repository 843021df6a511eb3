"""The first page: every store that the person may see, the worst first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .html import Html, element, together
from .mark import ago, mark
from .page import document, live
from .verdict import Verdict, judge

COLUMNS = ("Store", "Ready", "Phase", "Instances", "Pooler", "Last backup", "Verified", "Message")
MESSAGE_LIMIT = 140
"""Characters of a message in the table; a store's own page has all of it."""


def page(stores: Sequence[Mapping[str, Any]], wanted: str, person: str, now: datetime) -> str:
    """`wanted` is what the filter asks for, "" for everything."""
    judged = [(judge(body), body) for body in stores]
    alarming = sum(verdict.alarming for verdict, _ in judged)
    box = element(
        "form",
        element("label", "Filter", for_="q"),
        element("input", id="q", name="q", type="search", value=wanted, autocomplete="off", spellcheck="false"),
        element("button", "Apply"),
        role="search",
        method="get",
        action="/",
        class_="filter",
    )
    title = f"{alarming} of {len(judged)} need a look" if alarming else "Stores"
    return document(title, element("h1", "Stores"), box, live(_part(judged, wanted, now), now), person=person)


def part(stores: Sequence[Mapping[str, Any]], wanted: str, now: datetime) -> Html:
    """What renews itself."""
    return _part([(judge(body), body) for body in stores], wanted, now)


def _part(judged: Sequence[tuple[Verdict, Mapping[str, Any]]], wanted: str, now: datetime) -> Html:
    if not judged:
        return element("p", "There is no store that you may see.", class_="empty")
    words = wanted.lower().split()
    chosen = [one for one in judged if all(word in _searched(*one) for word in words)]
    chosen.sort(key=lambda one: (one[0].rank, _name(one[1])))
    alarming = sum(verdict.alarming for verdict, _ in chosen)
    count = f"{len(chosen)} of {len(judged)} stores" if words else f"{len(judged)} store{'s'[: len(judged) != 1]}"
    caption = element("caption", f"{count}; {alarming or 'none'} {'needs' if alarming == 1 else 'need'} a look")
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in COLUMNS)))
    rows = together(_row(verdict, body, now) for verdict, body in chosen)
    return element("table", caption, head, element("tbody", rows), class_="fleet")


def _row(verdict: Verdict, body: Mapping[str, Any], now: datetime) -> Html:
    namespace, name = _name(body)
    status = body.get("status") or {}
    postgres, pooler, backup = (status.get(key) or {} for key in ("postgres", "pooler", "backup"))
    cells = (
        mark(verdict.rank, verdict.ready),
        str(status.get("phase") or "–"),
        ready_of(postgres),
        ready_of(pooler),
        ago(str(backup.get("lastSuccessful") or ""), now),
        ago(str(backup.get("lastVerified") or ""), now),
        shortened(verdict.message),
    )
    link = element("a", f"{namespace}/{name}", href=f"/stores/{namespace}/{name}")
    return element("tr", element("th", link, scope="row"), *(element("td", cell) for cell in cells))


def ready_of(told: Mapping[str, Any]) -> str:
    """Ready and wanted, as `2 of 3`."""
    if not told.get("instances") and not told.get("readyInstances"):
        return "–"
    return f"{told.get('readyInstances', 0)} of {told.get('instances', '?')}"


def shortened(text: str) -> str:
    return text if len(text) <= MESSAGE_LIMIT else f"{text[: MESSAGE_LIMIT - 1].rstrip()}…"


def _searched(verdict: Verdict, body: Mapping[str, Any]) -> str:
    namespace, name = _name(body)
    return f"{namespace}/{name} {(body.get('status') or {}).get('phase', '')} {verdict.message}".lower()


def _name(body: Mapping[str, Any]) -> tuple[str, str]:
    return str(body["metadata"]["namespace"]), str(body["metadata"]["name"])
