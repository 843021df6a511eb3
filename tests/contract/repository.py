"""An object store with pgBackRest's repositories, as the Jobs that work on them see it; a Job's work takes no time."""

import json
from dataclasses import dataclass, field
from typing import Any

from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.observed import Archiver, Progress

from .apiserver import ApiServer, stamp

UID = "00000000-0000-0000-0000-000000000007"
"""Of the lost store that can be recovered."""


@dataclass
class Repository:
    server: ApiServer
    labels: list[str] = field(default_factory=list)
    failures: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    """How the Jobs of a program end while that is not well: the exit code and the outcome."""
    archiver: Archiver = field(default_factory=Archiver)
    progress: Progress | None = None
    far: dict[str, int] = field(default_factory=dict)
    """What each Job that runs tells of how far it is."""
    works: bool = True
    """Whether Jobs come to an end."""
    timeline: int = 1
    """That the next backups are made on."""

    def end(self, job: Manifest) -> tuple[int, dict[str, Any]] | None:
        """The exit code and the outcome of the Job's pod; None while it works."""
        container = job["spec"]["template"]["spec"]["containers"][0]
        if not self.works:
            return None
        if container["name"] in self.failures:
            return self.failures[container["name"]]
        request = json.loads(container["env"][0]["value"])
        return 0, getattr(self, f"_{container['name']}")(request)

    def _backup(self, request: dict[str, Any]) -> dict[str, Any]:
        now = self.server.now
        full = not self.labels or request["type"] == "full"
        letter = {"diff": "D", "incr": "I"}.get(request["type"], "")
        base = next((label for label in reversed(self.labels) if label.endswith("F")), "")
        label = f"{now:%Y%m%d-%H%M%S}F" if full else f"{base}_{now:%Y%m%d-%H%M%S}{letter}"
        self.labels.append(label)
        first = min(item for item in self.labels)
        return {
            "backupId": label,
            "type": "full" if full else request["type"],
            "beginLsn": "0/2000028",
            "endLsn": "0/2000100",
            "beginWal": "000000010000000000000002",
            "endWal": "000000010000000000000002",
            "timeline": self.timeline,
            "startedAt": stamp(now),
            "completedAt": stamp(now),
            "databaseSize": 30_000_000,
            "backupSize": 30_000_000,
            "storedSize": 4_000_000,
            "repositorySize": 4_000_000 * len(self.labels),
            "firstBackup": first,
            "firstRecoverabilityPoint": f"{first[:4]}-{first[4:6]}-{first[6:8]}T00:00:00Z",
        }

    def _verify(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {
            "backupId": self.labels[-1],
            "recoveredTo": "2026-01-01T00:00:00.5Z",
            "seconds": 12.3,
            "bytes": 30_000_000,
        }

    def _look(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"uid": UID, "backupId": "20260101-000000F", "databaseSize": 30_000_000}

    def _restore(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "backupId": request["backupId"],
            "recoveredTo": "2026-01-01T00:00:00.5Z",
            "recoveredLsn": "0/3000100",
            "timeline": 2,
            "clamped": "time" in request["target"],
            "bytes": 30_000_000,
            "restoreSeconds": 3.4,
            "replaySeconds": 1.2,
        }

    def _erase(self, request: dict[str, Any]) -> dict[str, Any]:
        self.labels.clear()
        return {"erased": f"{request['base']}/{request['uid']}"}

    # In the places of `adapters.archiver` and `adapters.progress`

    async def run(self, address: str) -> dict[str, int]:
        return self.far

    async def look(self, address: str) -> Archiver | Progress | None:
        """Whoever runs at the address tells what it is there for."""
        for pod in self.server.all("Pod"):
            if pod["status"].get("podIP") == address:
                recovers = pod["metadata"]["labels"]["app.kubernetes.io/component"] == "recovery"
                return self.progress if recovers else self.archiver
        return None
