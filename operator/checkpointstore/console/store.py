"""The page of one store: from what is wrong to why it is as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..kernel.condition import AUTOSCALING_LIMITED, RECONCILING
from ..kernel.values import bytes_text
from .fleet import ready_of
from .html import Content, Html, element, together
from .mark import ago, mark
from .page import document, live
from .spark import line
from .trend import Trend, Trends
from .verdict import Rank, conditions, judge, standing

BACKUPS, EVENTS = 20, 20
ROLES = ("postgres", "pooler")
Manifest = Mapping[str, Any]
NOTHING = Trends()


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a page is made of."""

    body: Manifest
    pods: Sequence[Manifest] = ()
    backups: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    trends: Trends = NOTHING

    @property
    def status(self) -> Manifest:
        found: Manifest = self.body.get("status") or {}
        return found

    @property
    def title(self) -> str:
        return f"{self.body['metadata']['namespace']}/{self.body['metadata']['name']}"


def page(shown: Shown, runbooks: str, person: str, now: datetime) -> str:
    """`runbooks` is where they are, a URL or a folder's name."""
    way = element("nav", element("a", "All stores", href="/"), aria_label="Breadcrumb")
    return document(shown.title, way, element("h1", shown.title), live(part(shown, runbooks, now), now), person=person)


def part(shown: Shown, runbooks: str, now: datetime) -> Html:
    """What renews itself."""
    return together(
        (
            _summary(shown, now),
            _conditions(shown, runbooks, now),
            _topology(shown, now),
            _pooler(shown, now),
            _load(shown),
            _backups(shown, now),
            _events(shown, now),
        )
    )


def _summary(shown: Shown, now: datetime) -> Html:
    verdict = judge(shown.body)
    status, postgres = shown.status, shown.status.get("postgres") or {}
    facts = _facts(
        ("Ready", mark(verdict.rank, verdict.ready)),
        ("Phase", str(status.get("phase") or "–")),
        ("PostgreSQL", " ".join(str(postgres.get(key) or "") for key in ("version", "provider")).strip() or "–"),
        ("Instances", ready_of(postgres)),
        ("Binding", str((status.get("binding") or {}).get("name") or "not published")),
        ("Created", ago(str(shown.body["metadata"].get("creationTimestamp") or ""), now)),
    )
    return together((element("p", verdict.message, class_="lead"), facts))


def _conditions(shown: Shown, runbooks: str, now: datetime) -> Html:
    rows = [
        (
            element("th", type_, scope="row"),
            mark(standing(told), str(told.get("status", ""))),
            str(told.get("reason", "")),
            (_said(told), _runbook(type_, told, runbooks)),
            ago(str(told.get("lastTransitionTime") or ""), now),
        )
        for type_, told in conditions(shown.body).items()
    ]
    columns = ("Condition", "Status", "Reason", "Message", "Since")
    return _section("Conditions", _table("What the operator says of it", columns, rows, "It has said nothing yet."))


def _runbook(type_: str, told: Manifest, runbooks: str) -> Content:
    """Where it says what to do, for a condition that is not as it should be."""
    if type_ == RECONCILING or standing(told) is Rank.GOOD:
        return None
    place = f"{runbooks.rstrip('/')}/{type_}.md"
    if not runbooks.startswith("https://"):
        return (" ", element("span", "Runbook: ", element("code", place), class_="runbook"))
    link = element("a", f"Runbook {type_}", href=f"{place}#{str(told.get('reason', '')).lower()}", rel="noreferrer")
    return (" ", element("span", link, class_="runbook"))


def _topology(shown: Shown, now: datetime) -> Html:
    primary = (shown.status.get("postgres") or {}).get("primary")
    rows = []
    for pod in sorted(shown.pods, key=lambda pod: _order(pod, primary)):
        component, name = _component(pod), str(pod["metadata"]["name"])
        if component not in ROLES:
            continue
        role = component if component == "pooler" else "primary" if name == primary else "standby"
        rows.append(
            (
                element("th", name, scope="row"),
                role,
                str((pod.get("spec") or {}).get("nodeName") or "no node yet"),
                _readiness(pod),
                ago(str((pod.get("status") or {}).get("startTime") or ""), now),
            )
        )
    columns = ("Pod", "Role", "Node", "Ready", "Started")
    return _section("Topology", _table("Its pods", columns, rows, "No pod runs."))


def _order(pod: Manifest, primary: object) -> tuple[bool, bool, str]:
    name = str(pod["metadata"]["name"])
    return _component(pod) == "pooler", name != primary, name


