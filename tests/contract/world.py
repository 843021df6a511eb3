"""A small world for one store: the real actor, observer and executor over an API server in memory and its nature."""

import asyncio
import base64
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Self
from unittest.mock import patch

from checkpointstore import reconcile
from checkpointstore.api import store as api
from checkpointstore.features.pooler.balance import Balance
from checkpointstore.features.pooler.decision import State
from checkpointstore.features.pooler.size import Size
from checkpointstore.features.schema.outcome import Outcome
from checkpointstore.kernel.action import Manifest, Ref
from checkpointstore.kernel.env import Images, Platform
from checkpointstore.kernel.errors import StoreError
from checkpointstore.kernel.naming import STORE_LABEL
from checkpointstore.kernel.observed import Observed
from checkpointstore.runtime import actor, execute, observe

from . import database, nature
from .apiserver import ApiServer
from .console import Console
from .disk import Disk
from .exporter import Exporter
from .paper import Paper
from .repository import Repository
from .rest import Rest
from .twin import Killed, Twin

NAMESPACE = "shop"
STRANGER = "kubectl-edit"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nYW4gYXV0aG9yaXR5\n-----END CERTIFICATE-----\n"
"""Of an object store."""
PLATFORM = Platform(Images("images/postgres:1", "images/pgbouncer:1", "images/operator:1"))
DEFAULT_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
}


