"""The cluster's network: a bridge on the host, a cable and a namespace a node, routes, and the way out."""

import re
from pathlib import Path

from localcluster.command import lines, run, succeeds
from localcluster.layout import BRIDGE, CHAIN, HOST, NODES_AND_PODS, SERVICES, Node

CHAINS = re.compile(r"^(KUBE|CNI|CPS)-")
UPLINK = "uplink"
NAMESPACES = Path("/run/netns")

Commands = list[list[str]]


def bridge_commands() -> Commands:
    """What makes the host's side, each to be run only when its part is missing."""
    return [
        ["ip", "link", "add", BRIDGE, "type", "bridge"],
        ["ip", "address", "replace", f"{HOST}/24", "dev", BRIDGE],
        ["ip", "link", "set", BRIDGE, "up"],
        # Without it the host would call services with the address of its default route, or not at all.
        ["ip", "route", "replace", SERVICES, "dev", BRIDGE, "src", HOST],
    ]


def node_commands(node: Node, nodes: list[Node]) -> Commands:
    """What makes one node's namespace, cable and routes, in this order."""
    space, host_end = node.namespace, node.namespace
    inside = ["ip", "-n", space]
    return [
        ["ip", "netns", "add", space],
        ["ip", "link", "add", host_end, "type", "veth", "peer", "name", UPLINK, "netns", space],
        ["ip", "link", "set", host_end, "master", BRIDGE, "up"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "address", "replace", f"{node.address}/24", "dev", UPLINK],
        [*inside, "link", "set", UPLINK, "up"],
        [*inside, "route", "replace", "default", "via", HOST],
        ["nsenter", f"--net=/run/netns/{space}", "--", "sysctl", "-qw", "net.ipv4.ip_forward=1"],
        ["ip", "route", "replace", node.pods, "via", node.address, "dev", BRIDGE],
        *(
            [*inside, "route", "replace", other.pods, "via", other.address]
            for other in nodes
            if not other.is_host and other != node
        ),
    ]


def way_out() -> dict[tuple[str, str], str]:
    """By table and chain that leads there, what iptables-restore --noflush needs: pods may pass, under our address.

    The jump stands last: kube-proxy's rejections of services without endpoints must come before it.
    """
    pods = NODES_AND_PODS
    rules = {
        ("nat", "POSTROUTING"): [f"-s {pods} ! -d {pods} -j MASQUERADE"],
        ("filter", "FORWARD"): [f"-s {pods} -j ACCEPT", f"-d {pods} -j ACCEPT"],
    }
    return {
        (table, hook): "\n".join(
            [f"*{table}", f":{CHAIN} - [0:0]"]
            + [f"-A {CHAIN} {rule}" for rule in wanted]
            + [f"-A {hook} -j {CHAIN}", "COMMIT", ""]
        )
        for (table, hook), wanted in rules.items()
    }


def removal(saved: str) -> str:
    """From iptables-save's text, what iptables-restore --noflush needs to drop our and Kubernetes' chains alone."""
    result: list[str] = []
    for table in re.findall(r"^\*(\w+)\n(.*?)^COMMIT$", saved, re.MULTILINE | re.DOTALL):
        name, body = table
        chains = [m for m in re.findall(r"^:(\S+)", body, re.MULTILINE) if CHAINS.match(m)]
        jumps = [
            line
            for line in lines(body)
            if (m := re.match(r"(?:\[\d+:\d+\] )?-A (\S+) .*(?:-j|-g) (\S+)", line))
            and CHAINS.match(m.group(2))
            and not CHAINS.match(m.group(1))
        ]
        if chains:
            result += [f"*{name}"]
            result += [re.sub(r"^(?:\[\d+:\d+\] )?-A", "-D", line) for line in jumps]
            result += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains] + ["COMMIT"]
    return "\n".join([*result, ""]) if result else ""


def make(nodes: list[Node]) -> None:
    """Bring the network up, or repair it: also a cable that `cut` has taken out."""
    if not exists(BRIDGE):
        run(*bridge_commands()[0])
    for command in bridge_commands()[1:]:
        run(*command)
    for (table, hook), text in way_out().items():
        if not succeeds("iptables", "--wait", "-t", table, "-C", hook, "-j", CHAIN):
            run("iptables-restore", "--noflush", "--wait", text=text)
    for node in nodes:
        if not node.is_host:
            make_node(node, nodes)


def make_node(node: Node, nodes: list[Node]) -> None:
    """Run node_commands, leaving out what is there."""
    add_space, add_cable, *rest = node_commands(node, nodes)
    if not succeeds("ip", "-n", node.namespace, "link", "show", "lo"):
        # Killed while being made, or unmounted since: a plain file without a namespace behind it.
        (NAMESPACES / node.namespace).unlink(missing_ok=True)
        run(*add_space)
    if not succeeds("ip", "-n", node.namespace, "link", "show", UPLINK):
        if exists(node.namespace):
            run("ip", "link", "delete", node.namespace)
        run(*add_cable)
    for command in rest:
        run(*command)


def exists(link: str) -> bool:
    """Whether the host has a link of this name."""
    return Path("/sys/class/net", link).exists()


def connect(node: Node, plugged: bool) -> None:
    """Plug the node's cable in, or out."""
    run("ip", "link", "set", node.namespace, "up" if plugged else "down")


def is_connected(node: Node) -> bool:
    """Whether the node's cable is plugged in; the host's own always is."""
    if node.is_host:
        return True
    flags = Path("/sys/class/net", node.namespace, "flags")
    return flags.exists() and bool(int(flags.read_text(), 16) & 1)


def leftovers() -> list[str]:
    """The links and namespaces of a cluster that are on this host now."""
    links = [path.name for path in Path("/sys/class/net").iterdir()]
    spaces = [path.name for path in NAMESPACES.iterdir()] if NAMESPACES.is_dir() else []
    found = {name for name in links + spaces if re.fullmatch(r"cps-node\d+", name)}
    return sorted(found | ({BRIDGE} & set(links)))


def remove() -> None:
    """Take links, namespaces and firewall rules away; what others made stays."""
    for name in leftovers():
        if (NAMESPACES / name).exists() and not succeeds("ip", "netns", "delete", name):
            (NAMESPACES / name).unlink(missing_ok=True)
        # The cable may already have gone with its namespace.
        if exists(name):
            succeeds("ip", "link", "delete", name)
    for family in ("iptables", *(["ip6tables"] if Path("/proc/net/if_inet6").exists() else [])):
        if text := removal(run(f"{family}-save")):
            run(f"{family}-restore", "--noflush", "--wait", text=text)
    # `ip netns` makes its folder a mount of its own and never undoes that.
    if NAMESPACES.is_dir() and not any(NAMESPACES.iterdir()):
        succeeds("umount", NAMESPACES)
        NAMESPACES.rmdir()
