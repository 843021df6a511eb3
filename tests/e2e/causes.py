"""What alerts are for, made to happen to small stores, and taken away again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from demo import bucket
from demo.agentjob import Agent
from demo.kubectl import Kubectl
from demo.timeline import Place
from localcluster.objectstore import ObjectStore
from tests.e2e import backup, operators, outage
from tests.e2e.alerts import Board
from tests.e2e.subject import Subject
from tests.e2e.volume import MIB, Volume

FOLDER = bucket.folder("alerts")
KEY = "lost-key"
NOWHERE = {"url": "http://nowhere.invalid:9090"}
SMALL: dict[str, Any] = {"postgres": {"storage": {"size": "2Gi"}}, "pooler": {"instances": 1}}
BLIND: dict[str, Any] = {"autoscaling": {"minInstances": 1, "prometheus": NOWHERE}}
# Half of what 40 connections leave: 10, at half a second each, for clients that ask for 50 a second.
NARROW: dict[str, Any] = {
    "postgres": {"parameters": {"max_connections": "40"}},
    "pooler": {"autoscaling": {"minInstances": 1, "maxInstances": 2}},
    "monitoring": {"thresholds": {"writesPerSecond": 1, "sustainedFor": "1m"}},
}
CROWD, SECONDS = "100:1800:0.5", 0.5
# Of 1 GiB less than a tenth, and enough for WAL.
LEFT = 70 * MIB


@contextmanager
def refused(board: Board, subject: Subject, spec: dict[str, Any]) -> Iterator[None]:
    """The operator refuses its spec: it is Stalled, and nothing runs."""
    for alert in ("Stalled", "NotReady"):
        board.caused(alert, subject.name)
    subject.apply({**spec, "postgres": {"parameters": {"FSYNC": "off"}}})
    yield
    subject.patch({"postgres": {"parameters": {"FSYNC": None}}})
    subject.ready()


@contextmanager
def dark(board: Board, subject: Subject) -> Iterator[None]:
    """Its only instance has no node to run on."""
    pod = subject.kubectl.get("pod", f"{subject.name}-0", "-n", subject.namespace)
    with outage.cordoned(subject.kubectl, [pod["spec"]["nodeName"]]):
        board.caused("NotReady", subject.name)
        subject.kubectl("delete", "pod", f"{subject.name}-0", "-n", subject.namespace, "--wait=false")
        yield
    subject.ready()


@contextmanager
def crowded(board: Board, subject: Subject, start_agent: Callable[..., Agent]) -> Iterator[None]:
    """More clients than its server has connections for, and more writes than its threshold allows."""
    Place(subject.kubectl, subject.namespace, subject.name).slow(SECONDS)
    agent = start_agent("crowd.py", subject.name, {"STEPS": CROWD, "RUN": "crowded"})
    for alert in ("PoolerLimited", "ClientsWait"):
        board.caused(alert, subject.name)
    board.caused("ThresholdExceeded", subject.name, told=150)
    yield
    subject.kubectl("delete", "job", agent.name, "-n", subject.namespace, "--cascade=foreground")


@contextmanager
def locked_out(board: Board, subject: Subject, server: ObjectStore) -> Iterator[None]:
    """The object store refuses its credentials, from its first backup on."""
    board.caused("ArchivingStopped", subject.name)
    bucket.give(subject.kubectl, subject.namespace, server, KEY, key="not the key")
    subject.patch({"backup": {"objectStore": bucket.object_store(server, FOLDER, KEY)}})
    subject.said("LastBackupSucceeded", "CredentialsRejected", 180)
    board.caused("BackupTooOld", subject.name)
    yield
    bucket.give(subject.kubectl, subject.namespace, server, KEY)
    backup.back_up(subject, "unlocked", "Full")


@contextmanager
def damaged(board: Board, subject: Subject, server: ObjectStore) -> Iterator[None]:
    """A bit of its newest backup has turned, and that was found."""
    subject.patch({"backup": {"objectStore": bucket.object_store(server, FOLDER)}})
    subject.said("BackupVerified", "Restored", 180)
    made = backup.back_up(subject, "damaged", "Full")
    back = backup.flip(backup.stored(subject, FOLDER, made["backupID"]))
    board.caused("BackupNotVerified", subject.name, told=60)
    assert backup.proven(subject, backup.prove(subject)) in ("RepositoryDamaged", "RestoreFailed")
    yield
    back()
    assert backup.proven(subject, backup.prove(subject)) == "Restored"


@contextmanager
def dropped(board: Board, subject: Subject) -> Iterator[None]:
    """The object store hangs until its WAL has no more room and is given up."""
    with outage.stopped(outage.object_store()):
        end = time.monotonic() + 900
        while subject.condition("ContinuousArchiving")["reason"] != "WALDropped":
            assert time.monotonic() < end, subject.condition("ContinuousArchiving")
            subject.psql(backup.WAL)
            board.look()
            time.sleep(1)
        board.caused("WALDropped", subject.name)
        yield
    subject.said("ContinuousArchiving", "Archiving", 180)


@contextmanager
def barred(board: Board, subject: Subject) -> Iterator[None]:
    """Its application has made a table where retention's own shall be."""
    subject.psql("set role app; create table public.checkpointstore_retention_cursor (thread_id text)")
    subject.patch({"retention": {"history": {"keepLast": 1}, "schedule": "* * * * *"}})
    subject.said("RetentionSucceeded", "InsufficientPrivilege", 150)
    board.caused("RetentionFails", subject.name)
    yield
    subject.psql("drop table public.checkpointstore_retention_cursor")
    subject.said("RetentionSucceeded", "Succeeded", 150)


