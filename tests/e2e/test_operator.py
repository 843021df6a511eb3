"""The operator is killed while it creates a store, and afterwards writes nothing at all."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from demo import installation, store
from demo.kubectl import Kubectl, wait_for
from tests.e2e import audit, process
from tests.e2e.figure import Figures

NAME = "survivor"
SEED = 20261121
READY_SECONDS = 180
REST_SECONDS = 60


def kill_operator(kubectl: Kubectl) -> int:
    """SIGKILL the operator's container and wait until it is started again; gives its restarts."""
    pod = installation.operator(kubectl)
    before = restarts(pod)
    assert process.kill(pod["metadata"]["uid"]) > 0, "the operator's process is not on this host"
    return wait_for("operator to start again", lambda: restarted(kubectl, before), 60, every=0.2)


def restarted(kubectl: Kubectl, before: int) -> int | None:
    """How often the operator has started, once that is more often than before and it runs."""
    pod = installation.operator(kubectl)
    running = "running" in pod["status"]["containerStatuses"][0]["state"]
    return restarts(pod) if running and restarts(pod) > before else None


def restarts(pod: dict[str, Any]) -> int:
    """How often the pod's container was started again."""
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def test_killed_in_the_middle_of_creation_converges(
    kubectl: Kubectl, namespace: str, run_agent: Callable[..., Any], figures: Figures, soak: bool
) -> None:
    moments = random.Random(SEED)
    kubectl.apply(store.manifest(NAME, namespace, {"postgres": {"instances": 2}}))
    began, kills = time.monotonic(), 0
    for _ in range(3 if soak else 2):
        time.sleep(moments.uniform(0.3, 3.0))
        kill_operator(kubectl)
        kills += 1
    store.wait_ready(kubectl, NAME, namespace, READY_SECONDS)
    figures.note("operator_kills_during_creation", kills, "kills")
    figures.note("apply_to_ready_with_operator_killed", time.monotonic() - began, "s")
    result, agent = run_agent("drivers.py", NAME)
    assert result["ok"], agent.tail()
    schema_jobs = kubectl.items("jobs", "-n", namespace, "-l", f"checkpointstore.dev/store={NAME}")
    assert len(schema_jobs) <= 1


def test_at_rest_the_operator_writes_nothing(kubectl: Kubectl, figures: Figures) -> None:
    log = audit.log()
    if log is None:
        pytest.skip("this cluster has no audit log")
    time.sleep(5)
    since = audit.now()
    time.sleep(REST_SECONDS)
    until = audit.now()
    time.sleep(1)
    with log.open() as lines:
        found = audit.writes(lines, installation.user(kubectl), since, until)
    figures.note("operator_writes_at_rest_in_60_s", found.total(), "writes", "<=0")
    assert not found, f"{found.total()} writes: {found.most_common(10)}"
