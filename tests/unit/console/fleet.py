"""A made-up cluster: stores as the operator tells of them, and an API server that answers what the console asks."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from checkpointstore.api.reason import CONDITIONS
from checkpointstore.kernel.errors import Unavailable
from checkpointstore.kernel.naming import labels

Manifest = dict[str, Any]
SCRIPT = '<script>alert("x")</script>'
USUAL: Mapping[str, tuple[str, str]] = {
    "Ready": ("Serving", "Applications can read and write through the binding"),
    "Reconciling": ("Converged", ""),
    "Stalled": ("Converged", ""),
    "PostgresAvailable": ("AllInstancesReady", "2 of 2 instances are ready"),
    "PoolerAvailable": ("Available", "2 of 2 pooler pods are ready"),
    "AutoscalingLimited": ("WithinLimits", ""),
    "LastBackupSucceeded": ("Completed", "agents-full-202611260300 was completed: 3.8Mi stored"),
}
GOOD = {subject.type: subject.good.value for subject in CONDITIONS}


def store(namespace: str = "shop", name: str = "agents", **wrong: tuple[str, str, str]) -> Manifest:
    """A store that is well, but for the conditions that are given as (status, reason, message)."""
    told = {type_: (GOOD[type_], *USUAL[type_]) for type_ in USUAL} | wrong
    conditions = [
        {
            "type": type_,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-11-26T08:00:00Z",
        }
        for type_, (status, reason, message) in told.items()
    ]
    return {
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": "2026-11-20T08:00:00Z"},
        "spec": {},
        "status": {
            "phase": "Ready",
            "conditions": conditions,
            "binding": {"name": f"{name}-app"},
            "postgres": {
                "provider": "Patroni",
                "version": "17.11",
                "primary": f"{name}-1",
                "instances": 2,
                "readyInstances": 2,
            },
            "pooler": {
                "instances": 2,
                "readyInstances": 2,
                "desiredInstances": 2,
                "poolSize": 27,
                "why": "Clients wait for 0.4 s; 27 connections each is what the server has",
            },
            "backup": {
                "repository": f"s3://backups/{namespace}/{name}",
                "lastSuccessful": "2026-11-26T03:00:00Z",
                "lastVerified": "2026-11-23T03:10:00Z",
                "firstRecoverabilityPoint": "2026-11-20T08:01:00Z",
                "databaseBytes": 30_000_000,
                "repositoryBytes": 4_000_000,
            },
        },
    }


def pod(namespace: str, of: str, name: str, component: str, node: str, ready: bool = True) -> Manifest:
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": labels(of, component)},
        "spec": {"nodeName": node},
        "status": {
            "startTime": "2026-11-25T08:00:00Z",
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def pods(namespace: str = "shop", name: str = "agents") -> list[Manifest]:
    return [
        pod(namespace, name, f"{name}-0", "postgres", "node-a"),
        pod(namespace, name, f"{name}-1", "postgres", "node-b"),
        pod(namespace, name, f"{name}-pooler-6d4-x2x", "pooler", "node-a"),
        pod(namespace, name, f"{name}-pooler-6d4-zzz", "pooler", "node-c", ready=False),
        pod(namespace, name, f"{name}-schema-aa-1", "schema", "node-c"),
    ]


def backup(namespace: str, of: str, name: str, phase: str = "Completed") -> Manifest:
    return {
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": "2026-11-26T02:59:00Z"},
        "spec": {"store": {"name": of}, "type": "Full"},
        "status": {"phase": phase, "type": "Full", "size": "3.8Mi", "duration": "12s"},
    }


def event(namespace: str, of: str, reason: str, message: str) -> Manifest:
    return {
        "metadata": {"namespace": namespace, "name": f"{of}-{reason}"},
        "involvedObject": {"kind": "CheckpointStore", "name": of},
        "type": "Normal",
        "reason": reason,
        "message": message,
        "lastTimestamp": "2026-11-26T08:00:00Z",
    }


def many(count: int = 200) -> list[Manifest]:
    """Stores in twenty namespaces, of which one in ten is not well."""
    kinds: tuple[dict[str, tuple[str, str, str]], ...] = (
        {"Ready": ("False", "NoPrimary", "No instance leads; kubectl get pods shows why")},
        {"Ready": ("Unknown", "Unreachable", "The operator cannot look: the API server does not answer")},
        {"AutoscalingLimited": ("True", "ServerConnectionsExhausted", "Clients wait, and the server has none left")},
    )
    return [
        store(f"team-{i % 20:02}", f"agents-{i:03}", **(kinds[i // 10 % 3] if i % 10 == 0 else {}))
        for i in range(count)
    ]


@dataclass
class Fake:
    """Objects by kind; tokens and whom they are of; rights as (user, verb, namespace, name), "" for any."""

    objects: dict[str, list[Manifest]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    rights: set[tuple[str, str, str, str]] = field(default_factory=set)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    away: bool = False

    async def all(self, kind: str, namespace: str | None, selector: str = "") -> list[Manifest]:
        self._answer(kind, {"namespace": namespace, "selector": selector})
        wanted = dict(part.split("=") for part in selector.split(",") if part)
        return [
            copy.deepcopy(item)
            for item in self.objects.get(kind, ())
            if namespace in (None, item["metadata"]["namespace"])
            and wanted.items() <= item["metadata"].get("labels", {}).items()
        ]

    async def events(self, kind: str, namespace: str, name: str) -> list[Manifest]:
        self._answer("Event", {"namespace": namespace, "name": name})
        return [
            copy.deepcopy(item)
            for item in self.objects.get("Event", ())
            if item["metadata"]["namespace"] == namespace
            and (item["involvedObject"]["kind"], item["involvedObject"]["name"]) == (kind, name)
        ]

    async def review(self, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        self._answer(kind, spec)
        if kind == "TokenReview":
            name = self.tokens.get(spec["token"])
            return {"authenticated": True, "user": {"username": name}} if name else {"error": "invalid bearer token"}
        asked = spec["resourceAttributes"]
        assert (asked["group"], asked["resource"]) == ("checkpointstore.dev", "checkpointstores")
        places = {("", ""), (asked["namespace"], ""), (asked["namespace"], asked["name"])}
        return {"allowed": any((spec["user"], asked["verb"], *place) in self.rights for place in places)}

    def _answer(self, kind: str, what: Mapping[str, Any]) -> None:
        if self.away:
            raise Unavailable("API server: ClientConnectorError")
        self.asked.append((kind, what))

    def count(self, kind: str) -> int:
        return sum(asked == kind for asked, _ in self.asked)


def cluster(stores: list[Manifest] | None = None) -> Fake:
    """An administrator, a person of the namespace shop, one of a single store, and one without any right."""
    known = [store(), store("shop", "orders"), store("bank", "ledger")] if stores is None else stores
    return Fake(
        objects={
            "CheckpointStore": known,
            "Pod": [item for one in known for item in pods(one["metadata"]["namespace"], one["metadata"]["name"])],
            "CheckpointBackup": [backup("shop", "agents", "agents-full-202611260300")],
            "Event": [event("shop", "agents", "PrimaryChanged", "agents-1 leads now")],
        },
        tokens={f"token-of-{name}": name for name in ("admin", "shopkeeper", "clerk", "stranger")},
        rights={
            ("admin", "list", "", ""),
            ("admin", "get", "", ""),
            ("shopkeeper", "get", "shop", ""),
            ("clerk", "get", "bank", "ledger"),
        },
    )
