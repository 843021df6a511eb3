"""What goes wrong while backups are made, restored and proven: each is survived without a person. `make soak` only."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest

from demo import bucket
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import Kubectl, wait_for
from localcluster.objectstore import ObjectStore
from tests.e2e import backup, operators, outage, process
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject
from tests.e2e.volume import CAPACITY, MIB, bounded
from tests.e2e.writing import CONNECTIONS, Writer

pytestmark = pytest.mark.skipif("not config.getoption('--soak')", reason="half an hour: make soak")

NAME = "shaken"
FOLDER = bucket.folder("faults")
TYPES = ("Full", "Differential", "Incremental")
ROUNDS = 5
# Some 300 MB that do not compress: a full backup takes long enough to be hit.
BALLAST = """
CREATE TABLE ballast AS SELECT decode(string_agg(md5(random()::text), ''), 'hex') AS noise
  FROM generate_series(1, 20000000) n GROUP BY n / 100
"""


@pytest.fixture(scope="module")
def shaken(kubectl: Kubectl, namespace: str, server: ObjectStore) -> Subject:
    bucket.give(kubectl, namespace, server)
    subject = Subject(kubectl, namespace, NAME)
    postgres = {"instances": 2, "storage": {"size": "2Gi"}}
    subject.apply({"postgres": postgres, "backup": {"objectStore": bucket.object_store(server, FOLDER)}})
    subject.ready()
    subject.said("BackupVerified", "Restored", 180)
    subject.psql(BALLAST)
    return subject


@pytest.fixture(scope="module")
def writer(shaken: Subject, start_agent: Callable[..., Agent], figures: Figures) -> Writer:
    return Writer.start(start_agent, figures, NAME, "faults", environment={"SECONDS": "7200"})


def test_a_backup_whose_pod_is_killed_is_made_all_the_same(shaken: Subject, writer: Writer, figures: Figures) -> None:
    killed = 0
    with writer.through("backups_killed", failed=0):
        for number in range(2 * ROUNDS):
            name = f"killed-{number}"
            backup.ask(shaken, name, "Full")
            uid = backup.working(shaken, "backup")
            time.sleep(random.uniform(0, 6))
            killed += process.kill(uid) > 0
            assert backup.made(shaken, name, 180)["phase"] == "Completed"
    figures.note("backups_killed_while_at_work", killed, f"of {2 * ROUNDS}")
    assert backup.proven(shaken, backup.prove(shaken)) == "Restored"


def test_an_operator_that_is_killed_goes_on_with_backups(
    shaken: Subject, writer: Writer, kubectl: Kubectl, server: ObjectStore, figures: Figures
) -> None:
    def kill() -> None:
        time.sleep(random.uniform(0, 3))
        leader = operators.wait_leader(kubectl)
        operators.kill(leader)
        operators.wait_successor(kubectl, leader)

    for number in range(ROUNDS):
        with writer.through("operator_killed_in_backup", failed=0):
            backup.ask(shaken, f"orphan-{number}", TYPES[number % 3])
            backup.working(shaken, "backup")
            kill()
            backup.made(shaken, f"orphan-{number}", 120)
        asked = backup.prove(shaken)
        backup.working(shaken, "verification")
        kill()
        assert backup.proven(shaken, asked) == "Restored"
        source = {"objectStore": bucket.object_store(server, FOLDER), "store": NAME}
        with figures.timed("operator_killed_in_recovery_to_ready"):
            heir = backup.recover(kubectl, shaken.namespace, f"heir-{number}", source)
            backup.working(heir, "recovery")
            kill()
            heir.ready(240)
        assert heir.psql("SELECT count(*) > 0 FROM numbered_rows") == "t"
        kubectl("delete", "cps", heir.name, "-n", heir.namespace, timeout=150)


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_instances_that_die_during_a_backup(shaken: Subject, writer: Writer, role: str) -> None:
    for number in range(ROUNDS):
        primary = shaken.primary()
        victim = next(pod for name, pod in shaken.pods().items() if (name == primary) == (role == "primary"))
        # From its second death in ten minutes on a primary is put off by the kubelet for longer than Patroni waits.
        with writer.through(f"{role}_killed_during_backup", failed=2 * CONNECTIONS):
            backup.ask(shaken, f"{role}-dies-{number}", "Full")
            backup.working(shaken, "backup")
            time.sleep(random.uniform(0, 3))
            assert process.kill(victim["metadata"]["uid"]) > 0
            backup.made(shaken, f"{role}-dies-{number}", 400)
        # The kubelet puts off the next start of what was killed several times.
        wait_for("both instances", shaken.whole, 300)
        shaken.ready()
        shaken.said("ContinuousArchiving", "Archiving", 90)
    assert backup.proven(shaken, backup.prove(shaken)) == "Restored"


@pytest.mark.parametrize(("how", "seconds"), [("hangs", 120), ("is gone", 600)])
def test_an_object_store_that_does_not_answer(
    shaken: Subject,
    writer: Writer,
    installation: Installation,
    figures: Figures,
    say: Callable[[str], None],
    how: str,
    seconds: int,
) -> None:
    server = outage.object_store()
    away: AbstractContextManager[None] = (
        outage.stopped(server) if how == "hangs" else outage.killed(installation, server)
    )
    what = f"object_store_{how.replace(' ', '_')}"
    name = what.replace("_", "-")
    with writer.through(what, failed=0):
        with away:
            began = time.monotonic()
            backup.ask(shaken, name, "Incremental")
            told = shaken.said("ContinuousArchiving", "ArchivingFails", 90)
            figures.note(f"{what}_told", time.monotonic() - began, "s", "<=60")
            say(f"  a person sees: ContinuousArchiving {told}")
            time.sleep(seconds - (time.monotonic() - began))
            assert shaken.condition("Ready")["status"] == "True"
        back = datetime.now(UTC)
        with figures.timed(f"{what}_mended", "<=60"):
            shaken.said("ContinuousArchiving", "Archiving", 120)
    say(f"  and of the backup that was asked for: {backup.backups(shaken)[name].get('error', 'no error')}")

    def made() -> bool:
        found = [status for status in backup.backups(shaken).values() if status.get("phase") == "Completed"]
        return any(datetime.fromisoformat(status["completedAt"]) > back for status in found)

    wait_for("a backup by itself", made, 900, every=2)
    assert backup.proven(shaken, backup.prove(shaken)) == "Restored"


def test_another_databases_repository_is_not_written_over(
    shaken: Subject, kubectl: Kubectl, server: ObjectStore, say: Callable[[str], None]
) -> None:
    """It lies where the new store's own is to be: its uid is known before it makes anything."""
    other = Subject(kubectl, shaken.namespace, "other")
    other.apply(
        {**backup.SMALL, "backup": {"objectStore": bucket.object_store(server, FOLDER)}}, annotations={"paused": "true"}
    )
    place = backup.repository(other, FOLDER)
    shutil.copytree(backup.repository(shaken, FOLDER), place)
    before = {path: path.stat().st_mtime for path in place.rglob("*") if path.is_file()}
    other.command("paused", None)
    say(f"  a person sees: LastBackupSucceeded {other.said('LastBackupSucceeded', 'ForeignRepository', 180)}")
    told = other.said("ContinuousArchiving", "ArchivingFails", 120)
    say(f"  and: ContinuousArchiving {told}")
    assert "another database's archive is at this place" in told
    assert other.condition("Ready")["status"] == "True"
    assert {path: path.stat().st_mtime for path in place.rglob("*") if path.is_file()} == before
    shutil.rmtree(place)
    assert backup.back_up(other, "mended", "Full")["phase"] == "Completed"
    other.said("ContinuousArchiving", "Archiving", 90)
    kubectl("delete", "cps", "other", "-n", shaken.namespace, timeout=150)


