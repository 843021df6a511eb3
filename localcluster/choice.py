"""Which Kubernetes the tests and the demo use, behind one small interface: a given one, kind, or the local cluster."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from localcluster import certificate, cluster, image, layout, network, objectstore, programs
from localcluster.command import lines, run, succeeds
from localcluster.errors import LocalClusterError, Unsupported
from localcluster.lock import only_one
from localcluster.objectstore import ObjectStore
from localcluster.progress import step

KIND_NAME = "checkpointstore"
KIND_KUBECONFIG = layout.CACHE / "kind" / "kubeconfig"
KIND_TOOLS = ("kind", "kubectl", "helm")
# Not `docker network disconnect`: connected again, a container gets another address, and the kubelet keeps the old.
KIND_CUT = (
    ("raw", "PREROUTING", "--in-interface", "eth0"),
    ("mangle", "POSTROUTING", "--out-interface", "eth0"),
)
KIND_CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: checkpointstore
nodes:
- role: control-plane
- role: worker
- role: worker
"""
# The S3 server runs in this container: pods and the host reach it there.
KIND_S3_NODE = f"{KIND_NAME}-control-plane"
KIND_S3_PLACE = objectstore.Place(Path("/var/lib/checkpointstore-s3"))
KIND_S3 = objectstore.Place(layout.CACHE / "kind" / "s3")
KIND_S3_PORT = 9443
IMAGES_PRESENT = "CHECKPOINTSTORE_IMAGES_PRESENT"


class Cluster(Protocol):
    """A Kubernetes to work on. Every method raises LocalClusterError; what cannot be done at all, Unsupported."""

    name: str

    def up(self) -> None:
        """Have it running, with all nodes Ready; quick when it is."""

    def down(self) -> None:
        """Take it away, unless it is not ours."""

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, once it is up."""

    def nodes(self) -> list[str]:
        """The nodes' names."""

    def load_image(self, ref: str) -> None:
        """Make an image of buildah's (or the container engine's) storage known to all nodes."""

    def cut_node(self, name: str) -> None:
        """Take a node off the network, its pods still running."""

    def heal_node(self, name: str) -> None:
        """Put a node that was cut off back on the network."""

    def object_store(self) -> ObjectStore:
        """An S3 server that pods and this host reach, its bucket being there; asked for once the cluster is up."""

    def tool(self, name: str) -> Path:
        """The path of `kubectl` or `helm`."""


def choose(environ: Mapping[str, str]) -> Cluster:
    """KUBECONFIG's cluster if that is set, else kind if a container engine answers, else the local cluster."""
    if given := environ.get("KUBECONFIG"):
        # A shell that was set up for the local cluster still means the local cluster, which can do more.
        if Path(given) == layout.KUBECONFIG:
            return Local()
        return Given(given, environ)
    return Kind() if engine_answers() else Local()


def engine_answers() -> bool:
    """Whether a Docker-compatible container engine runs here."""
    return shutil.which("docker") is not None and succeeds("docker", "info", timeout=10.0)


def node_names(kubectl: Path, kubeconfig: Path) -> list[str]:
    """The nodes that an API server knows."""
    listed = run(kubectl, f"--kubeconfig={kubeconfig}", "get", "nodes", "--output=name")
    return [line.removeprefix("node/") for line in lines(listed)]


class Local:
    """The cluster that `python3 -m localcluster` makes on this host."""

    name = "local"

    def up(self) -> None:
        with only_one():
            cluster.up()

    def down(self) -> None:
        with only_one():
            cluster.down()

    def kubeconfig(self) -> Path:
        return layout.KUBECONFIG

    def nodes(self) -> list[str]:
        return [node.name for node in cluster.known()]

    def load_image(self, ref: str) -> None:
        image.load(ref)

    def cut_node(self, name: str) -> None:
        network.connect(cluster.worker(name), plugged=False)

    def heal_node(self, name: str) -> None:
        network.connect(cluster.worker(name), plugged=True)

    def object_store(self) -> ObjectStore:
        return objectstore.local()

    def tool(self, name: str) -> Path:
        return layout.tool(name)


