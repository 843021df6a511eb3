"""What every room is told about where it works: the store's identity, the images, and how to label what it makes."""

from dataclasses import dataclass, field
from typing import Any

from .action import Manifest
from .naming import Names, host, labels


@dataclass(frozen=True, slots=True)
class Images:
    """Image references: what the operator's release pins, or what the store's spec overrides."""

    postgres: str
    pgbouncer: str
    operator: str
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Platform:
    """What the operator was installed with."""

    images: Images
    cluster_domain: str = "cluster.local"
    namespace: str = "checkpointstore-system"
    """Where the operator itself runs."""
    prometheus: str = ""
    """The Prometheus of stores that name none; "" where there is none."""


@dataclass(frozen=True, slots=True)
class Env:
    name: str
    namespace: str
    uid: str
    images: Images
    cluster_domain: str
    operator_namespace: str
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", Names(self.name))

    def host(self, service: str) -> str:
        return host(service, self.namespace)

    def object(self, api_version: str, kind: str, name: str, component: str, **body: Any) -> Manifest:
        """A complete manifest of one of the store's children: labelled, owned by the store, in its namespace."""
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": labels(self.name, component),
                "ownerReferences": [self.owner()],
            },
            **body,
        }

    def owner(self) -> dict[str, Any]:
        return {
            "apiVersion": "checkpointstore.dev/v1alpha1",
            "kind": "CheckpointStore",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
