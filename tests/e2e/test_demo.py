"""`make demo` where everything stands already: a person who calls it a second time waits less than two minutes."""

import sys

from demo import prometheus
from demo.kubectl import Kubectl, run
from tests.e2e.figure import Figures

SECONDS = 600


def test_the_demo_on_a_cluster_that_stands(kubectl: Kubectl, figures: Figures) -> None:
    """Its two agents lose nothing, and it tells what it did and what to try next."""
    with figures.timed("demo_again", "<=120"):
        said = run([sys.executable, "-m", "demo", "up"], timeout=SECONDS)
    try:
        ends = [line.partition("]")[2].split()[0] for line in said.splitlines() if line.endswith("nothing forgotten")]
        assert sorted(ends) == ["async", "sync"], said
        told = (
            "kubectl delete pod agents-",
            "whole again",
            "PHASE",
            "PoolerAvailable",
            "2 to 6 pods",
            "create token",
            "make demo-down",
        )
        assert [words for words in told if words not in said] == [], said
        assert f"export KUBECONFIG={kubectl.kubeconfig}" in said
    finally:
        kubectl("delete", "namespace", "demo", "--wait=false")
        prometheus.uninstall(kubectl)