class Kind:
    """Three nodes as containers of the engine that answers."""

    name = "kind"

    def up(self) -> None:
        programs.build(name for name in KIND_TOOLS if not shutil.which(name))
        KIND_KUBECONFIG.parent.mkdir(parents=True, exist_ok=True)
        if KIND_NAME in lines(run(self.tool("kind"), "get", "clusters")):
            # The engine may have been started anew, or a node may still be cut off.
            for node in lines(self.kind("get", "nodes")):
                run("docker", "start", node)
                self.heal_node(node)
            self.kind("export", "kubeconfig", f"--kubeconfig={KIND_KUBECONFIG}")
        else:
            with step("kind create cluster"):
                self.kind("create", "cluster", f"--kubeconfig={KIND_KUBECONFIG}", "--config=-", text=KIND_CONFIG)
        kubectl = self.tool("kubectl")
        run(
            kubectl,
            f"--kubeconfig={KIND_KUBECONFIG}",
            "wait",
            "--for=condition=Ready",
            "nodes",
            "--all",
            "--timeout=180s",
        )

    def down(self) -> None:
        self.kind("delete", "cluster", f"--kubeconfig={KIND_KUBECONFIG}")
        shutil.rmtree(KIND_S3.folder, ignore_errors=True)

    def kubeconfig(self) -> Path:
        return KIND_KUBECONFIG

    def nodes(self) -> list[str]:
        return node_names(self.tool("kubectl"), KIND_KUBECONFIG)

    def load_image(self, ref: str) -> None:
        if not succeeds("docker", "image", "inspect", ref):
            # Built by buildah: the engine has a storage of its own.
            run("buildah", "push", "--quiet", ref, f"docker-daemon:{ref}")
        self.kind("load", "docker-image", ref)

    def cut_node(self, name: str) -> None:
        for rule in KIND_CUT:
            if not succeeds(*firewall(name, "--check", rule)):
                run(*firewall(name, "--insert", rule))

    def heal_node(self, name: str) -> None:
        for rule in KIND_CUT:
            while succeeds(*firewall(name, "--check", rule)):
                run(*firewall(name, "--delete", rule))

    def object_store(self) -> ObjectStore:
        """Started when it is first asked for, since few need it; a container that starts anew has another address."""
        programs.build([objectstore.PROGRAM])
        addresses = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = run("docker", "inspect", addresses, KIND_S3_NODE).strip()
        signed = certificate.object_store(f"s3-{address}", address)
        certificate.make_signed(KIND_S3.folder, ["ca"], [signed])
        objectstore.make_credentials(KIND_S3.credentials)
        if not cluster.listens(f"{address}:{KIND_S3_PORT}"):
            for line in serve(KIND_S3.folder / signed.name):
                run(*line)
        authority = KIND_S3.folder / "ca.crt"
        store = objectstore.known(f"{address}:{KIND_S3_PORT}", KIND_S3.credentials, authority)
        objectstore.make_bucket(store, authority)
        return store

    def tool(self, name: str) -> Path:
        return Path(found) if (found := shutil.which(name)) else layout.tool(name)

    def kind(self, *argv: str, text: str | None = None) -> str:
        """Run kind on our cluster and return what it prints."""
        return run(self.tool("kind"), *argv, f"--name={KIND_NAME}", text=text)


def firewall(node: str, action: str, rule: tuple[str, ...]) -> list[str]:
    """The command that checks, adds or deletes one rule in a kind node: table, chain, match."""
    table, chain, *match = rule
    return [
        "docker",
        "exec",
        node,
        "iptables",
        "--wait",
        "--table",
        table,
        action,
        chain,
        *match,
        "--jump",
        "DROP",
    ]


def serve(certificate: Path) -> list[list[str]]:
    """The commands that bring the S3 server into its kind node, with this certificate and key, and start it."""
    place, inside = KIND_S3_PLACE, f"{KIND_S3_NODE}:{KIND_S3_PLACE.folder}"
    program, name = place.folder / objectstore.PROGRAM, place.folder / "s3"
    argv = objectstore.command(program, place, f":{KIND_S3_PORT}", name)
    return [
        ["docker", "exec", KIND_S3_NODE, "mkdir", "-p", str(place.data), str(place.metadata)],
        ["docker", "cp", "--follow-link", str(layout.tool(objectstore.PROGRAM)), f"{inside}/{program.name}"],
        *(["docker", "cp", f"{certificate}{suffix}", f"{inside}/s3{suffix}"] for suffix in (".crt", ".key")),
        ["docker", "exec", "--detach", f"--env-file={KIND_S3.credentials}", KIND_S3_NODE, *argv],
    ]


class Given:
    """A cluster that somebody else runs, with kubectl and helm from PATH."""

    name = "given"

    def __init__(self, kubeconfig: str, environ: Mapping[str, str]) -> None:
        self.environ = environ
        if os.pathsep in kubeconfig:
            raise LocalClusterError("KUBECONFIG names several files: set it to the one whose cluster is meant.")
        if not Path(kubeconfig).is_file():
            raise LocalClusterError(f"KUBECONFIG is {kubeconfig}, which is no file: correct it, or unset it.")
        self.path = Path(kubeconfig).absolute()

    def up(self) -> None:
        run(self.tool("kubectl"), f"--kubeconfig={self.path}", "--request-timeout=10s", "get", "--raw=/readyz")

    def down(self) -> None:
        """It is not ours: it stays."""

    def kubeconfig(self) -> Path:
        return self.path

    def nodes(self) -> list[str]:
        return node_names(self.tool("kubectl"), self.path)

    def load_image(self, ref: str) -> None:
        if self.environ.get(IMAGES_PRESENT) != "1":
            raise LocalClusterError(
                f"no way is known to bring {ref} to the nodes of {self.path}'s cluster: make its nodes able to pull "
                f"that name (push it, or set up a mirror), then set {IMAGES_PRESENT}=1."
            )

    def cut_node(self, name: str) -> None:
        raise Unsupported(f"node {name} of {self.path}'s cluster cannot be cut off from here.")

    def heal_node(self, name: str) -> None:
        raise Unsupported(f"node {name} of {self.path}'s cluster cannot be cut off from here, nor healed.")

    def object_store(self) -> ObjectStore:
        return objectstore.given(self.environ)

    def tool(self, name: str) -> Path:
        if found := shutil.which(name):
            return Path(found)
        raise LocalClusterError(f"{name} is not on PATH: install it, then run the command again.")
