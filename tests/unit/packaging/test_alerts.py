"""The alert rules: installed where they can be, about what the operator tells, each with the page that helps."""

import re
from typing import Any

import pytest
import yaml

from charts import sync
from checkpointstore.api.reason import CONDITIONS
from checkpointstore.features.pooler import load
from checkpointstore.runtime import metrics
from tests.unit.packaging.rendered import Rendered

SERVED = ("--api-versions", "monitoring.coreos.com/v1")
RULES: dict[str, Any] = yaml.safe_load((sync.CHART / "files" / "alerts" / "rules.yaml").read_text())
PAGE = (sync.ROOT / "docs" / "metrics.md").read_text()
LISTED: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
each_rule = pytest.mark.parametrize("rule", LISTED, ids=lambda rule: rule["alert"])


def test_the_file_is_what_is_installed() -> None:
    assert Rendered(*SERVED).one("PrometheusRule")["spec"] == RULES


@pytest.mark.parametrize("arguments", [(), (*SERVED, "--set", "alerts.enabled=false")])
def test_there_is_no_rule_without_the_api_or_when_it_is_switched_off(arguments: tuple[str, ...]) -> None:
    assert Rendered(*arguments).all("PrometheusRule") == []


def test_labels_and_the_place_of_the_runbooks_can_be_given() -> None:
    values = "alerts.labels.release=mine,alerts.runbookUrl=https://runbooks.example/cps/"
    rule = Rendered(*SERVED, "--set", values).one("PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "mine"
    pages = [item["annotations"]["runbook_url"] for item in rule["spec"]["groups"][0]["rules"]]
    assert pages[0] == "https://runbooks.example/cps/Ready.md"
    assert all(page.startswith("https://runbooks.example/cps/") for page in pages)


@each_rule
def test_a_rule_says_how_bad_it_is_and_which_page_helps(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    titles = re.findall(r"^#+ (.+)$", (sync.ROOT / page).read_text(), re.MULTILINE)
    assert not anchor or anchor in {title.lower().replace(" ", "-") for title in titles}


@each_rule
def test_a_rule_asks_for_what_the_operator_tells(rule: dict[str, Any]) -> None:
    known = {family.name for family in metrics.REGISTRY.collect()} | load.GAUGES | load.COUNTERS
    asked = re.findall(r"\b((?:checkpointstore|pgbouncer)_\w+)", rule["expr"])
    assert asked
    assert {name.removesuffix("_count") for name in asked} <= known
    for type_, others in re.findall(r'type="(\w+)",(.*?)}', rule["expr"]):
        subject = next(subject for subject in CONDITIONS if subject.type == type_)
        statuses = {status.value for status, _ in subject.reasons} | {"True", "False"}
        assert set(re.findall(r'status="(\w+)"', others)) <= statuses
        # Ready has the reasons of the others.
        given = {reason.name for one in CONDITIONS for _, listed in one.reasons for reason in listed}
        assert set("|".join(re.findall(r'reason!?[=~]+"([\w|]+)"', others)).split("|")) - {""} <= given


def test_the_page_has_every_number_and_every_alert() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    told = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("checkpointstore_")}
    counters = {"checkpointstore_reconcile_errors", "checkpointstore_api_requests"}
    assert {f"{name}_total" if name in counters else name for name in told | counters} <= named
    assert {rule["alert"] for rule in LISTED} <= named
