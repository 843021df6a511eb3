"""Renders the programs' configuration files from `templates/`; nothing here touches the host."""

import json
from base64 import b64encode
from pathlib import Path
from string import Template

from localcluster.base_image import REFERENCE as HELPER_IMAGE
from localcluster.layout import (
    API_SERVER,
    CNI_NETWORK,
    HOST,
    KUBECONFIG,
    PACKAGE,
    PKI,
    REGISTRY,
    STATE,
    VOLUMES,
    Node,
)

PAUSE_IMAGE = "docker.io/checkpointstore/localcluster-pause:1"
STORAGE_NAMESPACE = "local-path-storage"
CONFIG = STATE / "config"
MIRRORS = CONFIG / "mirrors"
RESOLV = CONFIG / "resolv.conf"


def render(template: str, **values: object) -> str:
    """One template with its values; a missing value is an error."""
    return Template((PACKAGE / "templates" / template).read_text()).substitute(values)


def shared_files() -> dict[Path, str]:
    """The files that the control plane and all nodes read."""
    return {
        MIRRORS / "docker.io" / "hosts.toml": render("hosts.toml", registry=REGISTRY),
        RESOLV: f"nameserver {HOST}\n",
        CONFIG / "registry.yaml": render("registry.yaml", folder=STATE / "registry", registry=REGISTRY),
        CONFIG / "Corefile": render("Corefile", dns=HOST, kubeconfig=KUBECONFIG),
        CONFIG / "audit-policy.yaml": render("audit-policy.yaml"),
        **{CONFIG / name: text for name, text in storage_objects().items()},
    }


def node_files(node: Node) -> dict[Path, str]:
    """The files that one node's containerd, CNI plugins and kubelet read."""
    folder = node.folder
    return {
        folder / "containerd.toml": render(
            "containerd.toml", folder=folder, socket=node.socket, pause=PAUSE_IMAGE, mirrors=MIRRORS
        ),
        folder / "cni" / "10-pods.conflist": render("cni.conflist", network=CNI_NETWORK, folder=folder, pods=node.pods),
        folder / "kubelet.yaml": render(
            "kubelet.yaml",
            name=node.name,
            address=node.address,
            cgroup=node.cgroup,
            dns=HOST,
            folder=folder,
            pki=PKI,
            resolv=RESOLV,
            socket=node.socket,
        ),
    }


def storage_objects() -> dict[str, str]:
    """The default StorageClass `standard` and what its provisioner reads, by file name, for kubectl."""
    settings = {
        "config.json": render("local-path.json", volumes=VOLUMES),
        "setup": 'mkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": 'rm -rf "$VOL_DIR"\n',
        "helperPod.yaml": render("helper-pod.yaml", helper=HELPER_IMAGE),
    }
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-path-config", "namespace": STORAGE_NAMESPACE},
        "data": settings,
    }
    return {
        "local-path.json": settings["config.json"],
        "helper-pod.yaml": settings["helperPod.yaml"],
        "storage.yaml": render("storage.yaml", namespace=STORAGE_NAMESPACE),
        "storage-settings.json": json.dumps(config_map, indent=1),
    }


def kubeconfig(user: str, certificate: bytes, key: bytes, authority: bytes) -> str:
    """A kubeconfig with everything inside, so that it can be copied."""
    return render(
        "kubeconfig.yaml",
        server=API_SERVER,
        user=user,
        certificate=b64encode(certificate).decode(),
        key=b64encode(key).decode(),
        authority=b64encode(authority).decode(),
    )
