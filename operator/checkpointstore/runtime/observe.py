"""One look at one store's part of the cluster; secret values are turned into public facts here and go no further."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..adapters import archiver, certificate, filesystem, patroni, pgbouncer, progress, revision
from ..adapters.certificate import FILES
from ..adapters.kube import Kube
from ..api.store import Store
from ..features.backup.recovery_spec import recorded
from ..kernel.action import Manifest, Peer, Ref
from ..kernel.errors import Refused
from ..kernel.manifest import our_data
from ..kernel.naming import ROTATION, SINCE, SOURCE, STORE_LABEL, Names, host
from ..kernel.observed import Archiver, Given, Observed, Pooler, Progress, SecretFact, Server, Volume
from ..kernel.scheduled import OVER_THREADS
from ..providers.patroni.place import DATA
from ..providers.patroni.revision import due
from .memory import Memory

# Made by us with the store as their controller; the rest is made by Kubernetes or Patroni on our behalf.
OWNED = (
    "ConfigMap",
    "Deployment",
    "Job",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
    "StatefulSet",
)
FOLLOWING = ("Endpoints", "PersistentVolumeClaim", "Pod")
# Read anew each time: what Patroni writes there, no watch tells of.
RESTLESS = frozenset({"Endpoints", "Pod"})
DIGEST = "checkpointstore.dev/digest"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


async def observe(
    kube: Kube, store: Store, suspects: Collection[Ref], unreachable: frozenset[str], memory: Memory | None = None
) -> Observed:
    """Everything the core may know. `suspects` are names that an earlier pass found taken, looked at again; `memory`
    has what the store's last look read."""
    kinds = (*OWNED, *FOLLOWING)
    known = memory or Memory(kube, store.uid)
    selector = f"{STORE_LABEL}={store.name}"
    names = Names(store.name)
    secrets = (*_secret_names(names), *([names.blobs] if store.spec.limits.externalize else []))
    lists, values, taken, backups = await asyncio.gather(
        asyncio.gather(*((kube if kind in RESTLESS else known).all(kind, store.namespace, selector) for kind in kinds)),
        asyncio.gather(*(known.get("Secret", store.namespace, name) for name in secrets)),
        asyncio.gather(*(_taken(kube, store, ref) for ref in suspects)),
        kube.all("CheckpointBackup", store.namespace),
    )
    origin = _origin(store, backups)
    source = recorded(origin)
    wanted = store.spec.secrets() | (source.secrets() if source else frozenset())
    given = await asyncio.gather(*(_given(kube, store, name) for name in sorted(wanted)))
    objects = {
        Ref(kind, item["metadata"]["name"]): item
        for kind, items in zip(kinds, lists, strict=True)
        for item in items
        if kind in FOLLOWING or owned(item, store.uid)
    }
    # Anybody may ask for a backup, so they carry no label of ours.
    asked = (item for item in backups if item["spec"]["store"]["name"] == store.name)
    objects |= {Ref("CheckpointBackup", item["metadata"]["name"]): item for item in asked}
    facts = [fact(value, store.uid) for value in values if value is not None]
    others = (item for item in values if item is not None and not owned(item, store.uid))
    foreign = {
        **{Ref("Secret", item["metadata"]["name"]): item for item in others},
        **{ref: item for ref, item in zip(suspects, taken, strict=True) if item is not None},
    }
    seen = Observed(
        objects=objects,
        secrets={item.name: item for item in facts if item.ours},
        foreign=frozenset(foreign),
        leaving=frozenset(ref for ref, item in foreign.items() if _leaving(item, store)),
        storage_class=Ref("StatefulSet", store.name) in objects
        or await _has_class(kube, store.spec.postgres.storage.storage_class_name),
        expandable=await _expandable(kube, store, objects.values()),
        unreachable=unreachable,
        server=await _server(kube, store),
        given={name: item for name, item in given if item},
        origin=origin,
    )
    served, volumes, poolers, archivers, recoveries, runs = await asyncio.gather(
        _served(seen),
        _volumes(seen),
        _poolers(seen, store, values),
        _archivers(seen, store),
        _progress(seen),
        _runs(seen),
    )
    return replace(
        seen,
        served=served,
        volumes=volumes,
        poolers=poolers,
        archivers=archivers,
        revisions=await _revisions(seen, store),
        progress=recoveries,
        runs=runs,
    )


