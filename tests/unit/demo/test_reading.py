"""What the demo and the end-to-end tests read from agents, stores, audit logs and processes."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from demo import agentjob, store
from demo.clock import Clock
from demo.kubectl import NotInTime, wait_for
from tests.e2e import audit, leak
from tests.e2e.figure import Figure, Figures


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ('{"event": "turn", "message": 3}', {"event": "turn", "message": 3}),
        ("Traceback (most recent call last):", None),
        ('"turn"', None),
        ('{"level": "warning"}', None),
        ("", None),
    ],
)
def test_a_log_line_is_an_event_or_nothing(line: str, event: dict[str, Any] | None) -> None:
    assert agentjob.parse(line) == event


def test_agent_jobs_are_restricted_and_mount_the_binding() -> None:
    made = agentjob.job("talk", "demo", "agent:1", "drivers.js", "agents", {"B": "2", "A": "1"})
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["node", "/agent/drivers.js"]
    assert [one["name"] for one in container["env"]] == ["A", "B", "NODE_EXTRA_CA_CERTS", "PYTHONPATH"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "binding", "secret": {"secretName": "agents-app"}} in pod["volumes"]


def test_the_config_maps_hold_every_script_and_our_savers() -> None:
    scripts, client = (item["data"] for item in agentjob.scripts("demo"))
    assert {"conversation.py", "chat.py", "binding.py", "drivers.js", "writer.py"} <= set(scripts)
    assert {"__init__.py", "saver.py", "aio.py"} <= set(client)


def made_store(ready: str, reconciling: str, observed: int) -> dict[str, Any]:
    conditions = [
        {
            "type": "Ready",
            "status": ready,
            "reason": "Serving",
            "message": "m",
            "observedGeneration": observed,
        },
        {"type": "Reconciling", "status": reconciling, "reason": "Done", "observedGeneration": observed},
    ]
    return {"metadata": {"generation": 2}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("found", "ready"),
    [
        (made_store("True", "False", 2), True),
        (made_store("True", "True", 2), False),
        (made_store("False", "False", 2), False),
        (made_store("True", "False", 1), False),
        ({"metadata": {"generation": 1}}, False),
        (None, False),
    ],
)
def test_ready_means_this_generation_and_at_rest(found: dict[str, Any] | None, ready: bool) -> None:
    assert store.is_ready(found) is ready


def test_conditions_are_told_with_reason_and_message() -> None:
    assert store.described(made_store("True", "False", 2)).splitlines()[0].split() == [
        "Ready",
        "True",
        "Serving",
        "m",
    ]
    assert store.described(None) == "no conditions yet"


def audit_line(**changes: Any) -> str:
    event = {
        "stage": "ResponseComplete",
        "verb": "patch",
        "user": {"username": "operator"},
        "objectRef": {"resource": "services", "name": "agents-rw"},
        "requestReceivedTimestamp": "2026-11-21T10:00:30.000000Z",
    }
    return json.dumps({**event, **changes})


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        (audit_line(), ["patch services/agents-rw"]),
        (audit_line(objectRef={"resource": "x", "subresource": "status", "name": "a"}), ["patch x/status/a"]),
        (audit_line(verb="get"), []),
        (audit_line(user={"username": "kubelet"}), []),
        (audit_line(objectRef={"resource": "leases", "name": "operator"}), []),
        (audit_line(stage="RequestReceived"), []),
        (audit_line(requestReceivedTimestamp="2026-11-21T09:59:59.000000Z"), []),
        (audit_line(requestReceivedTimestamp="2026-11-21T10:01:01.000000Z"), []),
    ],
)
def test_only_finished_writes_of_the_user_in_the_span_count(line: str, counted: list[str]) -> None:
    since, until = datetime(2026, 11, 21, 10, 0, tzinfo=UTC), datetime(2026, 11, 21, 10, 1, tzinfo=UTC)
    assert list(audit.writes([line], "operator", since, until)) == counted


def test_a_leak_is_found_plain_and_encoded() -> None:
    wanted = {"app/password": "s3cr3t-value", "app/empty": ""}
    seen = [("log", "login with s3cr3t-value"), ("yaml", "czNjcjN0LXZhbHVl"), ("events", "nothing here")]
    assert leak.leaks(wanted, iter(seen)) == ["app/password in log", "app/password in yaml"]


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        (Figure("gap", 2.5, "s", "<=3"), "FIGURE gap 2.5 s <=3 met"),
        (Figure("gap", 3.5, "s", "<=3"), "FIGURE gap 3.5 s <=3 missed"),
        (Figure("passed", 66, "tests", ">=66"), "FIGURE passed 66 tests >=66 met"),
        (Figure("kills", 2, "kills"), "FIGURE kills 2 kills - -"),
    ],
)
def test_a_figure_says_its_bound_and_verdict(figure: Figure, line: str) -> None:
    assert str(figure) == line


def test_figures_are_printed_when_noted() -> None:
    printed: list[str] = []
    Figures(printed.append).note("gap", 1.23456, "s", "<=3")
    assert printed == ["FIGURE gap 1.235 s <=3 met"]


def test_the_clock_stamps_every_line_and_tells_a_failure() -> None:
    out = io.StringIO()
    clock = Clock(out)
    with pytest.raises(ValueError, match="no"), clock.step("helm", "install"):
        raise ValueError("no")
    first, last = out.getvalue().splitlines()
    assert first.endswith("helm         install ...")
    assert "install: failed after" in last


def test_waiting_ends_with_what_was_seen_last() -> None:
    with pytest.raises(NotInTime, match=r"pod: not within 0 s\. still Pending"):
        wait_for("pod", lambda: None, 0, every=0, seen=lambda: "still Pending")
    assert wait_for("pod", lambda: 0, 1) == 0
