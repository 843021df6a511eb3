"""What one room wants once it has seen the facts: no I/O, the same inputs give the same answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .action import Action, Manifest
from .condition import Condition


@dataclass(frozen=True, slots=True)
class Contribution:
    desired: tuple[Manifest, ...] = ()
    """Objects that shall exist, complete for what we own."""
    actions: tuple[Action, ...] = ()
    """Steps that no desired object expresses: secrets to make, events, deletions."""
    conditions: tuple[Condition, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    """This room's part of .status."""
    release: bool = False
    """It rolls out, or waits to roll out, what a new release of the operator brought."""
    quiet: frozenset[str] = frozenset()
    """Components whose coming, going and changing is no change of the store now: its load asked for it."""
    again: timedelta | None = None
    """Look again after this, even if nothing wakes us."""


PATIENCE = timedelta(minutes=10)
"""How long a deleted store waits for what goes with it."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """What a room does when its store is deleted and something outside the cluster is to go with it."""

    actions: tuple[Action, ...] = ()
    end: tuple[Action, ...] | None = None
    """It waits for nothing any more: what to tell and to remove in the end, once no room waits."""


@dataclass(frozen=True, slots=True)
class Database:
    """What a provider offers the features: where the primary is reached, how to log in, and what it can bear."""

    provider: str
    host: str
    port: int
    database: str
    logins: tuple[str, str]
    """The application's two login roles, which take turns."""
    admin: str
    """The Secret by which Jobs log in: a client certificate, or the user's own for an external server."""
    admin_version: str
    """The version of a user's Secret, so that a Job runs again when it changes; "" for our own."""
    certificates: bool
    """Whether the pooler logs in by certificate and may look logins up; else it carries their verifiers itself."""
    settled: bool
    """Whether every instance serves the certificate that its Secret holds."""
    server_tls: str
    """PgBouncer's server_tls_sslmode."""
    primary: str
    """Who leads now, or "" when nobody does."""
    serving: bool
    max_connections: int
    measured: bool
    """Whether max_connections is known, and not only assumed until the server has been asked."""
    reserved_connections: int
    """Connections that poolers must leave to replication, monitoring, jobs and people."""
    spare: int
    """Bytes that each instance's volume can take before less than a quarter of it is free; 0 where one is unknown."""


@dataclass(frozen=True, slots=True)
class Instances:
    """What backups need to know of the servers that their provider runs."""

    hosts: tuple[str, ...]
    """Where `pgbackrest server` listens, one an instance."""
    host_port: int
    host_config: str
    """Its configuration, in the instances' pods."""
    data: str
    socket: str
    queue: int
    """How many bytes of WAL may wait on their volumes."""
