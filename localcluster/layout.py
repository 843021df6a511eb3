"""Where everything of the local cluster is: folders, names and addresses."""

import os
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
STATE = Path("/var/lib/checkpointstore-localcluster")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "checkpointstore"
BIN = CACHE / "localcluster" / "bin"
LOCK = Path("/run/checkpointstore-localcluster.lock")
APT_LOCK = Path("/run/checkpointstore-apt.lock")
PKI = STATE / "pki"
LOGS = STATE / "log"
KUBECONFIG = STATE / "kubeconfig"
AUDIT_LOG = LOGS / "audit.log"
VOLUMES = STATE / "volumes"
S3_FOLDER = STATE / "s3"

# 198.18.0.0/15 is kept for benchmarks (RFC 2544): no site uses it, so the cluster collides with nothing.
NODES_AND_PODS = "198.18.0.0/16"
SERVICES = "198.19.0.0/16"
HOST = "198.18.0.1"
FIRST_SERVICE = "198.19.0.1"
REGISTRY = f"{HOST}:5000"
API_SERVER = f"https://{HOST}:6443"
S3 = f"{HOST}:9443"

BRIDGE = "cps0"
CHAIN = "CPS-LOCALCLUSTER"
CGROUP = "checkpointstore-localcluster"
CNI_NETWORK = "cps-localcluster"
MARK = "CHECKPOINTSTORE_LOCALCLUSTER"  # in the environment of every process that we start

NODES = 3
MOST_NODES = 250


@dataclass(frozen=True)
class Node:
    """One node: number 1 is the host itself, every other one lives in its own network namespace."""

    number: int

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def address(self) -> str:
        return f"198.18.0.{self.number}"

    @property
    def pods(self) -> str:
        return f"198.18.{self.number}.0/24"

    @property
    def is_host(self) -> bool:
        return self.number == 1

    @property
    def namespace(self) -> str:
        """The network namespace, and the host's end of the cable to it."""
        return f"cps-{self.name}"

    @property
    def folder(self) -> Path:
        return STATE / "nodes" / self.name

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def cgroup(self) -> str:
        return f"{CGROUP}/{self.name}"


def nodes(count: int) -> list[Node]:
    """The nodes of a cluster of that size, the host first."""
    return [Node(number) for number in range(1, count + 1)]


def tool(name: str) -> Path:
    """A program that `up` has built: kubectl, helm, ..."""
    return BIN / name
