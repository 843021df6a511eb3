"""Breaks parts of the cluster for a while, and mends them whatever happens meanwhile."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, run, wait_for
from localcluster.errors import Unsupported


def workers(installation: Installation) -> list[str]:
    """The nodes that can be cut off: all but the one that carries the control plane."""
    control = "node-role.kubernetes.io/control-plane"
    nodes = installation.kubectl.items("nodes")
    return [node["metadata"]["name"] for node in nodes if control not in node["metadata"].get("labels", {})]


@contextmanager
def cut(installation: Installation, node: str) -> Iterator[float]:
    """Take a node off the network; gives the moment it was. Skips the test where that cannot be done."""
    try:
        installation.cluster.cut_node(node)
    except Unsupported as reason:
        pytest.skip(str(reason))
    try:
        yield time.monotonic()
    finally:
        installation.cluster.heal_node(node)
        wait_for(f"{node} to be Ready", lambda: is_ready(installation.kubectl, node), 90)


def is_ready(kubectl: Kubectl, node: str) -> bool:
    """Whether Kubernetes takes a node for Ready and nothing keeps pods off it."""
    found = kubectl.get("node", node)
    states = {condition["type"]: condition["status"] for condition in found["status"]["conditions"]}
    return states["Ready"] == "True" and not found["spec"].get("taints")


@contextmanager
def cordoned(kubectl: Kubectl, nodes: list[str]) -> Iterator[None]:
    """Let no new pod come to some nodes."""
    try:
        for node in nodes:
            kubectl("cordon", node)
        yield
    finally:
        for node in nodes:
            kubectl("uncordon", node)


def cluster_status() -> str | None:
    """What the local cluster says of itself; None while a part is missing, as for some seconds after an outage."""
    try:
        return run([sys.executable, "-m", "localcluster", "status"])
    except CommandFailed:
        return None


def program(name: str) -> int:
    """The process id of a program of the local cluster, as its status calls it. Skips the test on other clusters."""
    status = wait_for("the whole cluster", cluster_status, 90, every=1)
    found = re.search(rf"^{name}\s+pid (\d+)$", status, re.MULTILINE)
    if found is None:
        pytest.skip(f"{name} does not run on this host")
    return int(found[1])


def api_server() -> int:
    """The process id of the API server."""
    return program("kube-apiserver")


def object_store() -> int:
    """The process id of the S3 server."""
    return program("object-store")


@contextmanager
def killed(installation: Installation, process: int) -> Iterator[None]:
    """Take a program of the local cluster away; afterwards the cluster starts it again."""
    os.kill(process, signal.SIGKILL)
    try:
        yield
    finally:
        installation.cluster.up()


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Let a process stand still: it keeps its connections and answers nobody."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
