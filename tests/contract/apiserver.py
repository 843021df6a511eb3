"""An API server in memory: versions, generations, field ownership and refusals, as far as an operator can tell."""

import datetime as dt
import json
import marshal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.errors import Conflict, Refused, Terminating
from checkpointstore.kernel.manifest import FIELD_MANAGER

from . import default
from .field import IDENTITY, Paths, at, merged, overlaid, owned, paths, tree, without

Key = tuple[str, str, str]
Moment = tuple[dt.datetime, dict[Key, Manifest], dict[Key, bytes], int, int]
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
GENERATIONS = frozenset(
    {
        "CheckpointBackup",
        "CheckpointStore",
        "Deployment",
        "Job",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "StatefulSet",
    }
)
HAS_STATUS = GENERATIONS - {"NetworkPolicy"} | {"Pod"}
CHANGEABLE = {
    "StatefulSet": {"replicas", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy"},
    "Job": {"suspend", "backoffLimit"},
    "PersistentVolumeClaim": {"resources"},
    "CheckpointBackup": set(),
}
FIXED = {"Deployment": ("spec", "selector"), "RoleBinding": ("roleRef",)}


@dataclass
class ApiServer:
    """Objects by (kind, namespace, name). What goes in is copied through JSON, as on the wire.

    What comes out is what is kept, which is never changed but replaced; `untouched` tells whether readers held to that.
    """

    now: dt.datetime = START
    objects: dict[Key, Manifest] = field(default_factory=dict)
    deleted: list[Manifest] = field(default_factory=list)
    """Everything that was ever deleted, in order."""
    watchers: list[Callable[[Manifest], None]] = field(default_factory=list)
    resizes: bool = True
    """Volumes get the size that their claims ask for at once; else never."""
    terminating: set[str] = field(default_factory=set)
    """Namespaces that are being deleted."""
    _version: int = 0
    _made: int = 0
    _packed: dict[Key, bytes] = field(default_factory=dict)

    def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        return self.objects.get((kind, namespace or "", name))

    def all(self, kind: str, namespace: str | None = None, selector: Mapping[str, str] | None = None) -> list[Manifest]:
        wanted = (selector or {}).items()
        found = [key for key in self.objects if key[0] == kind and (namespace is None or key[1] == namespace)]
        items = (self.objects[key] for key in sorted(found))
        return [item for item in items if wanted <= item["metadata"].get("labels", {}).items()]

    def moment(self) -> Moment:
        return self.now, dict(self.objects), dict(self._packed), self._version, self._made

    def back(self, to: Moment) -> None:
        """All but what was deleted is as it was at that moment."""
        self.now, objects, packed, self._version, self._made = to
        self.objects, self._packed = dict(objects), dict(packed)

    def untouched(self) -> bool:
        """Whether everything is as it was stored."""
        return all(_pack(item) == self._packed[key] for key, item in self.objects.items())

    def create(self, manifest: Manifest, manager: str = FIELD_MANAGER) -> Manifest:
        body = wire(manifest)
        meta = body["metadata"]
        if "name" not in meta:
            meta["name"] = f"{meta.pop('generateName')}{self._made:05x}"
        if self._key(body) in self.objects:
            raise Conflict(f"{body['kind']} {meta['name']} already exists")
        body = self._born(body)
        return self._store({}, body, {(manager, "Update", ""): owned(manifest) - IDENTITY})

    def apply(self, manifest: Manifest, manager: str = FIELD_MANAGER) -> Manifest:
        """Server-Side Apply with force."""
        sent = wire(manifest)
        live = self.objects.get(self._key(sent))
        mine = (manager, "Apply", "")
        entries = _entries(live or {})
        after = _copied(live) if live else self._born({key: sent[key] for key in ("apiVersion", "kind", "metadata")})
        wanted = owned(sent)
        others = frozenset[tuple[str, ...]]().union(*(have for who, have in entries.items() if who != mine))
        without(after, entries.get(mine, frozenset()) - wanted - others)
        after = overlaid(after, sent)
        return self._store(live or {}, after, {**_kept(entries, live or {}, after), mine: wanted})

    def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        manager: str = FIELD_MANAGER,
        subresource: str = "",
    ) -> Manifest | None:
        """JSON merge patch of the object, or of its status alone."""
        live = self.objects.get((kind, namespace, name))
        if live is None:
            return None
        sent = wire(patch)
        if (version := sent.get("metadata", {}).get("resourceVersion")) not in (
            None,
            live["metadata"]["resourceVersion"],
        ):
            raise Conflict(f"{kind} {name} has changed since version {version}")
        if subresource == "status":
            after = {**live, "status": merged(live.get("status", {}), sent.get("status"))}
        else:
            after = merged(live, sent)
            if kind in HAS_STATUS and "status" in live:
                after["status"] = live["status"]
        if after == live:
            return live
        changed = _changed(live, after)
        entries = _kept(_entries(live), live, after)
        me = (manager, "Update", subresource)
        return self._store(live, after, {**entries, me: entries.get(me, frozenset()) | changed})

    def replace(self, manifest: Manifest) -> Manifest | None:
        """PUT of the whole object; Conflict when it was read before its last change."""
        body = wire(manifest)
        live = self.objects.get(self._key(body))
        if live is None:
            return None
        if body["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
            raise Conflict(f"{body['kind']} {body['metadata']['name']} has been modified")
        return self._store(live, body, _kept(_entries(live), live, body))

    def delete(self, kind: str, namespace: str, name: str, force: bool = False, orphan: bool = False) -> bool:
        """Whether there was something to delete. A pod stays, marked, until its kubelet has stopped it."""
        live = self.objects.get((kind, namespace, name))
        if live is None:
            return False
        if kind == "Pod" and not force:
            if "deletionTimestamp" not in live["metadata"]:
                self._keep(_with_meta(live, deletionTimestamp=stamp(self.now)))
            return True
        del self.objects[kind, namespace, name]
        self.deleted.append(live)
        if orphan:
            for item in list(self.objects.values()):
                owners = item["metadata"].get("ownerReferences", [])
                left = [owner for owner in owners if owner["uid"] != live["metadata"]["uid"]]
                if left != owners:
                    self._keep(_with_meta(item, ownerReferences=left))
        if kind == "Service":
            self.delete("Endpoints", namespace, name)
        self._told(live)
        return True

    def _born(self, body: Manifest) -> Manifest:
        if (namespace := body["metadata"].get("namespace")) in self.terminating:
            raise Terminating("Forbidden", f"{body['kind']}: namespace {namespace} is being terminated")
        self._made += 1
        body["metadata"]["uid"] = f"00000000-0000-4000-8000-{self._made:012d}"
        body["metadata"]["creationTimestamp"] = stamp(self.now)
        return body

    def _store(self, live: Manifest, after: Manifest, entries: Mapping[tuple[str, str, str], Paths]) -> Manifest:
        after = _with_meta(default.filled(after))
        _check(live, after)
        kind, meta = after["kind"], after["metadata"]
        if kind in GENERATIONS:
            changed = _without_meta(live) != _without_meta(after)
            meta["generation"] = live.get("metadata", {}).get("generation", 0) + (1 if changed else 0)
        meta["managedFields"] = [
            {
                "manager": manager,
                "operation": operation,
                **({"subresource": subresource} if subresource else {}),
                "fieldsV1": tree(have),
            }
            for (manager, operation, subresource), have in sorted(entries.items())
            if have
        ]
        return self._keep(after) if after != live else live

    def _keep(self, item: Manifest) -> Manifest:
        self._version += 1
        kept = _with_meta(item, resourceVersion=str(self._version))
        key = self._key(kept)
        self.objects[key], self._packed[key] = kept, _pack(kept)
        self._told(kept)
        return kept

    def _told(self, item: Manifest) -> None:
        for watcher in self.watchers:
            watcher(item)

    @staticmethod
    def _key(manifest: Manifest) -> Key:
        meta = manifest["metadata"]
        return manifest["kind"], meta.get("namespace", ""), meta["name"]


def wire(value: Any) -> Any:
    """As it comes in over the network."""
    return json.loads(json.dumps(value))


def _copied(live: Manifest) -> Manifest:
    copy: Manifest = marshal.loads(_pack(live))
    return copy


def _pack(live: Manifest) -> bytes:
    """The same for what is equal: of this version of the format, which knows no references."""
    return marshal.dumps(live, 2)


def _with_meta(item: Manifest, **more: Any) -> Manifest:
    return {**item, "metadata": {**item["metadata"], **more}}


def stamp(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _entries(live: Manifest) -> dict[tuple[str, str, str], Paths]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): frozenset(paths(entry["fieldsV1"]))
        for entry in live.get("metadata", {}).get("managedFields", ())
    }