class World:
    """Use it as a context manager: inside, time and randomness are the world's own."""

    def __init__(self, name: str = "agents") -> None:
        self.name = name
        self.server = ApiServer()
        self.refusal: Outcome | None = None
        """How the schema Jobs end, while that is not well."""
        self.silent: frozenset[str] = frozenset()
        """Addresses of nodes that do not answer."""
        self.removed: list[tuple[str, str]] = []
        """Kind and name of everything that operators have deleted."""
        self.repository = Repository(self.server)
        self._stack = ExitStack()
        self.turn = True
        """Whether this store may take a new release up now."""
        self.server.create(DEFAULT_CLASS)
        self.start_anew()

    def __enter__(self) -> Self:
        paper = Paper(lambda: self.server.now)
        self.rest = Rest(self.server, paper.facts)
        self.console = Console(self.server)
        self.disk = Disk(self.server)
        self.exporter = Exporter(self.server)
        clock = SimpleNamespace(datetime=_clock(self.server), timedelta=dt.timedelta, UTC=dt.UTC)
        for module, name, stand_in in (
            (actor, "dt", clock),
            (execute, "dt", clock),
            (execute, "secrets", paper),
            (execute, "certificate", paper),
            (observe, "certificate", paper),
            (execute, "patroni", self.rest),
            (observe, "patroni", self.rest),
            (execute, "pgbouncer", self.console),
            (observe, "pgbouncer", self.console),
            (observe, "filesystem", self.disk),
            (observe, "archiver", self.repository),
            (observe, "revision", self.exporter),
            (observe, "progress", self.repository),
        ):
            self._stack.enter_context(patch.object(module, name, stand_in))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        assert self.server.untouched(), "somebody has changed what the API server keeps"

    # What people do

    def make(self, spec: Mapping[str, Any] | None = None, annotations: Mapping[str, str] | None = None) -> Self:
        meta = {"name": self.name, "namespace": NAMESPACE, "annotations": annotations or {}}
        body = {"apiVersion": "checkpointstore.dev/v1alpha1", "kind": "CheckpointStore", "metadata": meta}
        self.server.create({**body, "spec": spec or {}}, STRANGER)
        return self

    def change(self, **spec: Any) -> Self:
        self.server.patch("CheckpointStore", NAMESPACE, self.name, {"spec": spec}, STRANGER)
        return self

    def command(self, annotation: str, value: str | None) -> Self:
        meta = {"annotations": {f"checkpointstore.dev/{annotation}": value}}
        self.server.patch("CheckpointStore", NAMESPACE, self.name, {"metadata": meta}, STRANGER)
        return self

    def edit(self, kind: str, name: str, patch: Mapping[str, Any]) -> Self:
        self.server.patch(kind, NAMESPACE, name, patch, STRANGER)
        return self

    def delete(self, kind: str, name: str) -> Self:
        self.server.delete(kind, NAMESPACE, name)
        return self

    def make_class(self, name: str) -> Self:
        """A StorageClass that is not the default."""
        self.server.create({**DEFAULT_CLASS, "metadata": {"name": name}})
        return self

    def expand(self) -> Self:
        """The default StorageClass allows volumes to grow."""
        self.server.patch("StorageClass", "", "standard", {"allowVolumeExpansion": True}, STRANGER)
        return self

    def delete_class(self) -> Self:
        """The cluster has no default StorageClass any more."""
        self.server.delete("StorageClass", "", "standard")
        return self

    def rds(self, **changes: str | None) -> Self:
        """Somebody else's server, described by the Secret `rds`; None leaves a key out."""
        keys: dict[str, str | None] = {"host": "db.example", "port": "5432", "database": "agents", "username": "dba"}
        keys |= {"password": "of the admin", **changes}
        return self.give("rds", {key: value for key, value in keys.items() if value is not None})

    def give(self, name: str, data: Mapping[str, str]) -> Self:
        """A Secret of a person's own."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        meta = {"name": name, "namespace": NAMESPACE}
        self.server.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded}, STRANGER)
        return self

    def bucket(self) -> Self:
        """The Secrets of an object store."""
        self.give("s3", {"AWS_ACCESS_KEY_ID": "an id", "AWS_SECRET_ACCESS_KEY": "a key"})
        return self.give("s3-ca", {"ca.crt": AUTHORITY})

    def buckets(self) -> Self:
        """The same, and one with which applications reach it."""
        self.give("agents-s3", {"AWS_ACCESS_KEY_ID": "an agent's id", "AWS_SECRET_ACCESS_KEY": "an agent's key"})
        return self.bucket()

    def ask(self, name: str, type_: str = "Full", store: str = "") -> Self:
        """Somebody wants a backup."""
        meta = {"name": name, "namespace": NAMESPACE}
        spec = {"store": {"name": store or self.name}, "type": type_}
        body = {
            "apiVersion": "checkpointstore.dev/v1alpha1",
            "kind": "CheckpointBackup",
            "metadata": meta,
            "spec": spec,
        }
        self.server.create(body, STRANGER)
        return self

    def backups(self) -> dict[str, dict[str, Any]]:
        """The status of every CheckpointBackup by its name."""
        return {item["metadata"]["name"]: item.get("status", {}) for item in self.server.all("CheckpointBackup")}

    @contextmanager
    def deaf_consoles(self) -> Iterator[None]:
        """No pooler's console answers for a while."""
        self.console.deaf = True
        yield
        self.console.deaf = False

    @contextmanager
    def kubelets_behind(self) -> Iterator[None]:
        """Kubelets refresh a touched pod's volumes from what the Secrets were before."""
        self.console.behind = True
        yield
        self.console.behind = False

    def load_asks(self, instances: int, connections: int, reason: str = "WithinLimits", message: str = "") -> Self:
        """The autoscaler decides this."""
        size, now = Size(instances, connections), self.server.now.timestamp()
        state = State(size, now, "Something was full", reason=reason, message=message)
        self._actors.autoscaler._states[f"{NAMESPACE}/{self.name}"] = state
        return self

    def load_is_uneven(self, pods: Iterable[str], most: int) -> Self:
        """The autoscaler finds these full while others have room."""
        states, who = self._actors.autoscaler._states, f"{NAMESPACE}/{self.name}"
        seen = self.server.now.timestamp()
        states[who] = replace(states[who], balance=Balance(frozenset(pods), most, seen))
        return self

    # What the operator does

    def start_anew(self, life: int | None = None, faults: Mapping[int, StoreError] | None = None) -> Self:
        """Another operator process, which remembers nothing; see Twin for `life` and `faults`."""
        self.kube = Twin(self.server, life, faults, self.removed)
        self._actors = actor.Actors(self.kube, PLATFORM)
        self._suspects: frozenset[Ref] = frozenset()
        self.again: dt.timedelta | None = None
        return self

    def look(self) -> int:
        """One pass; how many writes it took. A killed operator is followed by a new one; errors end only the pass."""
        before = self.kube.writes.total()
        self._actors.sentinel.gone = self.silent
        # No watch tells it what has changed.
        self._actors._memories.clear()
        try:
            result = asyncio.run(self._actors._pass(actor.Key(NAMESPACE, self.name), self._suspects))
            self._suspects, self.again = result or (frozenset(), None)
        except Killed:
            self.start_anew()
            return 1
        except StoreError:
            return 1
        return self.kube.writes.total() - before

    # What the cluster does

    def tick(self, count: int = 1) -> Self:
        for _ in range(count):
            self.server.now += dt.timedelta(seconds=1)
            nature.step(self.server)
            database.step(self.server, self.repository, self.refusal)
            self.rest.starts()
            self.console.step()
        return self

    def settle(self, limit: int = 60) -> int:
        """Pass and tick until nothing happens any more; how many rounds that took."""
        for number in range(limit):
            before = self._snapshot()
            writes = self.look()
            self.tick()
            if not writes and self._snapshot() == before:
                return number
        raise AssertionError(f"no rest after {limit} rounds: {self.status}")

    def settle_until(self, seen: Callable[[], bool], limit: int = 60) -> Self:
        """Pass and tick until it is seen."""
        for _ in range(limit):
            if seen():
                return self
            self.look()
            self.tick()
        raise AssertionError(f"not seen after {limit} rounds: {self.status}")

    # What can be seen

    @property
    def body(self) -> Manifest:
        return self.need("CheckpointStore", self.name)

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.body.get("status", {}))

    def condition(self, type_: str) -> dict[str, Any]:
        return next(item for item in self.status["conditions"] if item["type"] == type_)

    @property
    def states(self) -> dict[str, tuple[str, str]]:
        """Status and reason of each condition."""
        return {item["type"]: (item["status"], item["reason"]) for item in self.status["conditions"]}

    def need(self, kind: str, name: str) -> Manifest:
        found = self.server.get(kind, NAMESPACE, name)
        assert found is not None, f"{kind} {name} is not there"
        return found

    def secret(self, name: str) -> dict[str, str]:
        data = self.need("Secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def children(self) -> list[tuple[str, str]]:
        """Kind and name of everything that carries the store's label."""
        return [
            (kind, name)
            for (kind, _, name), item in sorted(self.server.objects.items())
            if item["metadata"].get("labels", {}).get(STORE_LABEL) == self.name
        ]

    def store(self) -> api.Store:
        return api.parse(self.body)

    def observed(self) -> Observed:
        seen = asyncio.run(observe.observe(Twin(self.server), self.store(), self._suspects, self.silent))
        return replace(seen, turn=self.turn, scale=self._actors.autoscaler.scale(f"{NAMESPACE}/{self.name}"))

    def plan(self) -> reconcile.Plan:
        return reconcile.plan(self.store(), self.observed(), PLATFORM, self.server.now)

    def _snapshot(self) -> dict[Any, str]:
        return {
            key: item["metadata"]["resourceVersion"] for key, item in self.server.objects.items() if key[0] != "Event"
        }


def _clock(server: ApiServer) -> type[dt.datetime]:
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(server.now.timestamp(), tz)

    return Clock
