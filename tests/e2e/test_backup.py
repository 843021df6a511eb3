"""Backups on a real object store: made under load, proven, brought back to the second, and from the bucket alone."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from demo import bucket
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import Kubectl, wait_for
from localcluster.objectstore import ObjectStore
from tests.e2e.conftest import made
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject
from tests.e2e.writing import Writer

NAME = "kept"
FOLDER = bucket.folder("e2e")
KILL = """
import os, signal
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        name = open(f"/proc/{process}/comm").read().strip()
    except OSError:
        continue
    if name == "postgres":
        os.kill(int(process), signal.SIGKILL)
"""
SMALL: dict[str, Any] = {"postgres": {"storage": {"size": "2Gi"}}, "pooler": {"instances": 1}}
COMMITS = """
SELECT to_char(pg_xact_commit_timestamp(xmin) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM numbered_rows
 WHERE pg_xact_commit_timestamp(xmin) > '{since}' ORDER BY pg_xact_commit_timestamp(xmin)
"""
ROWS = """
SELECT count(*), md5(string_agg(client || '.' || number, ' ' ORDER BY client, number)) FROM numbered_rows WHERE {which}
"""


@pytest.fixture(scope="module")
def server(installation: Installation) -> ObjectStore:
    return installation.cluster.object_store()


@pytest.fixture(scope="module")
def kept(kubectl: Kubectl, namespace: str, server: ObjectStore) -> Subject:
    """A store of two instances that is backed up, with commit times to compare with."""
    bucket.give(kubectl, namespace, server)
    subject = Subject(kubectl, namespace, NAME)
    postgres = {"instances": 2, "storage": {"size": "2Gi"}, "parameters": {"track_commit_timestamp": "on"}}
    subject.apply({"postgres": postgres, "backup": {"objectStore": bucket.object_store(server, FOLDER)}})
    subject.ready()
    return subject


@pytest.fixture(scope="module")
def writer(kept: Subject, start_agent: Callable[..., Agent], figures: Figures) -> Writer:
    return Writer.start(start_agent, figures, NAME, "backup")


def backups(subject: Subject) -> dict[str, dict[str, Any]]:
    """The status of each CheckpointBackup of the namespace, by its name."""
    found = subject.kubectl.items("checkpointbackups", "-n", subject.namespace)
    return {item["metadata"]["name"]: item.get("status", {}) for item in found}


def back_up(subject: Subject, name: str, type_: str) -> dict[str, Any]:
    """Ask for a backup and wait for its end; its status."""
    meta = {"name": name, "namespace": subject.namespace}
    what = {"apiVersion": "checkpointstore.dev/v1alpha1", "kind": "CheckpointBackup", "metadata": meta}
    subject.kubectl.apply({**what, "spec": {"store": {"name": subject.name}, "type": type_}})
    subject.kubectl("wait", f"cpb/{name}", "-n", subject.namespace, "--for=condition=Succeeded", "--timeout=90s")
    return backups(subject)[name]


def recover(
    kubectl: Kubectl, namespace: str, name: str, source: dict[str, Any], target: dict[str, Any] | None = None
) -> Subject:
    """Apply a new store that begins with a backup's data."""
    subject = Subject(kubectl, namespace, name)
    subject.apply({**SMALL, "bootstrap": {"recovery": {"source": source, "recoveryTarget": target or {}}}})
    return subject


def test_the_first_backup_is_made_at_once_and_proven(
    kept: Subject, figures: Figures, say: Callable[[str], None]
) -> None:
    with figures.timed("first_backup_verified"):
        kept.said("LastBackupSucceeded", "Completed", 90)
        told = kept.said("BackupVerified", "Restored", 120)
    say(f"  a person sees: BackupVerified {told}")
    say(kept.kubectl("get", "cps,cpb", "-n", kept.namespace))
    (backup,) = backups(kept).values()
    assert (backup["type"], backup["backupID"]) == ("Full", kept.seen()["status"]["backup"]["firstBackup"])
    assert backup["backupID"] in told
    assert not kept.pods("verification")
    wait_for("the throw-away volume to go", lambda: _volumes(kept) == {"data-kept-0", "data-kept-1"}, 60)
    assert kept.said("ContinuousArchiving", "Archiving", 60)


def _volumes(subject: Subject) -> set[str]:
    found = subject.kubectl.items("persistentvolumeclaims", "-n", subject.namespace)
    return {item["metadata"]["name"] for item in found}


def test_backups_cost_writers_nothing(kept: Subject, writer: Writer, figures: Figures) -> None:
    made_so_far = {}
    for type_ in ("Full", "Differential", "Incremental"):
        with writer.through(f"backup_{type_.lower()}", failed=0):
            made_so_far[type_] = back_up(kept, f"by-hand-{type_.lower()}", type_)
    assert [status["type"] for status in made_so_far.values()] == ["Full", "Differential", "Incremental"]
    stored = {type_: status["storedBytes"] for type_, status in made_so_far.items()}
    figures.note("backup_incremental_to_full_stored", stored["Incremental"] / stored["Full"], "")
    assert "Reconciling" not in {kind for kind, found in _on(kept).items() if found}


def _on(subject: Subject) -> dict[str, bool]:
    return {item["type"]: item["status"] == "True" for item in subject.seen()["status"]["conditions"]}


def test_any_second_can_be_brought_back(
    kept: Subject, writer: Writer, server: ObjectStore, figures: Figures, request: pytest.FixtureRequest
) -> None:
    """Exactly the rows whose commit is not after the target, at instants between two commits."""
    since = kept.seen()["status"]["backup"]["firstRecoverabilityPoint"]
    commits = kept.psql(COMMITS.format(since=since)).splitlines()
    soak = request.config.getoption("--soak")
    instants = [_between(commits, kept) for _ in range(10 if soak else 2)]
    kept.psql("SELECT pg_switch_wal()")
    source = {"objectStore": bucket.object_store(server, FOLDER), "store": NAME}
    for begin in range(0, len(instants), 2):
        began = time.monotonic()
        pair = {f"at-{begin + i}": instant for i, instant in enumerate(instants[begin : begin + 2])}
        stores = {
            name: recover(kept.kubectl, kept.namespace, name, source, {"targetTime": instant})
            for name, instant in pair.items()
        }
        for name, subject in stores.items():
            status = subject.ready(150)["status"]
            figures.note("recovered_to_ready", time.monotonic() - began, "s")
            wanted = kept.psql(ROWS.format(which=f"pg_xact_commit_timestamp(xmin) <= '{pair[name]}'"))
            assert subject.psql(ROWS.format(which="true")) == wanted, (pair[name], status["recovery"])
            assert status["recovery"]["phase"] == "Completed"
            assert status["recovery"]["clamped"] is False
            assert subject.secret(f"{name}-app")["password"] != kept.secret(f"{NAME}-app")["password"]
            subject.kubectl("delete", "cps", name, "-n", kept.namespace, "--wait=false")
    writer.next_second()


def _between(commits: list[str], subject: Subject) -> str:
    """A moment between two commits that are a millisecond apart: closer ones may be logged the other way round."""
    while True:
        index = random.randrange(len(commits) - 1)
        question = f"SELECT extract(epoch FROM timestamptz '{commits[index + 1]}' - timestamptz '{commits[index]}')"
        gap = float(subject.psql(question))
        if gap > 0.001:
            middle = f"timestamptz '{commits[index]}' + interval '{gap / 2:.6f} s'"
            shape = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            return subject.psql(f"SELECT to_char(({middle}) AT TIME ZONE 'UTC', '{shape}')")


def test_wrong_credentials_are_told_and_mended_by_the_right_ones(
    kept: Subject, writer: Writer, server: ObjectStore, figures: Figures, say: Callable[[str], None]
) -> None:
    with writer.through("credentials_wrong", failed=0):
        bucket.give(kept.kubectl, kept.namespace, server, key="not the key")
        began = time.monotonic()
        told = kept.said("ContinuousArchiving", "ArchivingFails", 150)
        figures.note("credentials_wrong_to_told", time.monotonic() - began, "s")
        say(f"  a person sees: ContinuousArchiving {told}")
        assert "refuses the credentials" in told
        assert kept.condition("Ready")["status"] == "True"
    with writer.through("credentials_right", failed=0), figures.timed("credentials_right_to_archiving"):
        bucket.give(kept.kubectl, kept.namespace, server)
        kept.said("ContinuousArchiving", "Archiving", 150)


def test_a_lost_store_comes_back_from_the_bucket_alone(
    kept: Subject, writer: Writer, server: ObjectStore, figures: Figures
) -> None:
    """Servers killed, namespace and volumes gone; what is left is the bucket."""
    kubectl = kept.kubectl
    writer.next_second(5)
    acknowledged = kept.psql("SELECT max(pg_xact_commit_timestamp(xmin)) FROM numbered_rows")
    origin = kept.namespace
    for pod in kept.pods():
        # A server that ends in order archives its last WAL: this one must not.
        kept.inside(["python3", "-c", KILL], pod=pod)
    kubectl("delete", "namespace", origin, "--wait=false")
    kubectl("delete", "pods", "-n", origin, "--all", "--grace-period=0", "--force")
    began = time.monotonic()
    with made(kubectl, "lost") as namespace:
        bucket.give(kubectl, namespace, server)
        source = {"objectStore": bucket.object_store(server, FOLDER), "namespace": origin, "store": NAME}
        subject = recover(kubectl, namespace, NAME, source)
        subject.ready(180)
        figures.note("lost_store_serving_again", time.monotonic() - began, "s", "<=120")
        recovered = subject.seen()["status"]["recovery"]["recoveredTo"]
        question = f"SELECT extract(epoch FROM timestamptz '{acknowledged}' - timestamptz '{recovered}')"
        gone = float(subject.psql(question))
        figures.note("lost_store_recovery_point", gone, "s", "<=60")
        assert gone <= 60, (acknowledged, recovered)


def test_backups_that_shall_go_with_their_store_do(
    kubectl: Kubectl, server: ObjectStore, figures: Figures, say: Callable[[str], None]
) -> None:
    with made(kubectl, "erased") as namespace:
        bucket.give(kubectl, namespace, server)
        subject = Subject(kubectl, namespace, "erased")
        place = bucket.object_store(server, FOLDER)
        subject.apply({**SMALL, "backup": {"objectStore": place}, "reclaimPolicy": {"backups": "Delete"}})
        subject.said("LastBackupSucceeded", "Completed", 120)
        uid = subject.seen()["metadata"]["uid"]
        with figures.timed("store_and_backups_gone"):
            kubectl("delete", "cps", "erased", "-n", namespace, "--timeout=120s", timeout=150)
        assert not backups(subject)
        heir = recover(kubectl, namespace, "heir", {"objectStore": place, "store": "erased", "uid": uid})
        told = heir.said("Initialized", "NoRepository", 90)
        say(f"  a person sees: Initialized NoRepository {told}")
        assert _volumes(heir) == {"data-erased-0"}, "nothing is made for a recovery that cannot be"
