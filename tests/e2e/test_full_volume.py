"""A volume that fills under a writer: told before, told when nothing can be written, and over when it has grown."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo import store
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, run, wait_for
from localcluster.layout import VOLUMES
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject
from tests.e2e.writing import Writer

NAME = "filling"
MIB = 1024 * 1024
SIZE, GROWN = 512 * MIB, 1024 * MIB


@dataclass(frozen=True)
class Volume:
    """A file system in memory, as the local cluster's own volumes have no end."""

    name: str

    @property
    def path(self) -> Path:
        return VOLUMES / self.name

    def manifests(self) -> tuple[dict[str, object], ...]:
        """A StorageClass that has this volume only."""
        meta = {"name": self.name}
        spec = {
            "capacity": {"storage": "1Gi"},
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
            },
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec},
        )

    def mount(self) -> None:
        self.path.mkdir()
        run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0777", self.name, str(self.path)])

    def grow(self) -> None:
        run(["mount", "-o", f"remount,size={GROWN}", str(self.path)])

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


@pytest.fixture
def volume(installation: Installation, kubectl: Kubectl) -> Iterator[Volume]:
    if installation.cluster.name != "local":
        pytest.skip(f"no volume of a {installation.cluster.name} cluster can be filled from here")
    made = Volume(f"filling-{secrets.token_hex(2)}")
    made.mount()
    kubectl.apply(*made.manifests())
    yield made
    for kind in ("persistentvolume", "storageclass"):
        kubectl("delete", kind, made.name, "--wait=false")
    made.unmount()


@pytest.fixture
def filling(volume: Volume, kubectl: Kubectl, namespace: str) -> Iterator[Subject]:
    subject = Subject(kubectl, namespace, NAME)
    storage = {"size": "1Gi", "storageClassName": volume.name}
    subject.apply({"postgres": {"storage": storage}, "pooler": {"instances": 1}})
    subject.ready()
    yield subject
    kubectl("delete", "cps", NAME, "-n", namespace, "--timeout=60s")
    wait_for("its pods to go", lambda: not subject.pods(going=True), 90)
    kubectl("delete", "pvc", "--all", "-n", namespace, "--timeout=60s")


def test_a_volume_that_fills(
    filling: Subject,
    volume: Volume,
    start_agent: Callable[..., Agent],
    figures: Figures,
    say: Callable[[str], None],
) -> None:
    writer = Writer.start(start_agent, figures, NAME, "filling")
    volume.leave(40 * MIB)
    with figures.timed("volume_nearly_full_to_told", "<=30"):
        say(f"  nearly: {filling.said('PostgresAvailable', 'VolumeNearlyFull', 60)}")
    assert filling.condition("Ready")["status"] == "True"
    volume.leave(0)
    began = time.monotonic()
    say(f"  full: {filling.said('Ready', 'VolumeFull', 60)}")
    figures.note("volume_full_to_told", time.monotonic() - began, "s", "<=30")
    # The worst of it: with no room for WAL the server ends, is started again, and ends again.
    wait_for("the server to end", lambda: not switched(filling), 60)
    time.sleep(15)
    assert {
        kind: filling.condition(kind)["reason"] for kind in ("Ready", "Stalled", "PostgresAvailable")
    } == dict.fromkeys(("Ready", "Stalled", "PostgresAvailable"), "VolumeFull"), store.described(filling.seen())
    assert volume.free() < 32 * MIB
    volume.grow()
    with figures.timed("volume_grown_to_writes", "<=30"):
        writer.next_second(1, timeout=120)
    with figures.timed("volume_grown_to_ready", "<=60"):
        filling.ready()
    result = writer.stop()
    figures.note("volume_full_rows_lost", result["lost"], "rows", "<=0")
    assert filling.condition("PostgresAvailable")["reason"] == "AllInstancesReady"


def switched(subject: Subject) -> bool:
    """Let the server take another file of WAL; whether it could."""
    try:
        subject.psql("select pg_switch_wal()")
    except CommandFailed:
        return False
    return True