def test_a_flipped_bit_is_found_and_named(
    shaken: Subject, kubectl: Kubectl, server: ObjectStore, figures: Figures, say: Callable[[str], None]
) -> None:
    older = backup.back_up(shaken, "older", "Full")["backupID"]
    newest = backup.back_up(shaken, "newest", "Full")["backupID"]
    source = {"objectStore": bucket.object_store(server, FOLDER), "store": NAME}
    found = {"newest": 0, "elsewhere": 0}
    for number in range(ROUNDS):
        path = backup.stored(shaken, FOLDER, newest)
        back = backup.flip(path)
        heir = backup.recover(kubectl, shaken.namespace, f"flipped-{number}", source)
        told = heir.said("Initialized", "RestoreFailed", 240)
        say(f"  {path.relative_to(backup.repository(shaken, FOLDER))}: Initialized RestoreFailed {told}")
        found["newest"] += newest in told
        back()
        kubectl("delete", "cps", heir.name, "-n", heir.namespace, timeout=150)
        path = backup.stored(shaken, FOLDER, older)
        back = backup.flip(path)
        assert backup.proven(shaken, backup.prove(shaken)) == "RepositoryDamaged"
        told = shaken.condition("BackupVerified")["message"]
        say(f"  {path.relative_to(backup.repository(shaken, FOLDER))}: BackupVerified RepositoryDamaged {told}")
        found["elsewhere"] += older in told
        back()
    for where, times in found.items():
        figures.note(f"flipped_bits_{where}_named", times, f"of {ROUNDS}", f">={ROUNDS}")
    assert set(found.values()) == {ROUNDS}
    assert backup.proven(shaken, backup.prove(shaken)) == "Restored"


@pytest.fixture
def refused(shaken: Subject, kubectl: Kubectl, server: ObjectStore) -> Iterator[Subject]:
    """With credentials that are wrong, and right again for whoever comes after."""
    bucket.give(kubectl, shaken.namespace, server, key="not the key")
    yield shaken
    bucket.give(kubectl, shaken.namespace, server)


