"""The programs that build and keep images: docker where its engine answers, else buildah."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from images.network import Lent
from localcluster import base_image, debian
from localcluster.command import run, succeeds
from localcluster.errors import LocalClusterError

PROBE_SECONDS = 10.0
PACKAGES = ("buildah", "crun", "debootstrap")
UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True, slots=True)
class Order:
    """One image to build."""

    reference: str
    version: str
    containerfile: str
    context: Path

    @property
    def common(self) -> list[str]:
        """The arguments that docker and buildah share."""
        return [
            f"--file={self.context / self.containerfile}",
            f"--tag={self.reference}",
            f"--label=org.opencontainers.image.version={self.version}",
        ]


class Engine(Protocol):
    """What the builder asks of a program that builds images."""

    def has(self, reference: str) -> bool:
        """Whether this machine has the image."""

    def size(self, reference: str) -> int:
        """The sum of the image's layers in bytes, the base included."""

    def prepare(self) -> None:
        """Make the base image known."""

    def build(self, order: Order, lent: Lent) -> None:
        """Build and tag the image."""


def secrets(lent: Lent) -> list[str]:
    """Mounted by single steps: in no layer, no history and no configuration, unlike a build argument."""
    bundle = [f"--secret=id=ca,src={lent.bundle}"] if lent.bundle else []
    return [f"--secret=id=network,src={lent.settings}", *bundle]


class Docker:
    """docker with BuildKit."""

    def has(self, reference: str) -> bool:
        return succeeds("docker", "image", "inspect", reference)

    def size(self, reference: str) -> int:
        return int(run("docker", "image", "inspect", "--format={{.Size}}", reference))

    def prepare(self) -> None:
        """Nothing: docker pulls the base itself."""

    def build(self, order: Order, lent: Lent) -> None:
        # An attestation would make an index of the image, which `kind load` cannot take.
        environ = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        run("docker", "build", *order.common, *secrets(lent), order.context, env=environ)


class Buildah:
    """buildah as root: needs no daemon, and chroot isolation needs no cgroup or network of its own."""

    def has(self, reference: str) -> bool:
        return succeeds("buildah", "inspect", "--type=image", reference)

    def size(self, reference: str) -> int:
        return parse_size(run("buildah", "images", "--format={{.Size}}", reference))

    def prepare(self) -> None:
        base_image.ensure()

    def build(self, order: Order, lent: Lent) -> None:
        # The proxies come by the secret, like everything else of this machine's network.
        flags = ["--isolation=chroot", "--layers", "--http-proxy=false", "--force-rm"]
        run("buildah", "build", *flags, *order.common, *secrets(lent), order.context)


def find() -> Engine:
    """docker if its engine answers, else buildah, installed if need be."""
    if succeeds("docker", "version", "--format={{.Server.Version}}", timeout=PROBE_SECONDS):
        return Docker()
    if os.geteuid() != 0:
        raise LocalClusterError("no docker engine answers, and buildah needs root here: run the command with sudo.")
    missing = [package for package in PACKAGES if not shutil.which(package)]
    if missing:
        install(missing)
    return Buildah()


def install(packages: list[str]) -> None:
    """Install Debian packages."""
    if not shutil.which("apt-get"):
        raise LocalClusterError(f"{', '.join(packages)} missing and no apt-get here: install them or docker.")
    debian.install(packages)


def parse_size(text: str) -> int:
    """Bytes of what buildah prints, such as `209 MB`."""
    found = re.fullmatch(r"([\d.]+) ?([KMG]?B)", text.strip(), re.IGNORECASE)
    if not found:
        raise LocalClusterError(f"buildah printed the size {text.strip()!r}, which is no size: update buildah.")
    return round(float(found[1]) * UNITS[found[2].upper()])
