"""How many pods and how many server connections each: within the server's budget, also while that changes."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...kernel.contribution import Database
from .spec import Pooler


@dataclass(frozen=True, slots=True)
class Size:
    instances: int
    connections: int
    """Server connections of each pod."""

    @property
    def total(self) -> int:
        return self.instances * self.connections

    @property
    def text(self) -> str:
        return f"{self.instances} pods of {self.connections} server connections"


def capacity(database: Database) -> int:
    """Server connections of all pods together: half of what the server has for poolers.

    A roll-out has the old pods and as many new ones at once, and all of them may use what they were given.
    """
    return max(1, (database.max_connections - database.reserved_connections) // 2)


def rest(spec: Pooler, capacity: int) -> Size:
    """The size without load: all that the budget allows where the number is fixed, else half of it."""
    share = capacity if spec.autoscaling is None else capacity // 2
    return Size(spec.least, max(1, share // spec.least))


def bounded(size: Size, spec: Pooler, capacity: int) -> Size:
    """The size, or the nearest one that a spec with autoscaling and the budget allow."""
    instances = max(spec.least, min(spec.most, size.instances))
    return Size(instances, max(1, min(size.connections, capacity // instances)))


def step(wanted: Size, given: Size | None, loaded: Iterable[int], present: int, capacity: int) -> Size:
    """The size to give now on the way to the wanted one.

    `given` is what was given last (None: nothing yet), `loaded` the server connections that running pods go by, and
    `present` how many pods there are, leaving ones included. Pods shrink before another one comes, and grow after the
    last one that leaves has gone; nor does another one come before that, as who leaves keeps what it once was given.
    """
    if given is None:
        return wanted
    grows = wanted.connections > given.connections and present > wanted.instances
    connections = given.connections if grows else wanted.connections
    used = max((connections, *loaded))
    crowded = present > given.instances or used * wanted.instances > capacity
    waits = crowded and wanted.instances > given.instances
    return Size(given.instances if waits else wanted.instances, connections)
