"""Backups on a real object store: made under load, proven, brought back to the second, and from the bucket alone."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checkpointstore.adapters import certificate
from checkpointstore.features.retention.identifier import lowest
from demo import bucket
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import Kubectl, wait_for
from localcluster.objectstore import LOCAL, ObjectStore
from tests.e2e import backup, process, runbook
from tests.e2e.backup import SMALL, back_up, backups, recover
from tests.e2e.conftest import made
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject
from tests.e2e.writing import Writer

NAME = "kept"
FOLDER, COLD = bucket.folder("e2e"), bucket.folder("cold")
KILL = """
import os, signal
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        if open(f"/proc/{process}/comm").read().strip() == "postgres":
            os.kill(int(process), signal.SIGKILL)
    except OSError:
        continue
"""
PGBACKREST = (
    "pgbackrest",
    "--config=/etc/patroni/pgbackrest.conf",
    "--config-include-path=/etc/pgbackrest",
    "--stanza=main",
)
PASSPHRASE = "the bucket does not know it"
# What OpenSSL's salted encryption begins with.
ENCRYPTED = b"Salted__"
COMMITS = """
SELECT to_char(pg_xact_commit_timestamp(xmin) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM numbered_rows
 WHERE pg_xact_commit_timestamp(xmin) > '{since}' ORDER BY pg_xact_commit_timestamp(xmin)
"""
THREAD = """
INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint, metadata) VALUES ('{thread}', '{id}', '{{}}', '{{}}')
"""
ROWS = """
SELECT count(*), md5(string_agg(client || '.' || number, ' ' ORDER BY client, number)) FROM numbered_rows WHERE {which}
"""


@pytest.fixture(scope="module")
def kept(kubectl: Kubectl, namespace: str, server: ObjectStore) -> Subject:
    """A store of two instances that is backed up and encrypted, with commit times to compare with."""
    bucket.give(kubectl, namespace, server)
    bucket.give_passphrase(kubectl, namespace, PASSPHRASE)
    subject = Subject(kubectl, namespace, NAME)
    postgres = {"instances": 2, "storage": {"size": "2Gi"}, "parameters": {"track_commit_timestamp": "on"}}
    subject.apply({"postgres": postgres, "backup": place(server)})
    subject.ready()
    return subject


def place(server: ObjectStore) -> dict[str, Any]:
    """Where the store's backups are, and how they are encrypted: a part of spec.backup and of a recovery's source."""
    return {"objectStore": bucket.object_store(server, FOLDER), "encryption": bucket.encryption()}


@pytest.fixture(scope="module")
def writer(kept: Subject, start_agent: Callable[..., Agent], figures: Figures) -> Writer:
    return Writer.start(start_agent, figures, NAME, "backup")


def test_the_first_backup_is_made_at_once_and_proven(
    kept: Subject, installation: Installation, server: ObjectStore, figures: Figures, say: Callable[[str], None]
) -> None:
    with figures.timed("first_backup_verified"):
        kept.said("LastBackupSucceeded", "Completed", 180)
        told = kept.said("BackupVerified", "Restored", 240)
    say(f"  a person sees: BackupVerified {told}")
    say(kept.kubectl("get", "cps,cpb", "-n", kept.namespace))
    # There may be others: the schedule has a backup each night, and each failover is followed by one.
    known = kept.seen()["status"]["backup"]["firstBackup"]
    (first,) = (status for status in backups(kept).values() if status.get("backupID") == known)
    assert first["type"] == "Full"
    assert known in told
    wait_for("the throw-away instance to go", lambda: not kept.pods("verification"), 60)
    wait_for("the throw-away volume to go", lambda: _volumes(kept) == {"data-kept-0", "data-kept-1"}, 60)
    assert kept.said("ContinuousArchiving", "Archiving", 60)
    if installation.cluster.name == "local":
        files = LOCAL.data.joinpath(server.bucket, FOLDER).rglob("*.info")
        assert {path.read_bytes()[: len(ENCRYPTED)] for path in files} == {ENCRYPTED}


def _volumes(subject: Subject) -> set[str]:
    found = subject.kubectl.items("persistentvolumeclaims", "-n", subject.namespace)
    return {item["metadata"]["name"] for item in found}


def test_backups_cost_writers_nothing_and_survive_their_pods(kept: Subject, writer: Writer, figures: Figures) -> None:
    oldest = kept.seen()["status"]["backup"]["firstBackup"]
    with writer.through("backup_full", failed=0):
        full = back_up(kept, "by-hand-full", "Full")
    # As when its window has passed; each backup looks at what is there still.
    kept.inside([*PGBACKREST, "expire", f"--set={oldest}"])
    with writer.through("backup_incremental", failed=0):
        incremental = back_up(kept, "by-hand-incremental", "Incremental")
    with writer.through("backup_whose_pod_is_killed", failed=0):
        assert any(_killed(kept, f"killed-{number}", "Differential") for number in range(3)), "each had ended already"
    assert [status["type"] for status in (full, incremental)] == ["Full", "Incremental"]
    figures.note("backup_incremental_to_full_stored", incremental["storedBytes"] / full["storedBytes"], "")
    assert "Reconciling" not in {kind for kind, found in _on(kept).items() if found}
    wait_for("the oldest backup's object to go with it", lambda: oldest not in _backup_ids(kept), 60)
    assert min(_backup_ids(kept)) == full["backupID"]
    assert kept.seen()["status"]["backup"]["firstBackup"] == min(_backup_ids(kept))


def _backup_ids(subject: Subject) -> set[str]:
    """Of those that are made: one that the schedule has begun meanwhile has none."""
    return {status["backupID"] for status in backups(subject).values() if "backupID" in status}


def _killed(subject: Subject, name: str, type_: str) -> bool:
    """Kill the pod of a backup, which is made all the same; whether the pod was at work still."""
    backup.ask(subject, name, type_)
    hit = process.kill(backup.working(subject, "backup")) > 0
    status = backup.made(subject, name)
    assert (status["phase"], status["type"]) == ("Completed", type_)
    return hit


def _on(subject: Subject) -> dict[str, bool]:
    return {item["type"]: item["status"] == "True" for item in subject.seen()["status"]["conditions"]}


@pytest.mark.skipif("not config.getoption('--soak')", reason="two instants are in the runbook's test")
def test_any_second_can_be_brought_back(kept: Subject, writer: Writer, server: ObjectStore, figures: Figures) -> None:
    """Exactly the rows whose commit is not after the target, at ten instants between two commits, two at once."""
    instants = [_between(kept) for _ in range(10)]
    kept.psql("SELECT pg_switch_wal()")
    source = {**place(server), "store": NAME}
    for begin in range(0, len(instants), 2):
        began = time.monotonic()
        pair = {f"at-{begin + i}": instant for i, instant in enumerate(instants[begin : begin + 2])}
        stores = {
            name: recover(kept.kubectl, kept.namespace, name, source, {"targetTime": instant})
            for name, instant in pair.items()
        }
        for name, subject in stores.items():
            subject.ready(150)
            figures.note("recovered_to_ready", time.monotonic() - began, "s")
            _is_at(subject, pair[name], kept)
            subject.kubectl("delete", "cps", name, "-n", kept.namespace, "--wait=false")
    writer.next_second()


def test_the_runbook_brings_two_moments_back(
    kept: Subject, writer: Writer, figures: Figures, say: Callable[[str], None], tmp_path: Path
) -> None:
    """docs/runbooks/restore.md, each block as it stands there, and with a moment of ours where a person puts one."""
    instants = [_between(kept) for _ in range(2)]
    shell = runbook.Shell(kept.kubectl, tmp_path, {"NAMESPACE": kept.namespace, "STORE": NAME})
    parts = runbook.sections((runbook.FOLDER / "restore.md").read_text())
    (alone,), (rest,) = parts.pop("The bucket alone"), parts.pop("9. The old store")
    blocks = [block for title in parts for block in parts[title]]
    making = next(number for number, block in enumerate(blocks) if "MOMENT=" in block)
    for block in blocks[:making]:
        say(shell.run(block))
    with figures.timed("runbook_to_two_stores"), shell.beside(alone, instants[1]):
        say(shell.run(blocks[making], instants[0]))
        for block in blocks[making + 1 :]:
            say(shell.run(block))
    for name, instant in zip((f"{NAME}-restored", f"{NAME}-from-bucket"), instants, strict=True):
        _is_at(Subject(kept.kubectl, kept.namespace, name), instant, kept)
    # The living store is still needed: another one is switched off as the old one would be.
    other = Subject(kept.kubectl, kept.namespace, f"{NAME}-restored")
    other.said("LastBackupSucceeded", "Completed", 180)
    runbook.Shell(kept.kubectl, tmp_path, {"NAMESPACE": kept.namespace, "STORE": other.name}).run(rest)
    other.said("PostgresAvailable", "Hibernated", 60)
    kept.kubectl("delete", "cps", f"{NAME}-from-bucket", "-n", kept.namespace, "--wait=false")
    writer.next_second()


def test_backups_that_shall_go_with_their_store_do(
    kept: Subject, server: ObjectStore, figures: Figures, say: Callable[[str], None]
) -> None:
    """Those of the store that the runbook has made, which is switched off; those beside them stay."""
    kubectl, namespace, name = kept.kubectl, kept.namespace, f"{NAME}-restored"
    subject = Subject(kubectl, namespace, name)
    uid = subject.seen()["metadata"]["uid"]
    others = {at for at, of in _stores(kept).items() if of != name}
    assert _stores(kept).keys() - others, "it has made none"
    there = [name, "-n", namespace]
    kubectl("patch", "cps", *there, "--type=merge", "-p", '{"spec": {"reclaimPolicy": {"backups": "Delete"}}}')
    wait_for("the operator to know", lambda: bool(subject.seen()["metadata"].get("finalizers")), 60)
    with figures.timed("store_and_backups_gone"):
        kubectl("delete", "cps", *there, timeout=330)
    left = _stores(kept)
    assert name not in left.values()
    assert others <= left.keys()
    heir = recover(kubectl, namespace, "heir", {**place(server), "store": name, "uid": uid})
    told = heir.said("Initialized", "NoRepository", 150)
    say(f"  a person sees: Initialized NoRepository {told}")
    assert "data-heir-0" not in _volumes(heir), "nothing is made for a recovery that cannot be"
    assert {f"data-{name}-0", f"data-{name}-1"} <= _volumes(heir), "its volumes were to be kept"
    kubectl("delete", "cps", "heir", "-n", namespace, "--wait=false")


def _stores(subject: Subject) -> dict[str, str]:
    """Of which store each CheckpointBackup of the namespace is."""
    found = subject.kubectl.items("checkpointbackups", "-n", subject.namespace)
    return {item["metadata"]["name"]: item["spec"]["store"]["name"] for item in found}


def _is_at(subject: Subject, instant: str, origin: Subject) -> None:
    """A recovered store holds what the living one had at the instant, and nothing else, behind another password."""
    wanted = origin.psql(ROWS.format(which=f"pg_xact_commit_timestamp(xmin) <= '{instant}'"))
    recovery = subject.seen()["status"]["recovery"]
    assert subject.psql(ROWS.format(which="true")) == wanted, (instant, recovery)
    assert recovery["phase"] == "Completed"
    assert recovery["clamped"] is False
    assert subject.secret(f"{subject.name}-app")["password"] != origin.secret(f"{origin.name}-app")["password"]


def _between(subject: Subject) -> str:
    """A moment between two commits that are a millisecond apart: closer ones may be logged the other way round."""
    since = subject.seen()["status"]["backup"]["firstRecoverabilityPoint"]
    commits = subject.psql(COMMITS.format(since=since)).splitlines()
    while True:
        index = random.randrange(len(commits) - 1)
        question = f"SELECT extract(epoch FROM timestamptz '{commits[index + 1]}' - timestamptz '{commits[index]}')"
        gap = float(subject.psql(question))
        if gap > 0.001:
            middle = f"timestamptz '{commits[index]}' + interval '{gap / 2:.6f} s'"
            shape = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            return subject.psql(f"SELECT to_char(({middle}) AT TIME ZONE 'UTC', '{shape}')")


@pytest.fixture(scope="module")
def astray(kept: Subject, server: ObjectStore) -> dict[str, tuple[Subject, Subject]]:
    """By what is wrong with its object store: a store to back up, and one to recover."""
    pem, _ = certificate.authority("another's")
    bucket.give(kept.kubectl, kept.namespace, replace(server, ca=pem.decode()), name="other")
    places = {
        "bucket": {**bucket.object_store(server, FOLDER), "url": "s3://no-such-bucket"},
        "authority": bucket.object_store(server, FOLDER, name="other"),
    }
    found = {}
    for what, place in places.items():
        saved = Subject(kept.kubectl, kept.namespace, f"{what}-saved")
        saved.apply({**SMALL, "backup": {"objectStore": place}})
        source = {"objectStore": place, "namespace": kept.namespace, "store": NAME}
        found[what] = saved, recover(kept.kubectl, kept.namespace, f"{what}-back", source)
    return found


@pytest.mark.usefixtures("astray")
def test_wrong_credentials_are_told_and_mended_by_the_right_ones(
    kept: Subject, writer: Writer, server: ObjectStore, figures: Figures, say: Callable[[str], None]
) -> None:
    with writer.through("credentials_wrong", failed=0):
        bucket.give(kept.kubectl, kept.namespace, server, key="not the key")
        began = time.monotonic()
        told = kept.said("ContinuousArchiving", "ArchivingFails", 150)
        figures.note("credentials_wrong_to_told", time.monotonic() - began, "s")
        say(f"  a person sees: ContinuousArchiving {told}")
        # The first failure may have been another one: a busy server may not have answered in time.
        says(kept, "ContinuousArchiving", "refuses the credentials", 60)
        assert kept.condition("Ready")["status"] == "True"
    with writer.through("credentials_right", failed=0), figures.timed("credentials_right_to_archiving"):
        bucket.give(kept.kubectl, kept.namespace, server)
        kept.said("ContinuousArchiving", "Archiving", 150)


def says(subject: Subject, kind: str, words: str, timeout: float) -> str:
    """Wait until a condition's message has these words; all of it."""

    def message() -> str:
        return str(subject.condition(kind).get("message"))

    wait_for(f"{words} in {kind}", lambda: words in message(), timeout, seen=message)
    return message()


