"""What the pages show, and that whatever a store says stays text."""

import re
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from checkpointstore.console import fleet, page, store
from checkpointstore.console.html import Html, element, together
from checkpointstore.console.mark import ago, span
from checkpointstore.console.server import STATIC
from checkpointstore.console.spark import line
from checkpointstore.console.trend import Trend, Trends
from checkpointstore.console.verdict import Rank, judge
from tests.unit.console import fleet as made
from tests.unit.console.fleet import SCRIPT

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
RUNBOOKS = "docs/runbooks"
FIRST_PAGE_BYTES = 150_000


class Outline(HTMLParser):
    """What a page is made of, and that everything that opens closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def shown(**others: Any) -> store.Shown:
    body = made.store(AutoscalingLimited=("True", "MaxInstancesReached", "Six pods are busy"))
    backups = [made.backup("shop", "agents", "agents-full-202611260300")]
    events = [made.event("shop", "agents", "PrimaryChanged", "agents-1 leads now")]
    return store.Shown(**{"body": body, "pods": made.pods(), "backups": backups, "events": events, **others})


def every_page() -> dict[str, str]:
    trends = Trends((Trend("Transactions a second", ((0.0, 1.0), (60.0, 3.0)), str), Trend("Mean wait", (), str)))
    return {
        "fleet": fleet.page(made.many(5), "", "admin", NOW),
        "nothing": fleet.page([], "", "stranger", NOW),
        "store": store.page(shown(trends=trends), RUNBOOKS, "admin", NOW),
        "young": store.page(store.Shown({"metadata": {"namespace": "a", "name": "b"}}), RUNBOOKS, "admin", NOW),
        "sign-in": page.sign_in(),
        "refused": page.sign_in("The API server does not take this token."),
        "saying": page.saying("No such store", "There is none."),
    }


@pytest.mark.parametrize(("name", "text"), every_page().items())
def test_every_page_can_be_read_without_eyes_or_mouse(name: str, text: str) -> None:
    outline = Outline(text)
    assert outline.of("html") == [{"lang": "en"}]
    assert len(outline.of("h1")) == 1
    assert len(outline.of("title")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.of("meta")
    assert outline.of("a")[0]["href"] == "#main"
    assert [main["id"] for main in outline.of("main")] == ["main"]
    assert len(outline.of("caption")) == len(outline.of("table"))
    assert all(cell.get("scope") in ("col", "row") for cell in outline.of("th"))
    labelled = {label["for"] for label in outline.of("label")}
    assert {field["id"] for field in outline.of("input") if field.get("type") != "hidden"} == labelled
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes["aria-labelledby"] for _, attributes in outline.tags if "aria-labelledby" in attributes]
    assert set(named) <= set(ids)


@pytest.mark.parametrize(("name", "text"), every_page().items())
def test_no_page_needs_more_than_the_policy_allows(name: str, text: str) -> None:
    outline = Outline(text)
    assert "<style" not in text
    assert not [
        name for _, attributes in outline.tags for name in attributes if name.startswith("on") or name == "style"
    ]
    assert [script.get("src") for script in outline.of("script")] == ["/static/console.js"]
    told = [attributes.get(key) for _, attributes in outline.tags for key in ("src", "href", "action")]
    assert [place for place in told if place and not place.startswith(("/", "#"))] == []


def test_text_is_escaped_and_markup_is_not() -> None:
    assert element("p", "<&>", 3, None, ("a", element("b", "c")), title='"<') == (
        '<p title="&quot;&lt;">&lt;&amp;&gt;3a<b>c</b></p>'
    )
    assert together(Html("<br>")) == "<br>"
    assert element("input", required=True, hidden=False, id=None) == "<input required>"


def test_what_a_store_says_stays_text() -> None:
    """Each string of each object in turn: a message, a name, a node."""
    poisoned = poison(made.store(Ready=("False", SCRIPT, SCRIPT)))
    events, backups, pods = (
        poison(item) for item in ([made.event("a", "b", "c", "d")], [made.backup("a", "b", "c")], made.pods())
    )
    for item in pods:
        item["metadata"]["labels"]["app.kubernetes.io/component"] = "postgres"
    texts = (
        fleet.page([poisoned], SCRIPT, SCRIPT, NOW),
        store.page(store.Shown(poisoned, pods, backups, events, Trends(missing=SCRIPT)), SCRIPT, SCRIPT, NOW),
        page.sign_in(SCRIPT, SCRIPT),
        page.saying(SCRIPT, SCRIPT, SCRIPT),
    )
    for text in texts:
        assert "alert(" in text
        assert "<script>" not in text
        assert text.count("<script") == 1
        Outline(text)


def poison(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: poison(item) for key, item in value.items()}
    if isinstance(value, list):
        return [poison(item) for item in value]
    return f'{value}"{SCRIPT}' if isinstance(value, str) else value


def test_the_fleet_has_the_worst_first_and_says_how_many_need_a_look() -> None:
    stores = [
        made.store("a", "well"),
        made.store("b", "limited", AutoscalingLimited=("True", "MaxInstancesReached", "Six pods are busy")),
        made.store("c", "down", Ready=("False", "NoPrimary", "No instance leads")),
        made.store("d", "unseen", Ready=("Unknown", "Unreachable", "The operator cannot look")),
        made.store("e", "working", Reconciling=("True", "Applying", "Two pods are replaced")),
    ]
    outline = Outline(fleet.page(stores, "", "admin", NOW))
    links = [link["href"] for link in outline.of("a") if str(link["href"]).startswith("/stores/")]
    assert links == ["/stores/c/down", "/stores/d/unseen", "/stores/b/limited", "/stores/e/working", "/stores/a/well"]
    assert "5 stores; 3 need a look" in outline.words
    assert "3 of 5 need a look · CheckpointStore" in outline.words
    assert "AutoscalingLimited: Six pods are busy" in outline.words
    for word in ("2 of 2", "9 h ago", "3 d ago"):
        assert word in outline.words


def test_the_filter_looks_into_names_phases_and_messages() -> None:
    stores = [made.store("shop", "agents"), made.store("bank", "agents", Ready=("False", "NoPrimary", "No leader"))]
    for wanted, left in (("shop", 1), ("BANK", 1), ("agents", 2), ("agents leader", 1), ("nobody", 0)):
        text = fleet.page(stores, wanted, "admin", NOW)
        assert text.count('href="/stores/') == left, wanted
        assert f"{left} of 2 stores" in text


@pytest.mark.parametrize(
    ("wrong", "rank"),
    [
        ({}, Rank.GOOD),
        ({"Ready": ("False", "NoPrimary", "")}, Rank.DOWN),
        ({"Ready": ("False", "Pending", ""), "Reconciling": ("True", "Applying", "")}, Rank.WORKING),
        ({"Ready": ("False", "Pending", ""), "Stalled": ("True", "Forbidden", "")}, Rank.DOWN),
        ({"LastBackupSucceeded": ("False", "BucketMissing", "")}, Rank.WARNING),
        ({"AutoscalingLimited": ("Unknown", "Pending", "")}, Rank.GOOD),
    ],
)
def test_conditions_come_to_one_verdict(wrong: dict[str, tuple[str, str, str]], rank: Rank) -> None:
    assert judge(made.store("shop", "agents", **wrong)).rank is rank


def test_a_store_that_rests_or_was_never_looked_at_is_no_alarm_and_an_alarm() -> None:
    resting = made.store(Ready=("False", "Hibernated", "No pods run"))
    resting["status"]["phase"] = "Hibernated"
    assert judge(resting).rank is Rank.RESTING
    assert judge({"metadata": {}}).rank is Rank.UNKNOWN


def test_a_store_says_why_and_where_everything_is() -> None:
    words = Outline(store.page(shown(), RUNBOOKS, "admin", NOW)).words
    for said in (
        "AutoscalingLimited: Six pods are busy",
        "MaxInstancesReached",
        "Runbook: docs/runbooks/AutoscalingLimited.md",
        "agents-1 primary node-b",
        "agents-0 standby node-a",
        "Why it has its size: Clients wait for 0.4 s",
        "Server connections in all 54",
        "agents-full-202611260300 Full ✓ Completed 3.8Mi 12s",
        "PrimaryChanged agents-1 leads now",
        "s3://backups/shop/agents",
    ):
        assert said in words
    assert words.count("Runbook: ") == 1
    assert "agents-schema" not in words


def test_runbooks_that_are_published_are_linked() -> None:
    text = store.page(shown(), "https://books.example/", "admin", NOW)
    assert 'href="https://books.example/AutoscalingLimited.md#maxinstancesreached"' in text


def test_without_prometheus_a_sentence_says_so() -> None:
    words = Outline(store.page(shown(trends=Trends(missing="No Prometheus.")), RUNBOOKS, "admin", NOW)).words
    assert "No Prometheus. Databases in the newest backup: 29Mi." in words


def test_a_line_stays_in_its_box_and_is_told_in_words() -> None:
    drawn = line(((10.0, 0.0), (20.0, 5.0), (30.0, 2.5)), "From 0 to 5")
    assert re.findall(r'points="([^"]+)"', drawn) == ["2,34.0 80,2.0 158,18.0"]
    assert 'aria-label="From 0 to 5"' in drawn
    assert 'points="2,34.0"' in line(((1.0, 0.0),), "")


def test_times_are_told_in_one_unit() -> None:
    assert [span(seconds) for seconds in (3, 60, 5399, 5400, 129_599, 129_600)] == [
        "now",
        "1 min ago",
        "89 min ago",
        "1 h ago",
        "35 h ago",
        "1 d ago",
    ]
    assert ago("", NOW) == "–"
    assert ago("not a time", NOW) == "not a time"


def test_the_first_page_of_two_hundred_stores_is_small() -> None:
    stores = made.many()
    begun = time.perf_counter()
    text = fleet.page(stores, "", "system:serviceaccount:shop:somebody", NOW)
    took = time.perf_counter() - begun
    static = sum(len((STATIC / name).read_bytes()) for name in ("console.css", "console.js", "icon.svg"))
    print(f"200 stores: {len(text.encode())} bytes, {static} of style and script, made in {took * 1000:.0f} ms")
    assert len(text.encode()) + static < FIRST_PAGE_BYTES
