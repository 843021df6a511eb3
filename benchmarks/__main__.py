"""`python -m benchmarks [QUESTION...]` measures on this environment's cluster; a wrong result fails, a slow one not."""

import argparse
import sys
import time

from benchmarks import autoscaling, backup, blobs, checkout, filtered, idle, overhead, ready, saver, throughput
from benchmarks.report import Report
from benchmarks.stage import Stage, Wrong
from demo.clock import Clock
from demo.installation import NAMESPACE, PODS, Installation, access, chosen, install
from demo.kubectl import CommandFailed, NotInTime, run, wait_for
from localcluster.choice import Cluster
from localcluster.errors import LocalClusterError

OPERATOR_SECONDS = 30
QUESTIONS = {
    "saver": saver.measure,
    "checkout": checkout.measure,
    "filtered": filtered.measure,
    "blobs": blobs.measure,
    "throughput": throughput.measure,
    "ready": ready.measure,
    "backup": backup.measure,
    "idle": idle.measure,
    "pools": autoscaling.pools,
    "thread": autoscaling.thread,
    "overhead": overhead.measure,
}


def standing(cluster: Cluster) -> Installation:
    """The operator that runs, left as it is: it may serve others, so nothing here installs or upgrades it unasked."""
    kubectl = access(cluster)

    def available() -> bool:
        found = kubectl.items("deployments", "-n", NAMESPACE, "-l", PODS)
        return any(deployment["status"].get("availableReplicas") for deployment in found)

    what = f"an operator in {NAMESPACE} (--install brings the cluster up and installs it)"
    wait_for(what, available, OPERATOR_SECONDS, every=2)
    agent, prometheus = run([sys.executable, "-m", "images", "build", "agent", "prometheus"], timeout=1800).split()
    for image in (agent, prometheus):
        cluster.load_image(image)
    return Installation(cluster, kubectl, agent, prometheus)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("questions", nargs="*", choices=[*QUESTIONS, []], metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--full", action="store_true", help="the long run of each question that has one")
    parser.add_argument("--install", action="store_true", help="first bring up the cluster and install the operator")
    asked = parser.parse_args()
    report = Report(lambda text: print(text, flush=True))
    wrong = []
    try:
        there = install(chosen(), Clock()) if asked.install else standing(chosen())
        stage = Stage(there.kubectl, there.cluster, there.agent_image, there.prometheus_image, report, asked.full)
        for name in asked.questions or QUESTIONS:
            print(f"==> {name}: {QUESTIONS[name].__doc__}", flush=True)
            began = time.monotonic()
            try:
                QUESTIONS[name](stage)
            except (Wrong, NotInTime, CommandFailed) as error:
                wrong.append(name)
                print(f"WRONG {name}: {error}", file=sys.stderr)
            print(f"    {name} took {time.monotonic() - began:.0f} s", flush=True)
    except (CommandFailed, NotInTime, LocalClusterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"\n{report.table()}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
