"""What the dashboards ask, a real Prometheus answers, for a store that is Ready and in use."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from charts.dashboards import Asked, expressions
from charts.panel import COST
from demo import prometheus
from demo.agentjob import Agent, Line
from demo.installation import Installation
from demo.kubectl import Kubectl, wait_for
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject

NAME = "watched"
PATIENCE = 60
EACH_MINUTE: dict[str, Any] = {"history": {"keepLast": 1000}, "schedule": "* * * * *"}


@pytest.fixture(scope="module")
def metrics(
    installation: Installation,
    make_store: Callable[..., dict[str, Any]],
    run_agent: Callable[..., tuple[Line, Agent]],
) -> Iterator[Kubectl]:
    """A Prometheus that comes when there is something to see: what exporters have found they keep for minutes."""
    make_store(NAME, {"monitoring": {"cost": {}}, "retention": EACH_MINUTE})
    run_agent("conversation.py", NAME, MESSAGES="10")
    prometheus.install(installation.kubectl, installation.prometheus_image, "5s")
    yield installation.kubectl
    prometheus.uninstall(installation.kubectl)


def test_every_panel_has_data(metrics: Kubectl, namespace: str, figures: Figures) -> None:
    """But those that need backups, autoscaling, standbys, size or trouble, which this store has not."""
    silent = [asked for asked in expressions(namespace, NAME) if asked.needs in ("", COST)]
    assert {asked.dashboard for asked in silent} == {"fleet", "store"}

    def all_told() -> bool:
        silent[:] = [asked for asked in silent if not prometheus.ask(metrics, asked.expression)]
        return not silent

    with figures.timed("dashboards_every_panel_has_data", f"<={PATIENCE}"):
        wait_for("every panel to have data", all_told, 2 * PATIENCE, every=1, seen=lambda: "\n".join(map(told, silent)))


def test_a_schedule_begins_a_run(metrics: Kubectl, namespace: str) -> None:
    """Nobody asked for one; by now a minute has begun."""
    watched = Subject(metrics, namespace, NAME)
    watched.said("RetentionSucceeded", "Succeeded", 90)
    known = watched.seen()["status"]["retention"]
    assert not known.get("asked")
    assert known["threads"] == 1


def told(asked: Asked) -> str:
    return f"{asked.dashboard}, {asked.panel}: {asked.expression}"