async def _served(seen: Observed) -> dict[str, str]:
    """What certificate each ready instance serves; those that do not answer are left out."""
    ready = seen.ready("postgres")
    prints = await asyncio.gather(*(patroni.served(pod["status"]["podIP"]) for pod in ready))
    return {pod["metadata"]["name"]: text for pod, text in zip(ready, prints, strict=True) if text}


async def _volumes(seen: Observed) -> dict[str, Volume]:
    """How full each instance's volume is; one that is full may keep its instance from being ready."""
    pods = seen.running("postgres")
    found = await asyncio.gather(*(filesystem.look(pod["status"]["podIP"], DATA) for pod in pods))
    return {pod["metadata"]["name"]: volume for pod, volume in zip(pods, found, strict=True) if volume}


async def _poolers(seen: Observed, store: Store, secrets: Iterable[Manifest | None]) -> dict[str, Pooler]:
    """What each ready pooler's console says; those that do not answer are left out."""
    names, ready = Names(store.name), seen.ready("pooler")
    admin = next((secret for secret in secrets if secret and secret["metadata"]["name"] == names.admin_tls), None)
    key = {name: base64.b64decode(value) for name, value in ((admin or {}).get("data") or {}).items()}
    if not key.keys() >= set(FILES):
        return {}
    console = host(names.pooler, store.namespace)
    found = await asyncio.gather(*(pgbouncer.look(Peer(console, pod["status"]["podIP"]), key) for pod in ready))
    return {pod["metadata"]["name"]: said for pod, said in zip(ready, found, strict=True) if said}


async def _archivers(seen: Observed, store: Store) -> dict[str, Archiver]:
    """How each instance's archiving is, where there is any."""
    pods = seen.running("postgres") if store.spec.backup else []
    found = await asyncio.gather(*(archiver.look(pod["status"]["podIP"]) for pod in pods))
    return {pod["metadata"]["name"]: said for pod, said in zip(pods, found, strict=True) if said}


async def _revisions(seen: Observed, store: Store) -> dict[str, str]:
    """Which parameters each instance has loaded, as long as some have not been seen to have those in force."""
    pods = seen.running("postgres") if due(Names(store.name), seen, store.status) else []
    found = await asyncio.gather(*(revision.look(pod["status"]["podIP"]) for pod in pods))
    return {pod["metadata"]["name"]: said for pod, said in zip(pods, found, strict=True) if said is not None}


async def _progress(seen: Observed) -> dict[str, Progress]:
    """How far recoveries are; there is none but in a new store."""
    pods = seen.running("recovery")
    found = await asyncio.gather(*(progress.look(pod["status"]["podIP"]) for pod in pods))
    return {pod["metadata"]["name"]: said for pod, said in zip(pods, found, strict=True) if said}


async def _runs(seen: Observed) -> dict[str, dict[str, int]]:
    """How far the Jobs over threads are that are at work."""
    pods = [pod for component in OVER_THREADS for pod in seen.running(component)]
    found = await asyncio.gather(*(progress.run(pod["status"]["podIP"]) for pod in pods))
    return {pod["metadata"]["name"]: said for pod, said in zip(pods, found, strict=True) if said}


async def _given(kube: Kube, store: Store, name: str) -> tuple[str, Given | None]:
    """The public side of a Secret that a person made."""
    secret = await kube.get("Secret", store.namespace, name)
    if secret is None:
        return name, None
    filled = (key for key, value in (secret.get("data") or {}).items() if value)
    return name, Given(secret["metadata"]["resourceVersion"], frozenset(filled))


def _origin(store: Store, backups: Iterable[Manifest]) -> Manifest | None:
    """The CheckpointBackup that the store is to be recovered from."""
    recovery = store.spec.bootstrap.recovery
    wanted = recovery.backup.name if recovery and recovery.backup else ""
    return next((item for item in backups if item["metadata"]["name"] == wanted), None)


async def _server(kube: Kube, store: Store) -> Server | None:
    """The public side of the user's Secret for an external server."""
    external = store.spec.postgres.external
    secret = await kube.get("Secret", store.namespace, external.secret_ref.name) if external else None
    if secret is None:
        return None
    data: Mapping[str, str] = secret.get("data") or {}
    plain = {
        key: base64.b64decode(data.get(key, "")).decode(errors="replace").rstrip("\r\n")
        for key in ("host", "port", "database", "sslmode")
    }
    return Server(version=secret["metadata"]["resourceVersion"], keys=frozenset(data), **plain)