@contextmanager
def shut_out(board: Board, subject: Subject, server: ObjectStore) -> Iterator[None]:
    """The Secret of its cold tier is not there."""
    place = bucket.object_store(server, FOLDER, "nobodys")
    subject.patch({"tiering": {"objectStore": place, "tiers": [{"name": "cold", "after": "1h"}]}})
    subject.said("TieringSucceeded", "SecretMissing", 60)
    board.caused("TieringFails", subject.name)
    yield
    subject.patch({"tiering": None})
    subject.ready()


@contextmanager
def bereft(board: Board, subject: Subject, server: ObjectStore) -> Iterator[None]:
    """One row refers to a value that nobody has."""
    outside = {"objectStore": bucket.object_store(server, FOLDER), "applicationCredentials": {"name": "s3"}}
    subject.patch({"limits": {"externalize": {**outside, "schedule": "* * * * *"}}})
    key = f"{subject.namespace}/{subject.name}/{subject.seen()['metadata']['uid']}/20260101T000000Z/{'0' * 64}"
    subject.psql(f"insert into checkpoint_blobs values ('lost', '', 'words', '1', 'blob:{key}:msgpack', '')")
    subject.said("BlobCollectionSucceeded", "BlobsMissing", 150)
    board.caused("BlobsMissing", subject.name)
    yield
    subject.psql("delete from checkpoint_blobs where thread_id = 'lost'")
    subject.said("BlobCollectionSucceeded", "Succeeded", 150)
    subject.patch({"limits": None})
    subject.ready()


@contextmanager
def uncollected(board: Board, subject: Subject, server: ObjectStore) -> Iterator[None]:
    """The Secret for the values that its applications keep outside is not there."""
    outside = {"objectStore": bucket.object_store(server, FOLDER), "applicationCredentials": {"name": "nobodys"}}
    subject.patch({"limits": {"externalize": outside}})
    subject.said("BlobCollectionSucceeded", "SecretMissing", 60)
    board.caused("BlobCollectionFails", subject.name)
    yield
    subject.patch({"limits": None})
    subject.ready()


@contextmanager
def filled(board: Board, subject: Subject, volume: Volume) -> Iterator[None]:
    """Its volume has less than a tenth left."""
    subject.psql("checkpoint; checkpoint")
    volume.leave(LEFT)
    board.caused("VolumeFills", subject.name)
    yield
    volume.grow(2 * volume.size)


@contextmanager
def silent(board: Board, kubectl: Kubectl) -> Iterator[None]:
    """No operator runs."""
    board.caused("OperatorDown")
    try:
        operators.scale(kubectl, 0)
        yield
    finally:
        operators.scale(kubectl, 2)
