"""The primary's pod is killed under a writer that numbers every row: nothing acknowledged is lost."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

from demo import store
from demo.agentjob import Agent
from demo.kubectl import Kubectl, wait_for
from tests.e2e.figure import Figures

NAME = "pair"
READY_SECONDS = 120


@pytest.fixture(scope="module", autouse=True)
def ready(make_store: Callable[..., dict[str, Any]], figures: Figures) -> dict[str, Any]:
    """A store of two instances that loses nothing by promise, with the time that it took."""
    synchronous = {"number": 1, "dataDurability": "Preferred"}
    began = time.monotonic()
    made = make_store(NAME, {"postgres": {"instances": 2, "synchronous": synchronous}})
    figures.note("apply_to_ready_2_instances", time.monotonic() - began, "s", "<=25")
    return made


def test_primary_pod_killed_under_a_writer(
    kubectl: Kubectl, namespace: str, start_agent: Callable[..., Agent], figures: Figures, soak: bool
) -> None:
    """The killed pod may come back in time to lead again, or the standby may; the writer must not care."""
    gaps, lost, failed, moved = [], 0, 0, 0
    for round_number in range(10 if soak else 2):
        environment = {"RATE": "100", "SECONDS": "600", "RUN": f"round-{round_number}"}
        agent = start_agent("writer.py", NAME, environment)
        acknowledged(agent, 300)
        victim = store.primary(kubectl, NAME, namespace)
        replaced(kubectl, namespace, victim)
        store.wait_ready(kubectl, NAME, namespace, READY_SECONDS)
        wait_members(kubectl, namespace)
        acknowledged(agent, 300 + max(line.get("acknowledged", 0) for line in agent.lines))
        result = agent.stop()
        gaps.append(result["longest_gap"])
        lost, failed = lost + result["lost"], failed + result["failed"]
        moved += store.primary(kubectl, NAME, namespace) != victim
    figures.note("pod_kill_gap_median", statistics.median(gaps), "s", "<=3")
    figures.note("pod_kill_gap_max", max(gaps), "s")
    figures.note("pod_kill_led_by_another_afterwards", moved, f"of {len(gaps)} faults")
    figures.note("pod_kill_failed_calls_per_fault", failed / len(gaps), "calls", "<=1")
    figures.note("pod_kill_rows_lost", lost, "rows", "<=0")
    assert lost == 0


def test_agent_goes_on_when_the_primary_is_killed(
    kubectl: Kubectl, namespace: str, start_agent: Callable[..., Agent], figures: Figures
) -> None:
    environment = {"MESSAGES": "60", "PAUSE": "0.1"}
    agents = [start_agent(script, NAME, environment) for script in ("conversation.py", "conversation_sync.py")]
    for agent in agents:
        agent.wait_line("message 15", lambda line: line.get("message", 0) >= 15)
    victim = store.primary(kubectl, NAME, namespace)
    kubectl("delete", "pod", victim, "-n", namespace, "--grace-period=0", "--force", "--wait=false")
    for agent in agents:
        result = agent.result()
        assert (result["ok"], result["acknowledged"]) == (True, 60), agent.tail()
    figures.note("pod_kill_longest_turn", agents[0].result()["longest_turn"], "s")


def replaced(kubectl: Kubectl, namespace: str, pod: str) -> None:
    """Kill a pod and wait for another of its name."""
    before = life(kubectl, namespace, pod)
    kubectl("delete", "pod", pod, "-n", namespace, "--grace-period=0", "--force", "--wait=false")
    wait_for("another pod", lambda: life(kubectl, namespace, pod) not in ("", before), READY_SECONDS)


def life(kubectl: Kubectl, namespace: str, pod: str) -> str:
    """What tells a pod from the one of its name before; empty between the two."""
    return str((kubectl.find("pod", pod, namespace) or {"metadata": {}})["metadata"].get("uid", ""))


def acknowledged(agent: Agent, rows: int) -> None:
    agent.wait_line(f"{rows} rows", lambda line: line.get("acknowledged", 0) >= rows)


def wait_members(kubectl: Kubectl, namespace: str) -> None:
    """Wait until both pods are ready, so that the next fault meets a whole pair."""

    def whole() -> bool:
        members = kubectl.get("statefulset", NAME, "-n", namespace)
        return bool(members["status"].get("readyReplicas") == members["spec"]["replicas"])

    wait_for("both pods ready", whole, READY_SECONDS)