def node_addresses(observed: Observed) -> frozenset[str]:
    """Where the poolers run: the nodes whose loss clients would notice first."""
    pods = observed.all("Pod", "pooler")
    return frozenset(host for pod in pods if (host := str(pod.get("status", {}).get("hostIP", ""))))


def instance_addresses(observed: Observed) -> frozenset[str]:
    """Where the instances run that can tell how full their volumes are."""
    return frozenset(str(pod["status"]["podIP"]) for pod in observed.running("postgres"))


def given_versions(store: Store, observed: Observed) -> dict[str, str]:
    """The Secrets that people made for the store by the version that was seen, "" of those that are not there."""
    external = store.spec.postgres.external
    server = {external.secret_ref.name: observed.server.version if observed.server else ""} if external else {}
    given = {name: secret.version for name, secret in observed.given.items()}
    return {**dict.fromkeys(store.spec.secrets(), ""), **given, **server}


def _secret_names(names: Names) -> tuple[str, ...]:
    return (
        names.authority,
        names.postgres_tls,
        names.admin_tls,
        names.pooler_tls,
        names.credentials,
        names.binding,
        names.pooler,
        names.backup_tls,
        names.repository,
        names.source,
    )


def owned(item: Mapping[str, Any], uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in item["metadata"].get("ownerReferences", ()))


async def _taken(kube: Kube, store: Store, ref: Ref) -> Manifest | None:
    live = await kube.get(ref.kind, store.namespace, ref.name)
    return live if live is not None and not owned(live, store.uid) else None


def _leaving(item: Manifest, store: Store) -> bool:
    """Whether another's object goes away by itself: it is being deleted, or an earlier store of this name owned it."""
    owners = item["metadata"].get("ownerReferences", ())
    earlier = any(owner["kind"] == "CheckpointStore" and owner["name"] == store.name for owner in owners)
    return earlier or "deletionTimestamp" in item["metadata"]


async def _has_class(kube: Kube, name: str | None) -> bool:
    """Whether volumes get the StorageClass of that name, or the default one; assumed where we may not ask."""
    try:
        classes = await kube.all("StorageClass", None)
    except Refused:
        return True
    if name is not None:
        return any(item["metadata"]["name"] == name for item in classes)
    return any(item["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) == "true" for item in classes)


async def _expandable(kube: Kube, store: Store, objects: Iterable[Manifest]) -> bool:
    """Whether volumes can grow that may grow by themselves; assumed where we may not ask."""
    used = {item["spec"].get("storageClassName") for item in objects if item.get("kind") == "PersistentVolumeClaim"}
    if store.spec.postgres.storage.autogrow is None or not used:
        return True
    try:
        classes = await kube.all("StorageClass", None)
    except Refused:
        return True
    fixed = {item["metadata"]["name"] for item in classes if not item.get("allowVolumeExpansion")}
    return used.isdisjoint(fixed)


def fact(secret: Manifest, uid: str) -> SecretFact:
    """The public side of a Secret."""
    meta = secret["metadata"]
    data: Mapping[str, str] = secret.get("data") or {}
    annotations = meta.get("annotations") or {}
    pem = base64.b64decode(data.get("tls.crt") or data.get("ca.crt") or "")
    return SecretFact(
        name=meta["name"],
        uid=meta["uid"],
        version=meta["resourceVersion"],
        keys=frozenset(data),
        ours=owned(secret, uid),
        username=base64.b64decode(data.get("username", "")).decode(errors="replace"),
        certificate=certificate.facts(pem) if pem else None,
        intact=DIGEST not in annotations or annotations[DIGEST] == digest(our_data(secret)),
        trust=certificate.fingerprints(base64.b64decode(data.get("trust.crt") or data.get("ca.crt") or "")),
        rotation=annotations.get(ROTATION, ""),
        since=datetime.fromisoformat(annotations[SINCE]) if SINCE in annotations else None,
        source=annotations.get(SOURCE, ""),
    )


def digest(data: Mapping[str, str]) -> str:
    """A digest of a Secret's content; safe to show, as each of ours holds 256 random bits."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]
