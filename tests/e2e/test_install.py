"""The other way to install: when all that Helm and the demo made is gone, `kubectl apply -k` makes it anew."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import installation as operator
from demo import store
from demo.clock import Clock
from demo.installation import Installation
from demo.kubectl import DEMO_LABEL, ROOT, Kubectl, wait_for
from tests.e2e.subject import DOMAIN

NAME = "agents"
READY_SECONDS = 150
OURS = "crds,clusterroles,clusterrolebindings,namespaces"


@pytest.fixture
def overlay(installation: Installation, kubectl: Kubectl, tmp_path: Path) -> Iterator[Path]:
    """manifests/install with the images of this cluster, on a cluster from which everything was taken."""
    if installation.cluster.name != "local":
        pytest.skip(f"the operator of a {installation.cluster.name} cluster is not ours to take away")
    (container,) = operator.operator(kubectl)["spec"]["containers"]
    images = [item for item in container["env"] if item["name"].startswith("CHECKPOINTSTORE_IMAGE_")]
    changed = {"name": container["name"], "image": container["image"], "env": images}
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": operator.OPERATOR, "namespace": operator.NAMESPACE},
        "spec": {"template": {"spec": {"containers": [changed]}}},
    }
    shutil.copytree(ROOT / "manifests/install", tmp_path / "install")
    (tmp_path / "images.yaml").write_text(yaml.safe_dump(patch))
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["install"], "patches": [{"path": "images.yaml"}]})
    )
    names = [found["metadata"]["name"] for found in kubectl.items("namespaces", "-l", f"{DEMO_LABEL}=true")]
    # All begin to go before one is waited for.
    for name in names:
        kubectl("delete", "cps", "--all", "-n", name, "--wait=false")
    for name in names:
        empty(kubectl, name)
    operator.uninstall(kubectl)
    assert ours(kubectl) == set()
    yield tmp_path
    kubectl("delete", "-k", str(tmp_path), "--ignore-not-found", "--wait", timeout=180)
    # Whoever comes after finds what was there.
    operator.install(installation.cluster, Clock())


def test_kubectl_apply_k_installs_what_serves(overlay: Path, kubectl: Kubectl) -> None:
    kubectl("apply", "-k", str(overlay))
    kubectl("wait", "crd/checkpointstores.checkpointstore.dev", "--for=condition=Established", "--timeout=90s")
    where = ["-n", operator.NAMESPACE]
    kubectl("rollout", "status", f"deployment/{operator.OPERATOR}", *where, timeout=160)
    namespace = f"{operator.NAMESPACE}-try"
    kubectl.namespace(namespace)
    try:
        kubectl("apply", "-f", str(ROOT / "manifests/samples/quickstart.yaml"), "-n", namespace)
        made: dict[str, Any] = store.wait_ready(kubectl, NAME, namespace, READY_SECONDS)
        assert made["status"]["phase"] == "Ready"
    finally:
        empty(kubectl, namespace)
        kubectl("delete", "namespace", namespace, timeout=180)
    kubectl("delete", "-k", str(overlay), "--wait", timeout=180)
    wait_for("nothing of it", lambda: not ours(kubectl), 60, seen=lambda: str(ours(kubectl)))


def empty(kubectl: Kubectl, namespace: str) -> None:
    """Take a namespace's stores away, with their pods."""
    kubectl("delete", "cps", "--all", "-n", namespace)
    operator.without_pods(kubectl, namespace, "-l", f"{DOMAIN}/store")


def ours(kubectl: Kubectl) -> set[str]:
    """What of the operator is not in any namespace."""
    found = {f"{item['kind']}/{item['metadata']['name']}" for item in kubectl.items(OURS)}
    return {name for name in found if "checkpointstore" in name}
