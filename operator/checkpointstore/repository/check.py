"""Whether the repository and what was restored from it are whole."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from . import client, command, complaint, marker
from .failure import Failure, refused, transient
from .info import Backup
from .instance import Instance
from .pgbackrest import PROCESSES, Repository

_PROBLEM = re.compile(
    r"(file missing|invalid checksum|invalid size|invalid result) (?:'(.+)'$|(\S+): (\[\d+\] .*))", re.MULTILINE
)
_LABEL = re.compile(r"(\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)/")
_WAL = re.compile(r"[^/]+/[0-9A-F]{16}/([0-9A-F]{24})")
_TABLES = r"""
SELECT quote_ident(relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname LIKE 'checkpoint%' ORDER BY 1
"""
NAMED = 10


class Problem(NamedTuple):
    """`said` is the error that kept pgBackRest from reading the file."""

    kind: str
    file: str
    said: str = ""


def repository(repository: Repository) -> None:
    """Read everything that is stored; pgBackRest ends well whatever it finds, and names files at level info."""
    done = repository.call("verify", "--output=text", f"--process-max={PROCESSES}", level="info")
    found = problems(done.err)
    for problem in found:
        failure = complaint.failure(f"ERROR: {problem.said}", complaint.RESTORE_FAILED)
        if failure.reason != complaint.RESTORE_FAILED:
            raise failure
    # What expired while it was read is gone and not damaged.
    kept = remaining(found, repository.info().backups)
    if kept:
        raise damaged(kept)
    if "status: error" in done.out and not found:
        text = " ".join(done.out.split())
        raise refused("RepositoryDamaged", f"pgBackRest's verify says: {text[:600]}; take a full backup")


def problems(log: str) -> list[Problem]:
    return [Problem(kind, quoted or file, said) for kind, quoted, file, said in _PROBLEM.findall(log)]


def remaining(found: Sequence[Problem], backups: Collection[Backup]) -> list[Problem]:
    """Those of files that should be there still."""
    labels = {backup.label for backup in backups}
    begin = min((backup.wal_start[8:] for backup in backups), default="")
    kept = []
    for problem in found:
        label, wal = _LABEL.match(problem.file), _WAL.match(problem.file)
        if (label and label[1] not in labels) or (wal and wal[1][8:] < begin):
            continue
        kept.append(problem)
    return kept


def damaged(found: Sequence[Problem]) -> Failure:
    names = ", ".join(f"{problem.file} ({problem.kind})" for problem in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return refused("RepositoryDamaged", f"{names}{more}; take a full backup, which depends on none of them")


def catalog(instance: Instance, database: str) -> None:
    """Every row of the catalog's largest table and its relations' names can be read."""
    client.ask(instance.way, database, "SELECT count(*), max(length(c::text)) FROM pg_catalog.pg_class c;")


def indexes(instance: Instance, database: str) -> int:
    """The number of tables whose rows and indexes agree."""
    tables = client.ask(instance.way, database, _TABLES).split()
    if not tables:
        return 0
    options = ["--install-missing", "--heapallindexed", "--no-password", f"--database={database}"]
    names = [f"--table=public.{table}" for table in tables]
    done = command.run(["pg_amcheck", *options, *names], instance.way)
    if done.code == 2:
        said = " ".join((done.out or done.err).split())
        raise refused("IndexDamaged", f"{said[:800]}; reindex on the live store if it is damaged there too")
    if done.code:
        raise transient("RestoreFailed", f"pg_amcheck: {done.err.strip()[:400]}")
    return len(tables)


def checksums(instance: Instance) -> None:
    """Of every page, on the stopped directory; a cluster without checksums has nothing to check."""
    done = command.run(["pg_checksums", "--check", "-D", str(instance.directory)], {"LC_ALL": "C"})
    if done.code == 0 or "data checksums are not enabled" in done.err:
        return
    failed = [line for line in done.err.splitlines() if "checksum verification failed" in line]
    if not failed:
        raise transient("RestoreFailed", f"pg_checksums: {done.err.strip()[:400]}")
    raise refused("ChecksumMismatch", "; ".join(failed[:NAMED])[:1000])


def threads(instance: Instance, database: str, live: tuple[str, int]) -> int:
    """The number of threads of the newest marker; each must be there, unless the live store has lost it too."""
    threads = marker.newest(instance.way, database)
    if threads is None:
        raise refused("CheckpointsMissing", f"database {database} holds no marker, though every backup has one")
    wanted = marker.listed(threads)
    lost = wanted - marker.whole(instance.way, database, threads)
    if lost:
        lost &= marker.whole(client.certificate(*live), database, threads)
    if lost:
        names = ", ".join(sorted(repr(thread.thread_id) for thread in lost)[:NAMED])
        raise refused(
            "CheckpointsMissing", f"{len(lost)} of {len(wanted)} threads are not as the live store has them: {names}"
        )
    return len(wanted)