def _changed(before: Manifest, after: Manifest) -> Paths:
    """What `after` sets otherwise than `before`."""
    return frozenset(path for path in owned(after) if not path[-1].startswith("k:") and not _same(before, after, path))


def _kept(entries: Mapping[tuple[str, str, str], Paths], before: Manifest, after: Manifest) -> dict[Any, Paths]:
    """Who still owns what: a field that somebody changed is no longer its former owner's."""
    return {
        who: frozenset(path for path in have if path[-1].startswith("k:") or _same(before, after, path))
        for who, have in entries.items()
    }


def _same(before: Manifest, after: Manifest, path: tuple[str, ...]) -> bool:
    try:
        return bool(at(before, path) == at(after, path))
    except KeyError:
        return False


def _without_meta(item: Manifest) -> Manifest:
    return {key: value for key, value in item.items() if key not in ("metadata", "status")}


def _check(live: Manifest, after: Manifest) -> None:
    """Refuse what the API server refuses: changes of what is immutable."""
    kind = after["kind"]
    if not live:
        return
    if kind in CHANGEABLE:
        before, now = live["spec"], after["spec"]
        changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
        if fixed := changed - CHANGEABLE[kind]:
            raise Refused("Rejected", f"{kind} {after['metadata']['name']}: {', '.join(sorted(fixed))} is immutable")
    if kind in FIXED:
        before = now = None
        for step in FIXED[kind]:
            before, now = (before or live)[step], (now or after)[step]
        if before != now:
            raise Refused("Rejected", f"{kind} {after['metadata']['name']}: {'.'.join(FIXED[kind])} is immutable")
