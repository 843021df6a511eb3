"""Brings the whole cluster up, repairs it, and takes it down again."""

import json
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

from localcluster import (
    base_image,
    certificate,
    cgroup,
    config,
    daemon,
    fleet,
    host,
    image,
    network,
    objectstore,
    programs,
)
from localcluster.command import run, succeeds
from localcluster.errors import LocalClusterError, Unsupported
from localcluster.layout import (
    CNI_NETWORK,
    KUBECONFIG,
    NODES,
    REGISTRY,
    S3,
    STATE,
    VOLUMES,
    Node,
    nodes,
    tool,
)
from localcluster.progress import say, step

READY_SECONDS = 300.0
BOOT = STATE / "boot"


def up(count: int = NODES) -> None:
    """End with `count` Ready nodes, from whatever is there: nothing, half a cluster, or a whole one."""
    host.check()
    host.install()
    programs.build(programs.for_local())
    base_image.ensure()
    image.make_pause()
    wanted = nodes(max([count, *(node.number for node in known())]))
    if not same_boot() and (found := leftovers()):
        say(f"left of an earlier cluster that cannot go on, removed first: {', '.join(found)}")
        sweep()
    dead = [each.name for each in fleet.everything(wanted) if not daemon.lives(each)]
    repairing = BOOT.exists()
    if repairing and dead:
        say(f"the cluster is there but for: {', '.join(dead)}")
    try:
        boot(wanted, repairing)
    except LocalClusterError as error:
        # A cluster that lacked nothing may just be slow: it is not thrown away.
        if not (repairing and dead):
            raise
        say(f"the old cluster cannot be repaired ({error}); making a new one")
        sweep()
        boot(wanted, repairing=False)
    say(f"{len(wanted)} nodes are Ready; kubeconfig: {KUBECONFIG}")


def boot(wanted: list[Node], repairing: bool) -> None:
    """Start what does not run; everything here may be done twice."""
    if not daemon.ours():
        host.check_ports()
    STATE.mkdir(parents=True, exist_ok=True)
    STATE.chmod(0o711)
    host.remember()
    BOOT.write_text(daemon.BOOT.read_text())
    with step("certificates, configuration, network"):
        certificate.make(wanted)
        write_files(wanted)
        VOLUMES.mkdir(exist_ok=True)
        objectstore.make_folders(objectstore.LOCAL)
        (host.SYSCTL_ROOT / "net/ipv4/ip_forward").write_text("1")
        network.make(wanted)
        cgroup.make(wanted)
        for node in wanted:
            if any(daemon.is_misplaced(each) for each in fleet.of_node(node)):
                # Its pods hang on the lost namespace too.
                say(f"- {node.name} has lost its network namespace: its programs and pods are started anew")
                daemon.stop_all(node)
    with step("control plane"):
        first = [
            fleet.registry(),
            fleet.object_store(),
            *(fleet.containerd(node) for node in wanted),
            fleet.etcd(),
            fleet.api_server(),
        ]
        start(first)
        daemon.wait("the API server answers", api_answers, first, READY_SECONDS)
    with step("bucket for backups"):
        daemon.wait("the S3 server answers", lambda: listens(S3), [fleet.object_store()], READY_SECONDS)
        objectstore.make_bucket(objectstore.local(), objectstore.LOCAL_CA)
    with step("images for pods and volumes"):
        daemon.wait("the registry answers", lambda: listens(REGISTRY), [fleet.registry()], READY_SECONDS)
        image.load(config.PAUSE_IMAGE)
        image.load(base_image.REFERENCE)
    with step("nodes and default storage"):
        apply(config.CONFIG / "storage.yaml", config.CONFIG / "storage-settings.json")
        rest = [
            *fleet.controllers(),
            *(make(node) for make in (fleet.kubelet, fleet.kube_proxy) for node in wanted),
        ]
        # A node whose kubelet was killed counts as Ready for 40 s more: then only a lease renewed since counts.
        stale = repairing and not all(daemon.lives(each) for each in rest)
        since = datetime.now(UTC) if stale else None
        start(rest)
        daemon.wait("all nodes are Ready", lambda: is_ready(wanted, since), [*first, *rest], READY_SECONDS)
        kubectl("label", "node", "node1", "node-role.kubernetes.io/control-plane=", "--overwrite")


def start(daemons: list[daemon.Daemon]) -> None:
    for each in daemons:
        daemon.start(each)


def write_files(wanted: list[Node]) -> None:
    """Write every configuration file anew."""
    files = config.shared_files()
    for node in wanted:
        files |= config.node_files(node)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def kubectl(*argv: str | Path) -> str:
    """kubectl as the cluster's administrator."""
    return run(tool("kubectl"), f"--kubeconfig={KUBECONFIG}", "--request-timeout=20s", *argv)