def _component(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component", ""))


def _readiness(pod: Manifest) -> Html:
    if pod["metadata"].get("deletionTimestamp"):
        return mark(Rank.WORKING, "Leaving")
    told = {item.get("type"): item.get("status") for item in (pod.get("status") or {}).get("conditions") or ()}
    return mark(Rank.GOOD, "True") if told.get("Ready") == "True" else mark(Rank.DOWN, "False")


def _pooler(shown: Shown, now: datetime) -> Html:
    pooler = shown.status.get("pooler") or {}
    size, pods = pooler.get("poolSize"), pooler.get("instances")
    limited = conditions(shown.body).get(AUTOSCALING_LIMITED)
    facts = _facts(
        ("Pods", ready_of(pooler)),
        ("Asked for", str(pooler.get("desiredInstances", "–"))),
        ("Server connections of each", str(size if size is not None else "–")),
        ("Server connections in all", str(size * pods) if size is not None and pods is not None else "–"),
        ("Last change", ago(str(pooler.get("lastScaleTime") or ""), now)),
    )
    why = str(pooler.get("why") or "It has the size that the spec says; nothing scales it.")
    told = None
    if limited:
        state = mark(standing(limited), str(limited.get("status")))
        told = element("p", element("b", "AutoscalingLimited: "), state, f", {limited.get('reason')}. ", _said(limited))
    return _section("Pooler", element("p", element("b", "Why it has its size: "), why), told, facts)


def _load(shown: Shown) -> Html:
    told = shown.trends
    backup = shown.status.get("backup") or {}
    held = backup.get("databaseBytes")
    size = element("p", f"Databases in the newest backup: {bytes_text(float(held))}.") if held else None
    missing = element("p", told.missing) if told.missing else None
    drawn = element("ul", *(_trend(trend) for trend in told.shown), class_="trends") if told.shown else None
    return _section("Latency and growth, the last hour", missing, drawn, size)


def _trend(trend: Trend) -> Html:
    title = element("span", trend.title)
    if not trend.points:
        return element("li", title, element("b", "no data"))
    values = [value for _, value in trend.points]
    now, low, high = (trend.spell(value) for value in (values[-1], min(values), max(values)))
    drawn = line(trend.points, f"{trend.title} over the last hour, between {low} and {high}")
    return element("li", title, element("b", now), drawn, element("small", f"{low} to {high}"))


def _backups(shown: Shown, now: datetime) -> Html | None:
    backup = shown.status.get("backup")
    if not backup and not shown.backups:
        return _section("Backups", element("p", "None: the store has no spec.backup."))
    backup = backup or {}
    facts = _facts(
        ("Last completed", ago(str(backup.get("lastSuccessful") or ""), now)),
        ("Last verified", ago(str(backup.get("lastVerified") or ""), now)),
        ("Recoverable since", str(backup.get("firstRecoverabilityPoint") or "–")),
        ("In the repository", bytes_text(float(backup.get("repositoryBytes") or 0))),
        ("Repository", str(backup.get("repository") or "–")),
    )
    rows = [_backup(item, now) for item in shown.backups[:BACKUPS]]
    columns = ("Backup", "Type", "Phase", "Size", "Took", "Ended", "Message")
    caption = f"The newest {len(rows)} of {len(shown.backups)}"
    return _section("Backups", facts, _table(caption, columns, rows, "No CheckpointBackup is there."))


def _backup(item: Manifest, now: datetime) -> tuple[Content, ...]:
    status, phase = item.get("status") or {}, str((item.get("status") or {}).get("phase") or "Pending")
    rank = {"Completed": Rank.GOOD, "Failed": Rank.DOWN}.get(phase, Rank.WORKING)
    told = {one.get("type"): one for one in status.get("conditions") or ()}.get("Succeeded", {})
    return (
        element("th", str(item["metadata"]["name"]), scope="row"),
        str(status.get("type") or (item.get("spec") or {}).get("type") or "Full"),
        mark(rank, phase),
        str(status.get("size") or "–"),
        str(status.get("duration") or "–"),
        ago(str(status.get("completedAt") or ""), now),
        _said(told),
    )


def _events(shown: Shown, now: datetime) -> Html:
    rows = [
        (
            ago(str(item.get("lastTimestamp") or item.get("eventTime") or ""), now),
            mark(Rank.WARNING if item.get("type") == "Warning" else Rank.GOOD, str(item.get("type") or "")),
            str(item.get("reason") or ""),
            _said(item),
        )
        for item in shown.events[:EVENTS]
    ]
    columns = ("When", "Type", "Reason", "Message")
    return _section("Events", _table("What happened lately", columns, rows, "Nothing lately: events last an hour."))


def _said(told: Manifest) -> Html:
    return element("span", str(told.get("message") or ""), class_="said")


def _section(title: str, *content: Content) -> Html:
    name = title.split(",")[0].lower().replace(" ", "-")
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def _facts(*facts: tuple[str, Content]) -> Html:
    return element("dl", *(element("div", element("dt", name), element("dd", told)) for name, told in facts))


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Content]], empty: str) -> Html:
    if not rows:
        return element("p", empty)
    head = element("thead", element("tr", *(element("th", column, scope="col") for column in columns)))
    return element("table", element("caption", caption), head, element("tbody", *(_row(row) for row in rows)))


def _row(cells: Sequence[Content]) -> Html:
    made = (cell if isinstance(cell, Html) and cell.startswith("<th") else element("td", cell) for cell in cells)
    return element("tr", *made)
