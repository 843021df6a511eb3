"""What one look at the cluster found: live objects, and the public side of secrets; never a secret value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .action import Manifest, Ref


@dataclass(frozen=True, slots=True)
class Certificate:
    """The public facts of one PEM certificate; fingerprints are SHA-256 in hex."""

    common_name: str
    dns_names: tuple[str, ...]
    not_after: datetime
    fingerprint: str
    issuer_key: str
    """The hex key identifier of the authority that signed it (its own for an authority)."""


@dataclass(frozen=True, slots=True)
class SecretFact:
    """A Secret without its values: which keys it has, when it changed, and what its certificate says."""

    name: str
    uid: str
    version: str
    keys: frozenset[str]
    ours: bool
    username: str = ""
    certificate: Certificate | None = None
    intact: bool = True
    """False when what we wrote is not there any more as its digest annotation says: somebody edited it."""
    trust: tuple[str, ...] = ()
    """Fingerprints of the certificates in its bundle, in order."""
    rotation: str = ""
    """The rotation command that it answers."""
    since: datetime | None = None
    """When the last stage of a rotation was taken."""
    source: str = ""
    """The digest of what a published Secret was made from."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of somebody else's, as the user's Secret describes it; its password stays where it is."""

    version: str
    keys: frozenset[str]
    host: str = ""
    port: str = ""
    database: str = ""
    sslmode: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A Secret that a person made and the spec names; its values stay where they are."""

    version: str
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Archiver:
    """How an instance's archiving is, as its server tells."""

    waiting: int = 0
    """Segments of WAL that are not in the repository yet."""
    waiting_seconds: float = 0
    """How long the oldest of them waits."""
    failing: bool = False
    """The last try failed."""
    cause: str = ""
    """One word for why, where it fails."""
    rate: float = 0
    """Bytes of WAL written a second since the last segment was archived."""
    dropped: datetime | None = None
    """When WAL was last given up because too much of it waited."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recovery is, in bytes."""

    done: int
    total: int
    phase: str = ""
    left: float | None = None
    """Seconds until all is copied, at the pace so far."""


@dataclass(frozen=True, slots=True)
class Pooler:
    """What a pooler's console says."""

    revision: str
    """Of its files, as it has loaded them."""
    paused: bool = False
    """Its clients wait."""
    connections: int = 0
    """Server connections that it may have, 0 where it does not tell."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What the autoscaler last decided."""

    instances: int
    connections: int
    """Server connections of each pod."""
    changed: float
    """When it last decided otherwise, seconds since 1970; 0 for never."""
    why: str
    """Why this size."""
    reason: str
    """One word for whether something keeps it from growing, as docs/api.md lists them."""
    message: str
    crowded: frozenset[str] = frozenset()
    """Pods that are full while others have room."""
    most: int = 0
    """Clients that each of those keeps."""
    seen: float = 0.0
    """When the interval began that showed it, seconds since 1970."""
    due: bool = False
    """Nobody has been let go for it yet: that is done once for each interval."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the monitor last found out about a store."""

    exceeded: frozenset[str] = frozenset()
    """The thresholds that are exceeded, by their names in the spec."""
    reason: str = ""
    """One word for why something cannot be told, "" where all can."""
    message: str = ""
    looked: bool = False
    """Whether what follows was told since the operator began."""
    days: float | None = None
    """Until a volume is full; None where nobody can tell."""
    memory: int | None = None
    """MiB that PostgreSQL should have."""
    connections: int | None = None
    """Connections that it should take."""


@dataclass(frozen=True, slots=True)
class Volume:
    """An instance's volume as its file system tells, in bytes."""

    size: int
    free: int


@dataclass(frozen=True, slots=True)
class Observed:
    """`objects` holds every live child that carries the store's label and owner; `foreign` what stands in its way."""

    objects: Mapping[Ref, Manifest] = field(default_factory=dict)
    secrets: Mapping[str, SecretFact] = field(default_factory=dict)
    foreign: frozenset[Ref] = frozenset()
    leaving: frozenset[Ref] = frozenset()
    """Those of `foreign` that go away by themselves, as an earlier store of the name left them."""
    served: Mapping[str, str] = field(default_factory=dict)
    """Fingerprint of the certificate that each ready instance serves, by pod."""
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    """Each running instance's volume, by pod; those that do not tell are left out."""
    poolers: Mapping[str, Pooler] = field(default_factory=dict)
    """Each ready pooler whose console answers, by pod."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """The Secrets that the spec names, as far as they are there."""
    archivers: Mapping[str, Archiver] = field(default_factory=dict)
    """Each running instance's archiving, by pod; those that do not tell are left out."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """Which parameters each running instance's server has loaded, by pod, looked at only after a change; "" where the
    exporter cannot tell, and those that do not answer are left out."""
    origin: Manifest | None = None
    """The CheckpointBackup that the store is to be recovered from."""
    progress: Mapping[str, Progress] = field(default_factory=dict)
    """How far recoveries are, by their pods."""
    runs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What running Jobs of the operator's own program tell of how far they are, by their pods."""
    scale: Scale | None = None
    """What the autoscaler last decided; None where it has not looked yet, or there is none."""
    findings: Findings | None = None
    """What the monitor last found out; None where it has not looked yet, or there is none."""
    turn: bool = True
    """Whether it is this store's turn to roll a new release of the operator out: stores go one after another."""
    server: Server | None = None
    """The Secret of an external provider, if it is there."""
    storage_class: bool = True
    """Whether the StorageClass that the spec names exists, or a default one where it names none."""
    expandable: bool = True
    """Whether the StorageClass of the volumes allows them to grow; looked at only where they grow by themselves."""
    unreachable: frozenset[str] = frozenset()
    """Addresses of nodes that have stopped answering, though Kubernetes may not know it yet."""

    def get(self, kind: str, name: str) -> Manifest | None:
        return self.objects.get(Ref(kind, name))

    def all(self, kind: str, component: str | None = None) -> list[Manifest]:
        """Live children of a kind, by name."""
        return [
            self.objects[ref]
            for ref in sorted(self.objects, key=lambda ref: ref.name)
            if ref.kind == kind and (component is None or component_of(self.objects[ref]) == component)
        ]

    def running(self, component: str) -> list[Manifest]:
        """Pods of a component whose programs run, ready or not, on nodes that answer."""
        states = ((pod, pod.get("status", {})) for pod in self.all("Pod", component))
        return [
            pod
            for pod, state in states
            if state.get("phase") == "Running" and state.get("podIP") and state.get("hostIP") not in self.unreachable
        ]

    def ready(self, component: str) -> list[Manifest]:
        """Pods of a component that are ready, on nodes that answer."""
        pods = self.all("Pod", component)
        return [pod for pod in pods if pod_ready(pod) and pod["status"].get("hostIP") not in self.unreachable]


def component_of(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def pod_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod counts: ready, and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    return any(
        item.get("type") == "Ready" and item.get("status") == "True"
        for item in pod.get("status", {}).get("conditions", ())
    )
