"""The command line: `python3 -m localcluster COMMAND`."""

import argparse
import signal
import sys
from types import FrameType

from localcluster import base_image, cluster, daemon, fleet, image, network, objectstore, programs
from localcluster.errors import LocalClusterError
from localcluster.layout import AUDIT_LOG, BIN, KUBECONFIG, MOST_NODES, NODES
from localcluster.lock import only_one


def parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    top = argparse.ArgumentParser(prog="python3 -m localcluster", description=sys.modules["localcluster"].__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build, start or repair the cluster, until all nodes are Ready")
    up.add_argument("--nodes", type=int, default=NODES, choices=range(1, MOST_NODES + 1), metavar="N")
    commands.add_parser("down", help="stop it and leave nothing behind but the caches")
    commands.add_parser("nodes", help="print the nodes' names")
    commands.add_parser("status", help="print which programs run and which nodes are Ready")
    load = commands.add_parser("load-image", help="give an image of buildah's storage to the nodes")
    load.add_argument("reference", metavar="REF")
    for name, help_ in (("cut-node", "take a node off the network"), ("heal-node", "put it back")):
        commands.add_parser(name, help=help_).add_argument("node", metavar="NODE")
    commands.add_parser("kubeconfig", help="print where the administrator's kubeconfig is")
    build = commands.add_parser("build", help="build programs only: kubectl, helm and those of the nodes")
    build.add_argument("programs", nargs="+", choices=programs.for_local(), metavar="PROGRAM")
    commands.add_parser("path", help="print the folder of kubectl and helm, for PATH")
    commands.add_parser("audit-log", help="print where the API server logs its requests, one JSON object a line")
    commands.add_parser("s3", help="print what a client of the S3 server needs, the credentials as the path of a file")
    commands.add_parser("base-image", help=f"make {base_image.REFERENCE} known to buildah")
    return top


def status() -> int:
    """Print programs and nodes; 0 when everything runs and is Ready."""
    known = cluster.known()
    if not known:
        print("there is no local cluster on this host; `up` makes one")
        return 1
    well = True
    for each in fleet.everything(known):
        process = daemon.recorded(each.record)
        well &= process is not None
        print(f"{each.name:28} {f'pid {process.pid}' if process else 'NOT RUNNING'}")
    states = cluster.node_states() if cluster.api_answers() else {}
    for node in known:
        cable = "" if network.is_connected(node) else ", cut off"
        well &= states.get(node.name) == "True" and not cable
        print(f"{node.name:28} Ready={states.get(node.name, 'Unknown')}{cable}")
    return 0 if well else 1


def carry_out(arguments: argparse.Namespace) -> int:
    """Do what one command line says and return the exit code."""
    match arguments.command:
        case "up":
            with only_one():
                cluster.up(arguments.nodes)
        case "down":
            with only_one():
                cluster.down()
        case "nodes":
            print("\n".join(node.name for node in cluster.known()))
        case "status":
            return status()
        case "load-image":
            image.load(arguments.reference)
        case "cut-node":
            network.connect(cluster.worker(arguments.node), plugged=False)
        case "heal-node":
            network.connect(cluster.worker(arguments.node), plugged=True)
        case "kubeconfig":
            print(KUBECONFIG)
        case "build":
            programs.build(arguments.programs)
        case "path":
            print(BIN)
        case "audit-log":
            print(AUDIT_LOG)
        case "s3":
            print(objectstore.describe())
        case "base-image":
            print(base_image.ensure())
    return 0


def stop(number: int, frame: FrameType | None) -> None:
    """Let SIGTERM end like Ctrl-C, so that what was begun is put in order."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the command line; a foreseen error is one message, without a traceback."""
    signal.signal(signal.SIGTERM, stop)
    try:
        return carry_out(parser().parse_args())
    except LocalClusterError as error:
        print(f"localcluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("localcluster: interrupted; run the same command again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
