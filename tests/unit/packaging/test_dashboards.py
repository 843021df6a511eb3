"""The dashboards: generated, installed where Grafana finds them, asking for what exists and saying what it means."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from charts import dashboards, panel, sync
from charts.fleet import alerts
from tests.unit.packaging.rendered import Rendered

PAGES: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in dashboards.pages().items()}
ASKED = list(dashboards.expressions("shop", "agents"))
OF_EXPORTERS = {
    "pgbouncer_stats_queries_duration_seconds_total",
    "pgbouncer_stats_queries_pooled_total",
}
"""What no page of ours lists, as it is the PgBouncer exporter's own."""
"""Of instances: to go from here when the page lists them."""
PANELS = [
    pytest.param(item, id=f"{name}: {item['title']}")
    for name, page in PAGES.items()
    for item in page["panels"]
    if item["type"] != "row"
]
each_panel = pytest.mark.parametrize("item", PANELS)


def test_what_is_shipped_is_what_is_generated() -> None:
    assert sync.differences(sync.pages()) == []
    assert sync.pages().keys() == set((sync.CHART / "files" / "dashboards").iterdir())


def test_what_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboards, "pages", lambda: {"fleet": "{}\n"})
    assert sync.differences(sync.pages())[:2] == [
        "--- charts/checkpointstore-operator/files/dashboards/fleet.json",
        "+++ charts/checkpointstore-operator/files/dashboards/fleet.json (generated)",
    ]


def test_links_to_a_dashboard_stay_good() -> None:
    assert {name: page["uid"] for name, page in PAGES.items()} == {
        "fleet": "checkpointstore-fleet",
        "store": "checkpointstore-store",
    }
    for page in PAGES.values():
        assert max(Counter(item["id"] for item in page["panels"]).values()) == 1
    variables = [variable["name"] for variable in PAGES["store"]["templating"]["list"]]
    assert variables == ["datasource", "namespace", "store"]
    assert set(re.findall(r"var-(\w+)=", dashboards.OF_STORE)) == set(variables)


@each_panel
def test_a_panel_says_what_it_shows_and_what_is_good(item: dict[str, Any]) -> None:
    assert item["title"]
    assert item["fieldConfig"]["defaults"]["unit"]
    assert re.fullmatch(r"[A-Z].{30,170}\.", item["description"])
    for runbook in re.findall(r"; runbook (\w+)", item["description"]):
        assert (sync.ROOT / "docs" / "runbooks" / f"{runbook}.md").exists()


@each_panel
def test_a_panel_asks_the_chosen_prometheus_and_names_its_series(item: dict[str, Any]) -> None:
    assert {target["datasource"]["uid"] for target in item["targets"]} == {"${datasource}"}
    letters = [target["refId"] for target in item["targets"]]
    assert len(letters) == len(set(letters))
    if item["type"] != "table":
        assert all(target["legendFormat"] for target in item["targets"])


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_no_panel_lies_on_another_and_rows_are_full(page: dict[str, Any]) -> None:
    taken = Counter(
        (x, y)
        for place in (item["gridPos"] for item in page["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert set(taken.values()) == {1}
    assert {x for x, _ in taken} == set(range(24))
    assert len(taken) == 24 * len({y for _, y in taken})


def test_every_metric_is_documented() -> None:
    page = (sync.ROOT / "docs" / "metrics.md").read_text()
    listed = {name for row in re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    asked = {
        re.sub(r"_(bucket|count)$", "", name) if "reconcile" in name else name
        for asked in ASKED
        for name in re.findall(r"\b(?:checkpointstore|pgbouncer|pg|node)_\w+", asked.expression)
    }
    assert len(asked) > 40
    assert asked - listed - OF_EXPORTERS == set()
    assert OF_EXPORTERS & listed == set()


def test_no_variable_is_left() -> None:
    assert [asked for asked in ASKED if "$" in asked.expression.replace('"$1"', "")] == []


def test_a_store_is_not_shown_what_is_another_ones() -> None:
    """`agents` and `agents-pooler` and `agents-1` may be stores of one namespace."""
    pods = {found for asked in ASKED for found in re.findall(r'pod=~"([^"]+)"', asked.expression)}
    own = ("agents-0", "agents-11", "agents-pooler-5c9f6d7b8-x2k4z")
    others = ("agents-1-0", "agents-pooler-0", "agents-pooler-pooler-5c9f6d7b8-x2k4z", "my-agents-0")
    assert all(any(re.fullmatch(regex, pod) for regex in pods) for pod in own)
    assert not any(re.fullmatch(regex, pod) for regex in pods for pod in others)
    of_stores = [asked.expression for asked in ASKED if asked.dashboard == "store"]
    for selector in (found for expression in of_stores for found in re.findall(r"\{(.*?)\}", expression)):
        assert selector.startswith(('namespace="shop",name="agents"', 'namespace="shop",pod=~"agents-'))


def test_ages_are_those_of_the_alerts() -> None:
    assert f"> {panel.TOO_OLD // panel.DAY} * 86400" in alerts()["CheckpointStoreBackupTooOld"]
    assert f"> {panel.UNPROVEN // panel.DAY} * 86400" in alerts()["CheckpointStoreBackupNotVerified"]


def test_each_dashboard_is_a_config_map_that_grafana_finds() -> None:
    for name in PAGES:
        found = Rendered().one("ConfigMap", f"checkpointstore-operator-dashboard-{name}")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert found["metadata"]["namespace"] == sync.NAMESPACE
        ((file, text),) = found["data"].items()
        assert (file, json.loads(text)) == (f"checkpointstore-{name}.json", PAGES[name])
        # kubectl apply keeps a copy in an annotation, which may be so long; a ConfigMap may have four times that.
        assert len(text.encode()) < 256 * 1024
    assert "{{relname}}" in text


def test_labels_and_annotations_can_be_given_and_it_can_be_switched_off() -> None:
    values = "dashboards.labels.grafana_dashboard=mine,dashboards.labels.team=a,dashboards.annotations.grafana_folder=b"
    for found in Rendered("--set", values).all("ConfigMap"):
        assert {"grafana_dashboard": "mine", "team": "a"}.items() <= found["metadata"]["labels"].items()
        assert found["metadata"]["annotations"] == {"grafana_folder": "b"}
    assert Rendered("--set", "dashboards.enabled=false").all("ConfigMap") == []
