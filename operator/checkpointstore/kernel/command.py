"""The annotations by which people command a store; part of the API, so they never change their meaning."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from .naming import DOMAIN

PAUSED = f"{DOMAIN}/paused"
RESTART = f"{DOMAIN}/restart"
SWITCHOVER = f"{DOMAIN}/switchover"
ROTATE = f"{DOMAIN}/rotate-credentials"
ROTATE_AUTHORITY = f"{DOMAIN}/rotate-authority"
VERIFY = f"{DOMAIN}/verify-backup"
RUN_RETENTION = f"{DOMAIN}/run-retention"
RUN_TIERING = f"{DOMAIN}/run-tiering"
RUN_BLOB_COLLECTION = f"{DOMAIN}/run-blob-collection"
HIBERNATE = f"{DOMAIN}/hibernate"


@dataclass(frozen=True, slots=True)
class Commands:
    paused: bool = False
    """Change nothing; only tell."""
    restart: str = ""
    """Any text, a timestamp by custom: instances that were not restarted for it are, one by one."""
    switchover: str = ""
    """The instance that shall lead; taken away once it does."""
    rotate: str = ""
    """Any text, a timestamp by custom: the application gets another login when it changes."""
    rotate_authority: str = ""
    """Any text, a timestamp by custom: the certificate authority is replaced, in stages, when it changes."""
    verify: str = ""
    """Any text, a timestamp by custom: the newest backup is restored and checked when it changes."""
    run_retention: str = ""
    """Any text, a timestamp by custom: a run is begun when it changes, as at a time of the schedule."""
    run_tiering: str = ""
    """As `run_retention`."""
    run_blob_collection: str = ""
    """As `run_retention`."""
    hibernate: bool = False
    """No pods; volumes stay."""

    @classmethod
    def read(cls, annotations: Mapping[str, str]) -> Self:
        return cls(
            paused=_on(annotations.get(PAUSED)),
            restart=annotations.get(RESTART, ""),
            switchover=annotations.get(SWITCHOVER, ""),
            rotate=annotations.get(ROTATE, ""),
            rotate_authority=annotations.get(ROTATE_AUTHORITY, ""),
            verify=annotations.get(VERIFY, ""),
            run_retention=annotations.get(RUN_RETENTION, ""),
            run_tiering=annotations.get(RUN_TIERING, ""),
            run_blob_collection=annotations.get(RUN_BLOB_COLLECTION, ""),
            hibernate=_on(annotations.get(HIBERNATE)),
        )


def _on(value: str | None) -> bool:
    return value is not None and value.lower() in ("true", "on", "yes")
