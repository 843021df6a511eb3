"""Kind CheckpointStore, version v1alpha1: its spec is the sum of the rooms' fragments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationError, model_validator

from ..features.backup.recovery_spec import Recovery
from ..features.backup.spec import Backup
from ..features.blobs.spec import Externalize
from ..features.monitoring.spec import Monitoring
from ..features.network_policy import NetworkPolicy
from ..features.pooler.spec import Pooler
from ..features.retention.spec import Retention
from ..features.schema.limits import Limits as Sizes
from ..features.schema.slice import Schema
from ..features.tiering import spec as tiering
from ..features.tiering.spec import Tiering
from ..kernel.duration import duration
from ..kernel.errors import Refused
from ..kernel.fragment import Fragment
from ..kernel.naming import DOMAIN, NAME_LIMIT, NAME_PATTERN, NAME_RULE
from ..providers.spec import Postgres

GROUP = DOMAIN
VERSION = "v1alpha1"
KIND = "CheckpointStore"
PLURAL = "checkpointstores"
OWN_SERVER = (
    "backup and bootstrap.recovery are for the operator's own servers: use the backups of who runs the external one"
)

OWN_INSTANCES = "monitoring.thresholds are for the operator's own servers: nothing is measured in an external one"


class ReclaimPolicy(StrEnum):
    RETAIN = "Retain"
    DELETE = "Delete"


class Reclaim(Fragment):
    """What becomes of data when the store is deleted."""

    volumes: ReclaimPolicy = ReclaimPolicy.RETAIN
    """Volumes of the instances: Retain keeps them, Delete removes them with the store."""
    backups: ReclaimPolicy = ReclaimPolicy.RETAIN
    """Backups in the object store: Retain keeps them, Delete removes them with the store, which then waits up to ten
    minutes until they are gone."""
    cold_data: ReclaimPolicy = ReclaimPolicy.RETAIN
    """What tiering and limits.externalize have in object stores: Retain keeps it, Delete removes it with the store,
    which then waits up to ten minutes until it is gone. A store that was recovered from this one's backups may still
    refer to it."""


class Bootstrap(Fragment):
    """Where the first data comes from. Read until Initialized."""

    adopt: bool = False
    """Take over volumes that an earlier store of this name left behind."""
    recovery: Recovery | None = None
    """Begin with the data of a backup."""

    @model_validator(mode="after")
    def _one(self) -> "Bootstrap":
        if self.adopt and self.recovery:
            raise ValueError("set at most one of adopt and recovery")
        return self


class Limits(Sizes):
    """What is too large to be stored, and what is too large for a row."""

    externalize: Externalize | None = None
    """Large values go to an object store, through the serializer of checkpointstore.client in applications that use
    it: the database cannot do it, and a stock saver without that serializer writes as ever. All stay in their rows when
    absent."""


class StoreSpec(Fragment):
    """What a store shall be. An empty spec gives a working store of one instance."""

    postgres: Postgres = Postgres()
    """The PostgreSQL that holds the checkpoints."""
    schema_: Schema = Field(default=Schema(), alias="schema")
    """The tables that the operator makes and keeps."""
    pooler: Pooler = Pooler()
    """The connection pooler that applications talk to."""
    backup: Backup | None = None
    """Backups; none are made when absent."""
    limits: Limits = Limits()
    """What is too large to be stored, and what is too large for a row."""
    monitoring: Monitoring = Monitoring()
    """What a person wants to be told of."""
    retention: Retention | None = None
    """How long checkpoints stay; all stay for ever when absent."""
    tiering: Tiering | None = None
    """Threads that nobody writes to go to an object store; all stay in the database when absent."""
    bootstrap: Bootstrap = Bootstrap()
    """Where the first data comes from."""
    reclaim_policy: Reclaim = Reclaim()
    """What becomes of data when the store is deleted."""
    network_policy: NetworkPolicy = NetworkPolicy()
    """Which clients may connect."""

    @model_validator(mode="after")
    def _consistent(self) -> "StoreSpec":
        if self.postgres.external and (self.backup or self.bootstrap.recovery):
            raise ValueError(OWN_SERVER)
        if self.postgres.external and self.monitoring.thresholds:
            raise ValueError(OWN_INSTANCES)
        dead = self.retention.delete_after if self.retention else None
        if self.tiering and dead and duration(dead) <= duration(self.tiering.tiers[-1].after):
            raise ValueError(tiering.LAST)
        return self

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that a person made for it, but for that of an external server."""
        places = (
            self.backup,
            self.bootstrap.recovery and self.bootstrap.recovery.source,
            self.limits.externalize,
            self.pooler,
            self.tiering,
        )
        return frozenset(name for place in places if place for name in place.secrets())


@dataclass(frozen=True, slots=True)
class Store:
    """One CheckpointStore as read from the API server."""

    name: str
    namespace: str
    uid: str
    generation: int
    created: datetime
    annotations: Mapping[str, str]
    spec: StoreSpec
    status: Mapping[str, Any]
    body: Mapping[str, Any]
    """The whole object, for those who must point at it."""


def parse(body: Mapping[str, Any]) -> Store:
    """The store in a body of the API server.

    Raises Refused("InvalidSpec") naming each field's path and what is wrong with it, never its value.
    """
    meta = body["metadata"]
    try:
        spec = StoreSpec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        raise Refused("InvalidSpec", "; ".join(_complaint(item) for item in error.errors())) from None
    if len(meta["name"]) > NAME_LIMIT:
        raise Refused("InvalidSpec", f"metadata.name: at most {NAME_LIMIT} characters")
    if not re.fullmatch(NAME_PATTERN, meta["name"]):
        raise Refused("InvalidSpec", f"metadata.name: {NAME_RULE}")
    if f"{meta['name']}-blobs" in spec.secrets():
        raise Refused("InvalidSpec", f"spec: Secret {meta['name']}-blobs is the store's own: name another one")
    return Store(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 0)),
        created=datetime.fromisoformat(meta["creationTimestamp"]),
        annotations=meta.get("annotations") or {},
        spec=spec,
        status=body.get("status") or {},
        body=body,
    )


def _complaint(error: Any) -> str:
    path = ".".join(("spec", *(str(part) for part in error["loc"])))
    return f"{path}: {str(error['msg']).removeprefix('Value error, ')}"
