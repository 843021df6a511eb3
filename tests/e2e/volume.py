"""A volume of the local cluster that has an end: it can be filled, and made larger."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from checkpointstore.kernel.values import quantity
from demo.installation import Installation
from demo.kubectl import Kubectl, run
from localcluster.layout import VOLUMES

MIB = 1024 * 1024
# What a claim has to ask for: Kubernetes is told so, whatever the size.
CAPACITY = "1Gi"


@dataclass(frozen=True)
class Volume:
    """A file system in memory, as the local cluster's own volumes have no end; `size` in bytes."""

    name: str
    size: int

    @property
    def path(self) -> Path:
        return VOLUMES / self.name

    def manifests(self) -> tuple[dict[str, object], ...]:
        """A StorageClass that has this volume only, and says that it can grow."""
        meta = {"name": self.name}
        spec = {
            "capacity": {"storage": CAPACITY},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": self.name,
            "hostPath": {"path": str(self.path)},
        }
        return (
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": meta,
                "provisioner": "kubernetes.io/no-provisioner",
                "allowVolumeExpansion": True,
            },
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec},
        )

    def mount(self) -> None:
        self.path.mkdir()
        run(["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=0777", self.name, str(self.path)])

    def grow(self, size: int) -> None:
        run(["mount", "-o", f"remount,size={size}", str(self.path)])

    def resize(self, kubectl: Kubectl, namespace: str, claim: str, size: str) -> None:
        """What a driver does when a claim asks for more: the file system first, then it says so."""
        self.grow(int(quantity(size)))
        for kind, name, place, part in (
            ("pv", self.name, (), {"spec": {"capacity": {"storage": size}}}),
            ("pvc", claim, ("-n", namespace, "--subresource=status"), {"status": {"capacity": {"storage": size}}}),
        ):
            kubectl("patch", kind, name, *place, "--type=merge", "-p", json.dumps(part))

    def leave(self, free: int) -> None:
        """Take so much of it that only `free` bytes are left, or none."""
        with (self.path / "ballast").open("ab") as ballast:
            while (room := self.free() - free) > 0:
                # A file system in memory gives back all of a piece that a writer was quicker to take something of.
                with suppress(OSError):
                    os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, min(room, MIB))

    def free(self) -> int:
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def unmount(self) -> None:
        run(["umount", "--lazy", str(self.path)])
        self.path.rmdir()


@contextmanager
def bounded(installation: Installation, what: str, size: int) -> Iterator[Volume]:
    """Such a volume, with a StorageClass of its name. Skips the test on other clusters."""
    if installation.cluster.name != "local":
        pytest.skip(f"no volume of a {installation.cluster.name} cluster can be filled from here")
    made = Volume(f"{what}-{secrets.token_hex(2)}", size)
    made.mount()
    try:
        installation.kubectl.apply(*made.manifests())
        yield made
    finally:
        for kind in ("persistentvolume", "storageclass"):
            installation.kubectl("delete", kind, made.name, "--wait=false", "--ignore-not-found")
        made.unmount()
