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
    again: timedelta | None = None
    """Look again after this, even if nothing wakes us."""


@dataclass(frozen=True, slots=True)
class Database:
    """What a provider offers the features: where the primary is reached, and what it can bear."""

    host: str
    port: int
    database: str
    primary: str
    """Who leads now, or "" when nobody does."""
    serving: bool
    max_connections: int
    reserved_connections: int
    """Connections that poolers must leave to replication, monitoring, jobs and people."""