def test_threads_that_were_deleted_since_are_deleted_again(
    kept: Subject, writer: Writer, server: ObjectStore, figures: Figures, say: Callable[[str], None]
) -> None:
    """Before the recovered store lets anybody in; one that is made anew after its deletion is another thread."""
    tiers = [{"name": "cold", "after": "1h"}]
    cold = {"objectStore": bucket.object_store(server, COLD), "tiers": tiers}
    kept.patch({"tiering": cold})
    kept.run("tiering")
    yesterday = lowest(datetime.now(UTC) - timedelta(days=1))
    for thread in ("stays", "forgotten"):
        kept.psql(THREAD.format(thread=thread, id=yesterday))
    instant = kept.psql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    writer.next_second(2)
    kept.psql("SET ROLE app; SELECT checkpointstore.delete_thread('forgotten')")
    # Or what was inserted just before might not be archived yet when it is recovered.
    kept.psql("SELECT pg_switch_wal()")
    kept.run("tiering")
    assert kept.psql("SELECT count(*) FROM checkpointstore.deletions WHERE told") == "1"
    kept.patch({"tiering": None})
    source = {**place(server), "store": NAME}
    again = recover(kept.kubectl, kept.namespace, "again", source, {"targetTime": instant}, tiering=cold)
    again.ready(300)
    assert again.psql("SELECT string_agg(DISTINCT thread_id, ' ') FROM checkpoints") == "stays"
    assert again.seen()["status"]["tiering"]["deletedAgain"] == 1
    say(again.kubectl("get", "events", "-n", kept.namespace, "--field-selector=reason=DeletionsRepeated"))
    kept.kubectl("delete", "cps", "again", "-n", kept.namespace, "--wait=false")