def test_of_failures_the_newest_three_stay(
    refused: Subject, writer: Writer, kubectl: Kubectl, server: ObjectStore
) -> None:
    """The writer writes all the time: where nobody does, only the next backup shows that archiving works again."""
    refused.psql(f"{backup.WAL}; SELECT pg_switch_wal()")
    refused.said("ContinuousArchiving", "ArchivingFails", 150)
    names = [f"refused-{number}" for number in range(5)]
    for name in names:
        backup.ask(refused, name, "Incremental")
        where = [f"cpb/{name}", "-n", refused.namespace]
        kubectl("wait", *where, "--for=jsonpath={.status.phase}=Failed", "--timeout=240s", timeout=270)

    def left() -> list[str]:
        return sorted(name for name, status in backup.backups(refused).items() if status.get("phase") == "Failed")

    wait_for("all but the newest three to go", lambda: left() == names[-3:], 30, seen=lambda: str(left()))
    bucket.give(kubectl, refused.namespace, server)
    # Where WAL was dropped, on a disk that is nearly full, a full backup follows at once.
    refused.said("ContinuousArchiving", "Archiving", 300)


def test_no_room_for_the_proof_is_told_and_says_nothing_of_backups(
    shaken: Subject, kubectl: Kubectl, say: Callable[[str], None]
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full", "namespace": shaken.namespace}}
    kubectl.apply({**quota, "spec": {"hard": {"pods": "1"}}})
    asked = backup.prove(shaken)
    say(f"  a person sees: BackupVerified NoRoom {shaken.said('BackupVerified', 'NoRoom', 240)}")
    assert shaken.condition("BackupVerified")["status"] == "Unknown"
    assert shaken.condition("Ready")["status"] == "True"
    kubectl("delete", "resourcequota", "full", "-n", shaken.namespace)
    # A Job whose pods were refused tries again after a while that grows.
    assert backup.proven(shaken, asked, 600) == "Restored"


@pytest.fixture
def narrow(installation: Installation, kubectl: Kubectl, namespace: str, server: ObjectStore) -> Iterator[Subject]:
    """A store on a volume of 1 GiB."""
    bucket.give(kubectl, namespace, server)
    with bounded(installation, "narrow", 1024 * MIB) as volume:
        subject = Subject(kubectl, namespace, "narrow")
        storage = {"size": CAPACITY, "storageClassName": volume.name}
        # The throw-away instance's volume is another one.
        elsewhere = {"storageClassName": backup.default_class(kubectl)}
        there = {"objectStore": bucket.object_store(server, FOLDER), "verification": elsewhere}
        subject.apply({"postgres": {"storage": storage}, "pooler": {"instances": 1}, "backup": there})
        subject.ready()
        subject.said("BackupVerified", "Restored", 180)
        yield subject
        kubectl("delete", "cps", "narrow", "-n", namespace)
        wait_for("its pods to go", lambda: not subject.pods(going=True), 90)
        kubectl("delete", "pvc", "-n", namespace, "-l", "checkpointstore.dev/store=narrow")


def test_what_waits_is_dropped_before_the_volume_is_full(
    narrow: Subject,
    start_agent: Callable[..., Agent],
    kubectl: Kubectl,
    server: ObjectStore,
    figures: Figures,
    say: Callable[[str], None],
) -> None:
    writer = Writer.start(start_agent, figures, "narrow", "narrow")
    least, told = 1.0, set[str]()
    volume = "/var/lib/postgresql/data"
    with writer.through("wal_dropped", failed=0):
        with outage.stopped(outage.object_store()):
            end = time.monotonic() + 600
            while narrow.condition("ContinuousArchiving")["reason"] != "WALDropped":
                assert time.monotonic() < end, narrow.condition("ContinuousArchiving")
                narrow.psql(backup.WAL)
                size, free = narrow.inside(["df", "--output=size,avail", volume]).split()[-2:]
                least = min(least, int(free) / int(size))
                if (text := narrow.condition("ContinuousArchiving")["message"]) not in told:
                    told.add(text)
                    say(f"  {int(free) / int(size):.0%} free: {text}")
                time.sleep(1.5)
            dropped = datetime.now(UTC)
            say(f"  a person sees: ContinuousArchiving WALDropped {narrow.condition('ContinuousArchiving')['message']}")
            time.sleep(30)
        with figures.timed("wal_dropped_to_mended", "<=120"):
            narrow.said("ContinuousArchiving", "Archiving", 180)
    figures.note("wal_dropped_least_free", least, "of the volume", ">=0.1")
    (full,) = (
        status
        for status in backup.backups(narrow).values()
        if status.get("type") == "Full" and datetime.fromisoformat(status["startedAt"]) > dropped
    )
    say(f"  a full backup followed: {full['backupID']}")
    source = {"objectStore": bucket.object_store(server, FOLDER), "store": "narrow"}
    heir = backup.recover(kubectl, narrow.namespace, "gap", source, {"targetTime": dropped.isoformat()})
    say(f"  a moment of it: Initialized TargetInGap {heir.said('Initialized', 'TargetInGap', 90)}")
    kubectl("delete", "cps", "gap", "-n", narrow.namespace)
    assert backup.proven(narrow, backup.prove(narrow)) == "Restored"
    writer.stop()
