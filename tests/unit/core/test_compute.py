"""Where pods may run: what a user says stands beside what keeps instances apart."""

from typing import Any

import pytest

from checkpointstore.kernel.compute import Scheduling, placement

SELECTOR = {"checkpointstore.dev/store": "agents"}
NODES: dict[str, Any] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
APART = placement(Scheduling(), SELECTOR)["affinity"]
TOGETHER: dict[str, Any] = {"podAntiAffinity": {}}


def test_instances_are_kept_apart() -> None:
    ((term,),) = APART["podAntiAffinity"].values()
    assert term["podAffinityTerm"]["labelSelector"] == {"matchLabels": SELECTOR}


@pytest.mark.parametrize(
    ("given", "affinity"),
    [(NODES, {**APART, **NODES}), (TOGETHER, TOGETHER), ({**NODES, **TOGETHER}, NODES | TOGETHER)],
)
def test_only_another_anti_affinity_replaces_ours(given: dict[str, Any], affinity: dict[str, Any]) -> None:
    assert placement(Scheduling(affinity=given), SELECTOR)["affinity"] == affinity
