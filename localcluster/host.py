"""What the host must have: checked, installed where Debian packages it, and put back as it was by `down`."""

import json
import os
import re
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

from localcluster import debian
from localcluster.command import lines, run
from localcluster.errors import LocalClusterError
from localcluster.layout import BRIDGE, CACHE, STATE
from localcluster.progress import say

# The file that shows that a package is there: looking is quicker than asking dpkg, and suits other vendors' packages.
PACKAGES = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "crun": "crun",
    "curl": "curl",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "debootstrap": "debootstrap",
    "docker-registry": "docker-registry",
    "iproute2": "ip",
    "ipset": "ipset",
    "iptables": "iptables",
    "openssl": "openssl",
    "procps": "sysctl",
    "runc": "runc",
    "socat": "socat",
    "util-linux": "nsenter",
}
GO = (1, 25)
GIGABYTE = 1024**3
FREE = 10 * GIGABYTE
PORTS = (2379, 2380, 10248, 10257, 10259)

# What the kubelet, kube-proxy and we change, to be put back by `down`.
SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# Where the kubelet, containerd's shims and the network plugins write whatever they are told.
CONTAINERD = "/run/containerd"
FOLDERS = (CONTAINERD, "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
SYSCTL_ROOT = Path("/proc/sys")
# Beside STATE, not in it: whoever deletes the state by hand still gets the host back by `down`.
BEFORE = STATE.with_name(f"{STATE.name}-host-before.json")


def need_root() -> None:
    """Raise unless this is root on Linux."""
    if os.geteuid() != 0:
        raise LocalClusterError("this needs root: run the same command with sudo.")


def check() -> None:
    """Raise one sentence for the first thing that is missing and that we cannot install."""
    need_root()
    release = Path("/etc/os-release")
    text = release.read_text() if release.exists() else ""
    if not re.search(r"^ID(_LIKE)?=.*debian", text, re.MULTILINE) or not shutil.which("apt-get"):
        raise LocalClusterError(
            "a local cluster needs Debian 12 or newer (its packages come by apt-get): use such a host."
        )
    for folder in {CACHE, STATE}:
        free = shutil.disk_usage(nearest(folder)).free
        if free < FREE:
            raise LocalClusterError(
                f"{nearest(folder)} has {free / GIGABYTE:.1f} GB free and a local cluster needs "
                f"{FREE / GIGABYTE:.0f} GB: make room there."
            )
    if not shutil.which("go"):
        raise LocalClusterError("Go is not on PATH: install Go 1.25 or newer, then run the command again.")
    found = go_version(run("go", "version"))
    if found < GO:
        raise LocalClusterError(f"Go {'.'.join(map(str, found))} is too old: install Go 1.25 or newer.")
    foreign = foreign_routes(run("ip", "-4", "route", "show", "table", "all")) if shutil.which("ip") else []
    if foreign:
        raise LocalClusterError(
            f"this host already uses addresses of 198.18.0.0/15 ({foreign[0]}): take that route away first."
        )


def check_ports(needed: Iterable[int] = PORTS) -> None:
    """Raise if another program listens where the control plane must; only asked before a first start."""
    for port in needed:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise LocalClusterError(
                    f"port {port} of 127.0.0.1 is taken (another Kubernetes or etcd?): stop what listens there."
                ) from error


def nearest(path: Path) -> Path:
    """The path itself, or its first parent that exists."""
    return path if path.exists() else nearest(path.parent)


def go_version(text: str) -> tuple[int, int]:
    """Major and minor of `go version`'s answer."""
    found = re.search(r"go(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def foreign_routes(table: str) -> list[str]:
    """Routes into the cluster's addresses that are neither its bridge's nor its pods'."""
    used = [line for line in lines(table) if re.search(r"\b198\.1[89]\.", line)]
    return [line for line in used if not re.search(rf"\bdev ({BRIDGE}|veth\w+)\b", line)]


def missing(packages: Iterable[str]) -> list[str]:
    """Those of PACKAGES' packages that are to be installed."""
    proofs = {package: PACKAGES[package] for package in packages}
    return [
        package
        for package, proof in proofs.items()
        if not (Path(proof).exists() if proof.startswith("/") else shutil.which(proof))
    ]


def install(wanted: Iterable[str] = PACKAGES) -> None:
    """Install those of PACKAGES' packages that are missing."""
    if packages := missing(wanted):
        need_root()
        debian.install(packages)


def remember() -> None:
    """Write down, before the first `up` changes anything, the kernel settings and which of FOLDERS are not there."""
    if BEFORE.exists():
        return
    BEFORE.parent.mkdir(parents=True, exist_ok=True)
    sysctls = {name: (SYSCTL_ROOT / name).read_text().strip() for name in SYSCTLS if (SYSCTL_ROOT / name).exists()}
    absent = [folder for folder in FOLDERS if not Path(folder).exists()]
    partial = BEFORE.with_suffix(".partial")
    partial.write_text(json.dumps({"sysctls": sysctls, "absent": absent}))
    partial.rename(BEFORE)


def restore() -> None:
    """Put back what `remember` wrote down."""
    if not BEFORE.exists():
        return
    before = json.loads(BEFORE.read_text())
    for name, value in before["sysctls"].items():
        path = SYSCTL_ROOT / name
        if path.read_text().strip() != value:
            path.write_text(value)
            say(f"- {name.replace('/', '.')} is {value} again")
    for folder in before["absent"]:
        if folder != CONTAINERD or not Path(CONTAINERD, "containerd.sock").exists():
            shutil.rmtree(folder, ignore_errors=True)
    BEFORE.unlink()
