"""`make demo` where everything stands already: a person who calls it a second time waits less than two minutes."""

import sys

from demo.kubectl import Kubectl, run
from tests.e2e.figure import Figures

SECONDS = 600


def test_the_demo_on_a_cluster_that_stands(kubectl: Kubectl, figures: Figures) -> None:
    """Its two agents lose nothing, and it tells what it did and what to try next."""
    with figures.timed("demo_again", "<=120"):
        said = run([sys.executable, "-m", "demo", "up"], timeout=SECONDS)
    try:
        for agent in ("async agent", "sync agent"):
            ends = [line for line in said.splitlines() if agent in line and "nothing forgotten" in line]
            assert len(ends) == 1, said
        assert "messages acknowledged" in said
        for told in ("kubectl delete pod agents-", "whole again", "PHASE", "PoolerAvailable", "make demo-down"):
            assert told in said, said
        assert f"export KUBECONFIG={kubectl.kubeconfig}" in said
    finally:
        kubectl("delete", "namespace", "demo", "--wait=false")
