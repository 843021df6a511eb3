"""A volume that fills: it grows while it may, is told before and when nothing can be written, and is over with room."""

import time
from collections.abc import Callable, Iterator

import pytest

from demo import store
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject
from tests.e2e.volume import CAPACITY, MIB, Volume, bounded
from tests.e2e.writing import Writer

NAME = "filling"
SIZE, GROWN = 1024 * MIB, 2560 * MIB
LIMIT = "2Gi"
CLAIM = f"data-{NAME}-0"


@pytest.fixture
def volume(installation: Installation) -> Iterator[Volume]:
    with bounded(installation, NAME, SIZE) as made:
        yield made


@pytest.fixture
def filling(volume: Volume, kubectl: Kubectl, namespace: str) -> Iterator[Subject]:
    subject = Subject(kubectl, namespace, NAME)
    storage = {"size": CAPACITY, "storageClassName": volume.name, "autogrow": {"limit": LIMIT}}
    subject.apply({"postgres": {"storage": storage}, "pooler": {"instances": 1}})
    subject.ready()
    yield subject
    kubectl("delete", "cps", NAME, "-n", namespace)
    wait_for("its pods to go", lambda: not subject.pods(going=True), 90)
    kubectl("delete", "pvc", "--all", "-n", namespace)


def test_a_volume_that_fills(
    filling: Subject,
    volume: Volume,
    start_agent: Callable[..., Agent],
    figures: Figures,
    say: Callable[[str], None],
) -> None:
    writer = Writer.start(start_agent, figures, NAME, "filling")
    volume.leave(220 * MIB)
    with figures.timed("volume_filling_to_growth_asked", "<=30"):
        wait_for("its claim to ask for more", lambda: asked(filling) == LIMIT, 60)
    volume.resize(filling.kubectl, filling.namespace, CLAIM, LIMIT)
    wait_for("the size to be told", lambda: filling.seen()["status"]["postgres"]["volumeSize"] == LIMIT, 60)
    filling.ready()
    assert filling.seen()["spec"]["postgres"]["storage"]["size"] == CAPACITY, "a user's spec stays as it is"
    assert [event["message"] for event in filling.events("VolumesGrow")] == [f"Volumes grow from {CAPACITY} to {LIMIT}"]
    # Less than a tenth, and more than the next file of WAL takes: full it must not be yet.
    volume.leave(100 * MIB)
    with figures.timed("volume_nearly_full_to_told", "<=30"):
        nearly = filling.said("PostgresAvailable", "VolumeNearlyFull", 60)
    say(f"  nearly: {nearly}")
    assert "beyond autogrow.limit" in nearly
    assert filling.condition("Ready")["status"] == "True"
    volume.leave(0)
    began = time.monotonic()
    say(f"  full: {filling.said('Ready', 'VolumeFull', 60)}")
    figures.note("volume_full_to_told", time.monotonic() - began, "s", "<=30")
    # The worst of it: with no room for WAL the server ends, is started again, and ends again.
    wait_for("the server to end", lambda: not switched(filling), 60)
    time.sleep(15)
    # A pod that is busy starting its server may once not tell how full it is.
    wait_for("all to tell it still", lambda: full(filling), 30, seen=lambda: store.described(filling.seen()))
    assert volume.free() < 32 * MIB
    volume.grow(GROWN)
    with figures.timed("volume_grown_to_writes", "<=30"):
        writer.next_second(1, timeout=120)
    with figures.timed("volume_grown_to_ready", "<=60"):
        filling.ready()
    result = writer.stop()
    figures.note("volume_full_rows_lost", result["lost"], "rows", "<=0")
    assert filling.condition("PostgresAvailable")["reason"] == "AllInstancesReady"


def full(subject: Subject) -> bool:
    """Whether all that tell of it say so, in one look."""
    found = store.conditions(subject.seen())
    return {found[kind]["reason"] for kind in ("Ready", "Stalled", "PostgresAvailable")} == {"VolumeFull"}


def asked(subject: Subject) -> str:
    claim = subject.kubectl.get("pvc", CLAIM, "-n", subject.namespace)
    return str(claim["spec"]["resources"]["requests"]["storage"])


def switched(subject: Subject) -> bool:
    """Let the server take another file of WAL; whether it could."""
    try:
        subject.psql("select pg_switch_wal()")
    except CommandFailed:
        return False
    return True
