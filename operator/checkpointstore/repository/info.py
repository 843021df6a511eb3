"""What `pgbackrest info` says about the stanza."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import archive, complaint

MISSING = {1, 3}


@dataclass(frozen=True, slots=True)
class Backup:
    """Times in seconds since 1970; `stored` is what it added to the repository."""

    label: str
    kind: str
    archive_id: str
    start: int
    stop: int
    lsn_start: str
    lsn_stop: str
    wal_start: str
    wal_stop: str
    size: int
    copied: int
    stored: int
    damaged: bool
    damaged_files: tuple[str, ...]

    @property
    def timeline(self) -> int:
        return archive.position(self.wal_start)[0]

    @property
    def first_segment(self) -> int:
        return archive.position(self.wal_start)[1]

    @property
    def last_segment(self) -> int:
        return archive.position(self.wal_stop)[1]

    @property
    def recoverable(self) -> int:
        """The first whole second that is surely not before its end: pgBackRest cuts `stop` to whole seconds."""
        return self.stop + 1


@dataclass(frozen=True, slots=True)
class Stanza:
    exists: bool
    backups: tuple[Backup, ...]


def read(stanzas: Sequence[dict[str, Any]]) -> Stanza:
    """Of the stanza `main`, oldest backup first; a repository that could not be read is a failure."""
    found = next((stanza for stanza in stanzas if stanza["name"] == "main"), None)
    if found is None:
        return Stanza(False, ())
    for repository in found.get("repo", ()):
        if repository["status"]["code"] == 99:
            raise complaint.failure(repository["status"]["message"])
    archives = {entry["database"]["id"]: entry["id"] for entry in found.get("archive", ())}
    backups = [_backup(entry, archives) for entry in found.get("backup", ())]
    missing = found["status"]["code"] in MISSING
    return Stanza(not missing, tuple(sorted(backups, key=lambda backup: backup.stop)))


def _backup(entry: dict[str, Any], archives: dict[int, str]) -> Backup:
    sizes = entry["info"]
    return Backup(
        label=entry["label"],
        kind=entry["type"],
        archive_id=archives.get(entry["database"]["id"], ""),
        start=entry["timestamp"]["start"],
        stop=entry["timestamp"]["stop"],
        lsn_start=entry["lsn"]["start"],
        lsn_stop=entry["lsn"]["stop"],
        wal_start=entry["archive"]["start"],
        wal_stop=entry["archive"]["stop"],
        size=sizes["size"],
        copied=sizes["delta"],
        stored=sizes["repository"]["delta"],
        damaged=bool(entry.get("error")),
        damaged_files=tuple(entry.get("error-list", ())),
    )
