"""Each alert fires in a real Prometheus because of what it is for, names the store, and ends with its cause."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from demo import bucket, prometheus
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import Kubectl, wait_for
from localcluster.objectstore import ObjectStore
from tests.e2e import alerts, backup, causes
from tests.e2e.alerts import Board
from tests.e2e.causes import BLIND, FOLDER, NARROW, SMALL
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject
from tests.e2e.volume import CAPACITY, MIB, Volume, bounded

SHIPPED = prometheus.RULES.read_text()
HURRY = dict.fromkeys(alerts.rules(SHIPPED), "5s")
# Shipped with an hour each, for which nobody waits here.
SHORTENED = dict.fromkeys(
    ("BackupTooOld", "BackupNotVerified", "RetentionFails", "TieringFails", "BlobCollectionFails"), "10m"
)
PATIENCE = 120


@pytest.fixture(scope="module")
def start(installation: Installation, namespace: str, figures: Figures) -> Iterator[Callable[..., Board]]:
    """Brings up a Prometheus with rules that wait otherwise than the shipped ones."""

    def started(kind: str, waits: Mapping[str, str], interval: str) -> Board:
        text = alerts.hurried(SHIPPED, waits)
        prometheus.install(installation.kubectl, installation.prometheus_image, interval, rules=text)
        return Board(installation.kubectl, namespace, figures, text, kind)

    yield started
    prometheus.uninstall(installation.kubectl)


@pytest.fixture(scope="module")
def hurried(start: Callable[..., Board]) -> Board:
    """Five seconds in the place of minutes and an hour: all else is as shipped."""
    return start("hurried", HURRY, "2s")


def test_a_store_that_needs_somebody(hurried: Board, kubectl: Kubectl, namespace: str) -> None:
    """Its spec is refused, so nothing runs; then all runs, but its Prometheus is not there."""
    subject = Subject(kubectl, namespace, "watched")
    with causes.refused(hurried, subject, {"pooler": BLIND}):
        hurried.fired(PATIENCE)
        hurried.caused("AutoscalingBlind", subject.name)
    subject.said("AutoscalingLimited", "PrometheusUnreachable", PATIENCE)
    hurried.fired(PATIENCE)
    hurried.ended(PATIENCE, but=["AutoscalingBlind"])
    subject.patch({"pooler": {"autoscaling": {"prometheus": None}}})
    hurried.ended(PATIENCE)


def test_nobody_tells(hurried: Board, kubectl: Kubectl) -> None:
    with causes.silent(hurried, kubectl):
        hurried.fired(PATIENCE)
    hurried.ended(PATIENCE)


@pytest.fixture
def volume(installation: Installation) -> Iterator[Volume]:
    """1 GiB, which WAL fills within minutes."""
    with bounded(installation, "alerts", 1024 * MIB) as made:
        yield made


@pytest.fixture
def gap(volume: Volume, kubectl: Kubectl, namespace: str, server: ObjectStore) -> Iterator[Subject]:
    """A store on that volume."""
    bucket.give(kubectl, namespace, server)
    subject = Subject(kubectl, namespace, "gap")
    storage = {"size": CAPACITY, "storageClassName": volume.name}
    # The throw-away instance's volume is another one.
    elsewhere = {"storageClassName": backup.default_class(kubectl)}
    there = {"objectStore": bucket.object_store(server, FOLDER), "verification": elsewhere}
    subject.apply({**SMALL, "postgres": {"storage": storage}, "backup": there})
    yield subject
    kubectl("delete", "cps", subject.name, "-n", namespace)
    wait_for("its pods to go", lambda: not subject.pods(going=True), 90)
    kubectl("delete", "pvc", "-n", namespace, "-l", f"checkpointstore.dev/store={subject.name}")


@pytest.fixture
def stores(kubectl: Kubectl, namespace: str, gap: Subject) -> dict[str, Subject]:
    """Small ones, at rest."""
    specs = {"dark": SMALL, "locked": SMALL, "barred": SMALL, "damaged": {**SMALL, "pooler": BLIND}, "crowded": NARROW}
    found = {name: Subject(kubectl, namespace, name) for name in specs}
    for name, subject in found.items():
        subject.apply(specs[name])
    for subject in (*found.values(), gap):
        subject.ready(300)
    gap.said("BackupVerified", "Restored", 300)
    return found


@pytest.mark.skipif("not config.getoption('--soak')", reason="half an hour: run by `make soak`")
def test_every_alert_as_it_is_shipped(
    start: Callable[..., Board],
    stores: dict[str, Subject],
    gap: Subject,
    volume: Volume,
    server: ObjectStore,
    start_agent: Callable[..., Agent],
) -> None:
    """All at once, and each waits as it is shipped, but those of an hour: ten minutes.

    The two about backups fire for a failure, not for days that have gone by: these no cluster shows in half an hour.
    """
    board = start("shipped", SHORTENED, "5s")
    with ExitStack() as around:
        board.caused("AutoscalingBlind", "damaged")
        around.enter_context(causes.refused(board, Subject(gap.kubectl, gap.namespace, "refused"), SMALL))
        around.enter_context(causes.dark(board, stores["dark"]))
        around.enter_context(causes.crowded(board, stores["crowded"], start_agent))
        around.enter_context(causes.locked_out(board, stores["locked"], server))
        around.enter_context(causes.barred(board, stores["barred"]))
        around.enter_context(causes.shut_out(board, stores["barred"], server))
        around.enter_context(causes.bereft(board, stores["locked"], server))
        around.enter_context(causes.uncollected(board, stores["barred"], server))
        around.enter_context(causes.damaged(board, stores["damaged"], server))
        with causes.dropped(board, gap):
            board.fired(PATIENCE, "WALDropped")
        around.enter_context(causes.filled(board, gap, volume))
        board.fired(1200)
        stores["damaged"].patch({"pooler": {"autoscaling": {"prometheus": None}}})
    # These two speak of minutes that have passed.
    board.ended(300, but=["ClientsWait", "ThresholdExceeded"])
    with causes.silent(board, gap.kubectl):
        board.fired(600)
    stores["crowded"].said("ThresholdsExceeded", "WithinThresholds", 600)
    board.ended(300)
    assert board.known == set(alerts.rules(SHIPPED))
