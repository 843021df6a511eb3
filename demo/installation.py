"""From nothing to an operator that runs: the cluster, the images on it, and the Helm chart."""

import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from demo import prometheus
from demo.clock import Clock
from demo.kubectl import DEMO_LABEL, ROOT, CommandFailed, Kubectl, wait_for
from localcluster.choice import Cluster, choose

NAMESPACE = "checkpointstore-system"
RELEASE = "checkpointstore"
OPERATOR = "checkpointstore-operator"
"""The Deployment, and the Lease that one of its pods holds."""
PODS = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=operator"
"""The operator's pods, without the console's."""
CONSOLE = f"{OPERATOR}-console"
"""The console's Deployment, Service and account."""
CHART = "charts/checkpointstore-operator"
IMAGES = ("operator", "postgres", "pgbouncer", "agent", "prometheus")
IMAGE_SECONDS = 1800


@dataclass(frozen=True)
class Installation:
    """An operator that runs on a cluster, and the images in which agents and a Prometheus run."""

    cluster: Cluster
    kubectl: Kubectl
    agent_image: str
    prometheus_image: str


def install(cluster: Cluster, clock: Clock) -> Installation:
    """Bring everything up to date; what already stands is left as it is."""
    with ThreadPoolExecutor(max_workers=1) as background:
        built = {name: background.submit(build, name, clock) for name in IMAGES}
        try:
            with clock.step("cluster", f"up ({cluster.name})"):
                cluster.up()
        except BaseException:
            background.shutdown(wait=False, cancel_futures=True)
            raise
        loaded = {name: load(cluster, reference, clock) for name, reference in built.items()}
    kubectl = access(cluster)
    with clock.step("helm", f"upgrade --install {RELEASE} {CHART}"):
        release(kubectl, loaded)
    return Installation(cluster, kubectl, loaded["agent"], loaded["prometheus"])


def access(cluster: Cluster) -> Kubectl:
    """kubectl and helm on a cluster that is up."""
    return Kubectl(cluster.kubeconfig(), cluster.tool("kubectl"), cluster.tool("helm"))


def build(name: str, clock: Clock) -> str:
    """Build an image unless its inputs are unchanged; gives its reference."""
    with clock.step("images", f"build {name}"):
        command = [sys.executable, "-m", "images", "build", name]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=None, text=True) as building:
            said = [line.strip() for line in building.stdout or () if line.strip()]
        if building.returncode or not said:
            raise CommandFailed(f"{' '.join(command)} ended with {building.returncode}")
    return said[-1]


def load(cluster: Cluster, built: Future[str], clock: Clock) -> str:
    """Bring one image to the cluster's nodes as soon as it is built."""
    reference = built.result(timeout=IMAGE_SECONDS)
    with clock.step("images", f"load {reference}"):
        cluster.load_image(reference)
    return reference


def release(kubectl: Kubectl, references: dict[str, str]) -> None:
    """Install or upgrade the chart and wait until the operator answers."""
    repository, _, tag = references["operator"].rpartition(":")
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "images.postgres": references["postgres"],
        "images.pgbouncer": references["pgbouncer"],
        "prometheus.url": prometheus.URL,
    }
    settings = [part for key, value in values.items() for part in ("--set-string", f"{key}={value}")]
    settings += ["--set", "console.enabled=true"]
    where = ["--namespace", NAMESPACE, "--create-namespace"]
    forget_interrupted(kubectl)
    kubectl.helm("upgrade", "--install", RELEASE, CHART, *where, *settings, "--wait")


def forget_interrupted(kubectl: Kubectl) -> None:
    """Take away the record of an installation that was killed in the middle: helm refuses every later one with it."""
    pending = "owner=helm,name=" + RELEASE + ",status in (pending-install,pending-upgrade,pending-rollback)"
    kubectl("delete", "secret", "-n", NAMESPACE, "-l", pending, "--ignore-not-found")


def holder(kubectl: Kubectl) -> str:
    """The name of the operator's pod that works now, empty between two."""
    lease = kubectl.get("lease", OPERATOR, "-n", NAMESPACE)
    return str(lease["spec"].get("holderIdentity") or "")


def operator(kubectl: Kubectl) -> dict[str, Any]:
    """One of the operator's pods, which are alike."""
    pods = kubectl.items("pods", "-n", NAMESPACE, "-l", PODS)
    running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return running[0]


def user(kubectl: Kubectl) -> str:
    """The operator's name as the API server's audit log writes it."""
    return f"system:serviceaccount:{NAMESPACE}:{operator(kubectl)['spec']['serviceAccountName']}"


def uninstall(kubectl: Kubectl) -> None:
    """Take from a cluster all that the demo put there: its namespaces, the operator, the kind of its stores."""
    prometheus.uninstall(kubectl)
    kubectl("delete", "namespace", "-l", f"{DEMO_LABEL}=true", "--ignore-not-found", timeout=300)
    kubectl.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait")
    without_pods(kubectl, NAMESPACE)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=300)
    kinds = [f"checkpoint{kind}.checkpointstore.dev" for kind in ("stores", "backups")]
    kubectl("delete", "crd", *kinds, "--ignore-not-found")


def without_pods(kubectl: Kubectl, namespace: str, *selector: str) -> None:
    """Wait for pods to go: Kubernetes looks only twice a minute for those of a namespace that it deletes."""
    wait_for("the pods to go", lambda: not kubectl.items("pods", "-n", namespace, *selector), 60)


def chosen() -> Cluster:
    """The cluster that this environment asks for."""
    return choose(os.environ)