def test_a_bucket_that_is_not_there_and_an_authority_that_does_not_match_are_told(
    astray: dict[str, tuple[Subject, Subject]], kept: Subject, say: Callable[[str], None]
) -> None:
    """What would be backed up serves all the same; what would be recovered makes no volume."""
    for what, words in {"bucket": ("create the bucket",) * 2, "authority": ("not signed by the", "give the")}.items():
        for subject, kind, expected in zip(astray[what], ("ContinuousArchiving", "Initialized"), words, strict=True):
            say(f"  {subject.name}: {kind} {says(subject, kind, expected, 150)}")
            assert subject.condition(kind)["status"] == "False"
        astray[what][0].ready()
    claims = kept.kubectl.items("persistentvolumeclaims", "-n", kept.namespace)
    assert not [name for claim in claims if "-back-" in (name := claim["metadata"]["name"])]
    for subject in (*astray["bucket"], *astray["authority"]):
        kept.kubectl("delete", "cps", subject.name, "-n", kept.namespace, "--wait=false")


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
        bucket.give_passphrase(kubectl, namespace, PASSPHRASE)
        source = {**place(server), "namespace": origin, "store": NAME}
        subject = recover(kubectl, namespace, NAME, source)
        subject.ready(300)
        figures.note("lost_store_serving_again", time.monotonic() - began, "s", "<=120")
        recovered = subject.seen()["status"]["recovery"]["recoveredTo"]
        question = f"SELECT extract(epoch FROM timestamptz '{acknowledged}' - timestamptz '{recovered}')"
        gone = float(subject.psql(question))
        figures.note("lost_store_recovery_point", gone, "s", "<=60")
        assert gone <= 60, (acknowledged, recovered)
