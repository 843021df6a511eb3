"""Flux's health expressions, evaluated over the same stores as Argo CD's check: the two must agree."""

from typing import Any

import pytest
import yaml

from charts import sync

celpy = pytest.importorskip("celpy", reason="cel-python evaluates the expressions")

ARGO = sync.ROOT / "manifests" / "argo"
CASES: list[dict[str, Any]] = yaml.safe_load((ARGO / "health_test.yaml").read_text())["tests"]
KUSTOMIZATION = yaml.safe_load((sync.ROOT / "manifests" / "flux" / "stores.yaml").read_text())
# Flux knows no pause: a paused store has the health of its conditions.
AGREEMENT = {"Healthy": "Current", "Progressing": "InProgress", "Degraded": "Failed"}
OWN = {"not_serving": "InProgress", "paused": "Current", "hibernated": "Current"}


def health(store: dict[str, Any]) -> str:
    """As Flux's status evaluator: the generation first, then inProgress, failed, current; else InProgress."""
    (checks,) = KUSTOMIZATION["spec"]["healthCheckExprs"]
    status = store.get("status")
    if status is None or status["observedGeneration"] != store["metadata"]["generation"]:
        return "InProgress"
    environment = celpy.Environment()
    for name, answer in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        program = environment.program(environment.compile(checks[name]))
        if program.evaluate({"status": celpy.json_to_cel(status)}):
            return answer
    return "InProgress"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["inputPath"])
def test_flux_agrees_with_argo(case: dict[str, Any]) -> None:
    store = yaml.safe_load((ARGO / case["inputPath"]).read_text())
    name = case["inputPath"].removeprefix("testdata/").removesuffix(".yaml")
    assert health(store) == OWN.get(name, AGREEMENT.get(case["healthStatus"]["status"]))


def test_expressions_are_for_stores() -> None:
    (checks,) = KUSTOMIZATION["spec"]["healthCheckExprs"]
    assert (checks["apiVersion"], checks["kind"]) == ("checkpointstore.dev/v1alpha1", "CheckpointStore")
