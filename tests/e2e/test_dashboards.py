"""All that the dashboards ask, a real Prometheus answers, for a store that has all that a spec can give it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from charts.dashboards import Asked, expressions
from demo import bucket, prometheus
from demo.agentjob import Agent, Line
from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, wait_for
from localcluster.objectstore import ObjectStore
from tests.e2e import ages, alerts
from tests.e2e.figure import Figures
from tests.e2e.subject import RUNS, Subject, stamp

NAME, THREAD = "watched", "conversation"
PATIENCE = 120
FOLDER = bucket.folder("dashboards")
EACH_MINUTE: dict[str, Any] = {"history": {"keepLast": 2}, "schedule": "* * * * *"}
THREADS = 800
"""Of eight hours ago, which tiering takes, and for an index of more than 1 MiB."""
MESSAGES = "select count(pg_logical_emit_message(false, 'e2e', repeat('x', 1048576))) from generate_series(1, 70)"
"""More than a standby may be behind while retention works."""
LOCK = "begin; lock table checkpointstore_unused_blobs in exclusive mode; select pg_sleep(3600)"
UNLOCK = (
    "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(3600)' and state = 'active'"
)


@pytest.fixture(scope="module")
def watched(
    kubectl: Kubectl,
    namespace: str,
    server: ObjectStore,
    make_store: Callable[..., dict[str, Any]],
    run_agent: Callable[..., tuple[Line, Agent]],
) -> Subject:
    """A store with a standby, backups, tiers and values outside, whose pooler follows its load."""
    bucket.give(kubectl, namespace, server)
    there = {"objectStore": bucket.object_store(server, FOLDER)}
    spec = {
        "postgres": {"instances": 2},
        "pooler": {"autoscaling": {"minInstances": 1, "maxInstances": 2}},
        "monitoring": {"cost": {}},
        "retention": EACH_MINUTE,
        "tiering": {**there, "tiers": [{"name": "cold", "after": "1h"}]},
        "limits": {"externalize": {**there, "applicationCredentials": {"name": "s3"}, "above": "64Ki"}},
        "backup": there,
    }
    make_store(NAME, spec)
    for script, environment in (("document.py", {"THREAD": "paper"}), ("conversation.py", {"THREAD": THREAD})):
        result, agent = run_agent(script, NAME, MESSAGES="10", **environment)
        assert result["ok"], agent.tail()
    subject = Subject(kubectl, namespace, NAME)
    subject.run("blobs")
    return subject


@pytest.fixture(scope="module")
def troubled(kubectl: Kubectl, namespace: str) -> Subject:
    """A store that the operator refuses."""
    subject = Subject(kubectl, namespace, "troubled")
    subject.apply({"postgres": {"parameters": {"FSYNC": "off"}}})
    return subject


@pytest.fixture(scope="module")
def metrics(installation: Installation, watched: Subject) -> Iterator[Kubectl]:
    """A Prometheus that comes when there is something to see: what exporters have found they keep for a minute.

    Alerts do not wait.
    """
    text = prometheus.RULES.read_text()
    rules = alerts.hurried(text, dict.fromkeys(alerts.rules(text), "1s"))
    prometheus.install(watched.kubectl, installation.prometheus_image, "5s", rules=rules)
    yield installation.kubectl
    prometheus.uninstall(installation.kubectl)


def test_every_panel_has_data(metrics: Kubectl, watched: Subject, troubled: Subject, figures: Figures) -> None:
    silent = list(expressions(watched.namespace, NAME))
    assert {asked.dashboard for asked in silent} == {"fleet", "store"}

    def all_told() -> bool:
        # Refused once more: of one error there is no rate.
        troubled.poke()
        # The operator looks at runs twice a minute, and at what somebody touches at once.
        watched.poke()
        silent[:] = [asked for asked in silent if not prometheus.ask(metrics, asked.expression)]
        return not silent

    def waits() -> bool:
        watched.poke()
        return "progress" in watched.seen()["status"].get("retention", {})

    with held(watched):
        # With what tiering takes retention has nothing to do.
        wait_for("the run of retention to wait", waits, PATIENCE, every=1)
        with figures.timed("dashboards_every_panel_has_data", f"<={PATIENCE}"):
            for room in ("tiering", "blobs"):
                watched.command(RUNS[room], stamp())
            wait_for(
                "every panel to have data", all_told, 2 * PATIENCE, every=1, seen=lambda: "\n".join(map(told, silent))
            )


def test_a_schedule_begins_a_run(watched: Subject) -> None:
    """Nobody asked for one of retention; by now a minute has begun."""
    watched.said("RetentionSucceeded", "Succeeded", 90)
    known = watched.seen()["status"]["retention"]
    assert not known.get("asked")
    assert known["threads"]


@contextmanager
def held(subject: Subject) -> Iterator[None]:
    """Runs last: those over threads wait for a standby that is far behind, that over values outside for a lock.

    Threads come when they do: a run that has looked at them before has nothing to do.
    """
    (standby,) = subject.pods().keys() - {subject.primary()}
    with ThreadPoolExecutor(1) as pool:
        lock = pool.submit(subject.psql, LOCK)
        try:
            subject.psql("select pg_wal_replay_pause()", pod=standby)
            subject.psql(MESSAGES)
            subject.psql(ages.copies(THREAD, THREADS))
            yield
        finally:
            subject.psql("select pg_wal_replay_resume()", pod=standby)
            subject.psql(UNLOCK)
            assert isinstance(lock.exception(), CommandFailed)


def told(asked: Asked) -> str:
    return f"{asked.dashboard}, {asked.panel}: {asked.expression}"
