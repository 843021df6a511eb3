"""Puts images of buildah's storage into the cluster's registry, from which every node pulls `docker.io/...`."""

from pathlib import Path

from localcluster.command import run, succeeds
from localcluster.config import PAUSE_IMAGE
from localcluster.errors import LocalClusterError
from localcluster.layout import REGISTRY, tool

HUB = "docker.io/"


def destination(reference: str) -> str:
    """Where in the registry an image goes; raises for a name that the nodes would look for elsewhere."""
    path = reference.removeprefix(HUB)
    if path == reference or "/" not in path or not path.strip("/"):
        raise LocalClusterError(
            f"{reference!r} is not of the form {HUB}PROJECT/NAME:TAG: tag the image like that first."
        )
    return f"docker://{REGISTRY}/{path}"


def load(reference: str) -> None:
    """Push one image; layers that the registry has are not sent again."""
    target = destination(reference)
    if not succeeds("buildah", "inspect", "--type", "image", reference):
        raise LocalClusterError(f"buildah's storage has no image {reference}: build it first (see `buildah images`).")
    run("buildah", "push", "--quiet", "--tls-verify=false", reference, target)


def make_pause() -> None:
    """Commit the image that holds every pod's namespaces: one static program."""
    if succeeds("buildah", "inspect", "--type", "image", PAUSE_IMAGE):
        return
    container = run("buildah", "from", "scratch").strip()
    try:
        run("buildah", "copy", "--quiet", container, Path(tool("pause")).resolve(), "/pause")
        run("buildah", "config", "--entrypoint", '["/pause"]', "--user", "65535:65535", container)
        run("buildah", "commit", "--quiet", container, PAUSE_IMAGE)
    finally:
        run("buildah", "rm", container)
