"""Takes one backup: the marker first, so that the backup can be checked by it, then pgBackRest, then the facts."""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import clock, journal, marker, pgbackrest
from .client import certificate, existing
from .failure import refused, transient
from .info import Backup
from .job import Outcome, Request, run
from .pgbackrest import PROCESSES, Repository

# The first pgBackRest that backs up from the primary when no standby is there.
PREFERS_STANDBY = (2, 54)
PATIENCE_SECONDS = 5


def work(request: Request) -> Outcome:
    kind = request.text("type")
    if kind not in ("full", "diff", "incr"):
        raise refused("InvalidRequest", "type is full, diff or incr")
    reached = answering(request.texts("hosts"), request.number("hostPort"))
    hosts = instances(request, reached)
    repository = Repository()
    # It asks for the lock of archiving, which a server that writes much does not let go of for long.
    if not repository.info().exists:
        journal.write("creating", store=request.text("store"))
        repository.call("stanza-create", *hosts)
    marker.write(certificate(request.text("primary"), request.number("port")), request.text("database"))
    journal.write("backing-up", type=kind)
    repository.call("backup", *options(kind, len(reached), pgbackrest.version()), *hosts)
    return _facts(repository)


def answering(hosts: Sequence[str], port: int) -> list[str]:
    """The hosts that take connections: pgBackRest itself waits minutes for one that is gone."""
    reached = []
    for host in hosts:
        try:
            socket.create_connection((host, port), PATIENCE_SECONDS).close()
        except OSError as error:
            journal.write("no-answer", host=host, message=str(error))
        else:
            reached.append(host)
    if not reached:
        raise transient("InstanceUnreachable", f"none of {', '.join(hosts)} answers on port {port}")
    return reached


def options(kind: str, hosts: int, version: tuple[int, int]) -> list[str]:
    standby = ["--backup-standby=prefer"] if hosts > 1 and version >= PREFERS_STANDBY else []
    return [f"--type={kind}", "--start-fast", "--checksum-page", f"--process-max={PROCESSES}", *standby]


def instances(request: Request, hosts: Sequence[str]) -> list[str]:
    """How to reach each PostgreSQL."""
    folder = Path(os.environ.get("CHECKPOINTSTORE_BACKUP_DIR", "/etc/checkpointstore/backup"))
    each = {
        "host-type": "tls",
        "host-port": str(request.number("hostPort")),
        "host-cert-file": existing(folder / "tls.crt"),
        "host-key-file": existing(folder / "tls.key"),
        "host-ca-file": existing(folder / "ca.crt"),
        "host-config": request.text("hostConfig"),
        "path": request.text("dataDirectory"),
        "socket-path": request.text("socket"),
        "port": str(request.number("port")),
        "user": "postgres",
    }
    return [
        f"--pg{number}-{name}={value}"
        for number, host in enumerate(hosts, 1)
        for name, value in {"host": host, **each}.items()
    ]


def _facts(repository: Repository) -> Outcome:
    backups = repository.info().backups
    if not backups:
        raise transient("PgBackRestFailed", "the backup ended well but is not in the repository")
    if backups[-1].damaged:
        files = ", ".join(repository.damaged_files(backups[-1].label))
        raise refused(
            "ChecksumMismatch",
            f"backup {backups[-1].label} holds pages with wrong checksums in {files}; find out what damaged them, "
            "and recover from an earlier backup or switch over to a standby that is whole",
        )
    oldest = next(backup for backup in backups if backup.archive_id == backups[-1].archive_id)
    return outcome(oldest, backups[-1], repository.everything())


def outcome(oldest: Backup, newest: Backup, listing: Mapping[str, Mapping[str, Any]]) -> Outcome:
    return {
        "backupId": newest.label,
        "type": newest.kind,
        "beginLsn": newest.lsn_start,
        "endLsn": newest.lsn_stop,
        "beginWal": newest.wal_start,
        "endWal": newest.wal_stop,
        "timeline": newest.timeline,
        "startedAt": clock.whole(newest.start),
        "completedAt": clock.whole(newest.stop),
        "databaseSize": newest.size,
        "backupSize": newest.copied,
        "storedSize": newest.stored,
        "repositorySize": sum(entry.get("size", 0) for entry in listing.values()),
        "firstBackup": oldest.label,
        "firstRecoverabilityPoint": clock.whole(oldest.recoverable),
    }


if __name__ == "__main__":
    sys.exit(run(work))
