"""What may befall a store between two looks of its operator, as values that Hypothesis can draw and shrink."""

from dataclasses import dataclass
from typing import Any, Protocol

from hypothesis import strategies as st

from checkpointstore.kernel.errors import StoreError, Unavailable
from tests.contract.nature import NODES
from tests.contract.world import World

DELETABLE = (
    "ConfigMap",
    "Deployment",
    "Job",
    "NetworkPolicy",
    "Pod",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
)


class Fault(Protocol):
    def befall(self, world: World) -> None: ...


@dataclass(frozen=True)
class Passes:
    count: int

    def befall(self, world: World) -> None:
        for _ in range(self.count):
            world.look()
            world.tick()


@dataclass(frozen=True)
class Killed:
    """The operator dies with its n-th request, whose answer it never sees; another one starts."""

    life: int

    def befall(self, world: World) -> None:
        world.start_anew(life=self.life)
        world.look()
        world.start_anew()
        world.tick()


@dataclass(frozen=True)
class Unanswered:
    """The API server does not answer the operator's n-th request."""

    number: int

    def befall(self, world: World) -> None:
        faults: dict[int, StoreError] = {self.number: Unavailable("API server: TimeoutError")}
        world.start_anew(faults=faults)
        world.look()
        world.tick()


@dataclass(frozen=True)
class Deleted:
    """A stranger, or an eviction, deletes one of the store's objects."""

    kind: str
    choice: int

    def befall(self, world: World) -> None:
        names = [name for kind, name in world.children() if kind == self.kind]
        if names:
            world.delete(self.kind, names[self.choice % len(names)])
        world.tick()


@dataclass(frozen=True)
class Edited:
    """A stranger changes, adds or removes something in one of the store's objects."""

    kind: str
    choice: int

    def befall(self, world: World) -> None:
        names = [name for kind, name in world.children() if kind == self.kind]
        if names:
            name = names[self.choice % len(names)]
            world.edit(self.kind, name, EDITS[self.kind])
        world.tick()


@dataclass(frozen=True)
class Silent:
    """A node stops answering, or all answer again."""

    node: str

    def befall(self, world: World) -> None:
        world.silent = frozenset({self.node}) if self.node else frozenset()
        world.look()
        world.tick()


@dataclass(frozen=True)
class Changed:
    """A person edits the spec."""

    field: str
    value: int

    def befall(self, world: World) -> None:
        change: dict[str, dict[str, Any]] = {
            "instances": {"postgres": {"instances": self.value % 3 + 1}},
            "poolers": {"pooler": {"instances": self.value % 3 + 1}},
            "memory": {"postgres": {"resources": {"limits": {"memory": f"{self.value % 3 + 1}Gi"}}}},
            "connections": {"postgres": {"parameters": {"max_connections": str(60 + self.value % 3 * 40)}}},
            "size": {"postgres": {"storage": {"size": f"{10 + self.value + world.body['metadata']['generation']}Gi"}}},
        }
        world.change(**change[self.field])


@dataclass(frozen=True)
class Commanded:
    annotation: str
    value: str | None

    def befall(self, world: World) -> None:
        world.command(self.annotation, self.value)


EDITS: dict[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"stranger": "was here", "pgbouncer.ini": "[pgbouncer]"}},
    "Deployment": {"spec": {"replicas": 7}},
    "StatefulSet": {"spec": {"replicas": 5}},
    "Service": {"spec": {"type": "LoadBalancer"}, "metadata": {"annotations": {"stranger": "was here"}}},
    "PodDisruptionBudget": {"spec": {"maxUnavailable": 3}},
    "NetworkPolicy": {"spec": {"ingress": []}},
    "Role": {"rules": []},
    "Pod": {"metadata": {"annotations": {"status": "no JSON"}}},
    "Secret": {"metadata": {"labels": {"stranger": "was-here"}}},
}

faults: st.SearchStrategy[Fault] = st.one_of(
    st.builds(Passes, st.integers(1, 4)),
    st.builds(Killed, st.integers(1, 70)),
    st.builds(Unanswered, st.integers(1, 60)),
    st.builds(Deleted, st.sampled_from(DELETABLE), st.integers(0, 9)),
    st.builds(Edited, st.sampled_from(sorted(EDITS)), st.integers(0, 9)),
    st.builds(Silent, st.sampled_from(("", *NODES))),
    st.builds(Changed, st.sampled_from(("instances", "poolers", "memory", "connections", "size")), st.integers(0, 5)),
    st.builds(Commanded, st.just("switchover"), st.sampled_from(("agents-0", "agents-1", "agents-7"))),
    st.builds(Commanded, st.just("rotate-credentials"), st.sampled_from(("1", "2"))),
    st.builds(Commanded, st.just("restart"), st.sampled_from(("1", "2", None))),
    st.builds(Commanded, st.sampled_from(("paused", "hibernate")), st.sampled_from(("true", None))),
)