def apply(*files: Path) -> None:
    kubectl("apply", *(f"--filename={path}" for path in files))


def api_answers() -> bool:
    return succeeds(tool("kubectl"), f"--kubeconfig={KUBECONFIG}", "--request-timeout=5s", "get", "--raw=/readyz")


def listens(address: str) -> bool:
    """Whether something takes connections at HOST:PORT."""
    host_, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(2.0)
        return probe.connect_ex((host_, int(port))) == 0


def node_states() -> dict[str, str]:
    """The Ready condition of each node that the API server knows: True, False or Unknown."""
    listed = json.loads(kubectl("get", "nodes", "--output=json"))
    return {
        item["metadata"]["name"]: next(
            (c["status"] for c in item["status"].get("conditions", ()) if c["type"] == "Ready"), "Unknown"
        )
        for item in listed["items"]
    }


def is_ready(wanted: list[Node], since: datetime | None) -> bool:
    """Whether pods can be made: each node is Ready, if asked by a word younger than `since`, and accounts are made."""
    states = node_states()
    if any(states.get(node.name) != "True" for node in wanted):
        return False
    if since:
        renewals = lease_renewals()
        if any(node.name not in renewals or renewals[node.name] < since for node in wanted):
            return False
    return "serviceaccount/default" in kubectl("get", "serviceaccounts", "--namespace=default", "--output=name")


def lease_renewals() -> dict[str, datetime]:
    """When each node's kubelet last gave a sign of life, every 10 s."""
    leases = json.loads(kubectl("get", "leases", "--namespace=kube-node-lease", "--output=json"))
    return {item["metadata"]["name"]: datetime.fromisoformat(item["spec"]["renewTime"]) for item in leases["items"]}


def known() -> list[Node]:
    """The nodes of the cluster that is on this host, up or not."""
    folder = STATE / "nodes"
    numbers = [int(path.name.removeprefix("node")) for path in folder.iterdir()] if folder.is_dir() else []
    return [Node(number) for number in sorted(numbers)]


def worker(name: str) -> Node:
    """The node of that name; raises for one that cannot be cut off."""
    names = {node.name: node for node in known()}
    if name not in names:
        raise LocalClusterError(f"there is no node {name!r}: this host has {', '.join(names) or 'no cluster'}.")
    if names[name].is_host:
        raise Unsupported(f"{name} is the host itself and runs the control plane: cut another node off.")
    return names[name]


def same_boot() -> bool:
    """Whether there is a state that this run of the host can go on with."""
    return BOOT.exists() and BOOT.read_text() == daemon.BOOT.read_text()


def leftovers() -> list[str]:
    """What of a cluster is on this host, in words."""
    processes = len(daemon.ours())
    found = [f"{processes} processes"] if processes else []
    found += [f"{len(mounts())} mounts"] if mounts() else []
    found += network.leftovers()
    found += [str(path) for path in cgroup.leftovers()]
    return found + [str(path) for path in (STATE, host.BEFORE) if path.exists()]


def mounts() -> list[str]:
    """The mount points below STATE, the innermost first."""
    table = Path("/proc/self/mounts").read_text().splitlines()
    points = [line.split(" ")[1].encode().decode("unicode_escape") for line in table]
    return sorted((point for point in points if point.startswith(f"{STATE}/")), reverse=True)


def sweep() -> None:
    """Take away everything of a cluster, whole or in parts, and put the host back as it was."""
    with step("stop the cluster's processes"):
        stopped = daemon.stop_all()
    if stopped:
        say(f"- {stopped} processes ended")
    with step("mounts, links, namespaces, firewall rules, control groups"):
        for point in mounts():
            run("umount", "--lazy", point)
        if still := mounts():
            raise LocalClusterError(f"{still[0]} cannot be unmounted: see `fuser -m`, then run `down` again.")
        network.remove()
        cgroup.remove()
    with step("state"):
        remove_traces()
        host.restore()
        if STATE.exists():
            shutil.rmtree(STATE)


def remove_traces() -> None:
    """Drop what the kubelet, containerd and the network plugins write outside STATE and cannot be told not to."""
    for path in Path("/var/log/containers").glob("*"):
        if path.is_symlink() and path.readlink().is_relative_to(STATE):
            path.unlink()
    for path in Path("/var/lib/cni/results").glob(f"{CNI_NETWORK}-*"):
        path.unlink()


def down() -> None:
    """Leave nothing of a cluster on this host; the caches of programs and images stay."""
    host.need_root()
    found = leftovers()
    if not found:
        say("there is no local cluster on this host")
        return
    sweep()
    say("the host is as it was before the first `up`")
