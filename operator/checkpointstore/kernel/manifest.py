"""Manifests as plain data: building blocks, and whether a live object already covers a desired one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from .action import Manifest, Ref
from .values import quantity

FIELD_MANAGER = "checkpointstore"
_LIST_KEYS = ("name", "mountPath", "containerPort", "port", "type", "ip", "uid", "topologyKey", "key")
_QUANTITIES = ("cpu", "memory", "storage", "ephemeral-storage")


def ref(manifest: Mapping[str, Any]) -> Ref:
    return Ref(manifest["kind"], manifest["metadata"]["name"])


def named(targets: Iterable[Ref]) -> str:
    """Objects as kubectl calls them, for people."""
    return ", ".join(sorted(f"{target.kind}/{target.name}" for target in targets))


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that makes `new` of `old`: what is gone is null, a list is one value."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if below := merge_patch(before, value):
                patch[key] = below
        elif value != before:
            patch[key] = value
    return patch


def covers(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether applying `desired` to `live` would change nothing: every field that we set stands and is ours, and we own
    no other.

    `live` is the object as the API server returns it, with managedFields; defaults that the server filled in, and
    fields of other managers, do not count.
    """
    return _within(live, desired) and _owned(live, desired)


def _within(live: Any, desired: Any, key: str = "") -> bool:
    if desired == live:
        return True
    if isinstance(desired, dict):
        return isinstance(live, dict) and all(
            name in live and _within(live[name], value, name) for name, value in desired.items()
        )
    if isinstance(desired, list | tuple):
        return isinstance(live, list) and _list_within(live, desired)
    return key in _QUANTITIES and live is not None and quantity(live) == quantity(desired)


def _list_within(live: Sequence[Any], desired: Sequence[Any]) -> bool:
    key = _list_key(desired)
    if key is None:
        return len(live) == len(desired) and all(_within(a, b) for a, b in zip(live, desired, strict=True))
    found = {item.get(key): item for item in live if isinstance(item, dict)}
    return all(item[key] in found and _within(found[item[key]], item) for item in desired)


def _list_key(items: Sequence[Any]) -> str | None:
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    for key in _LIST_KEYS:
        values = [item.get(key) for item in items]
        if all(isinstance(value, str | int) for value in values) and len(set(values)) == len(values):
            return key
    return None


def applied(live: Mapping[str, Any]) -> dict[str, Any]:
    """What of a live object we have set, without what tells which object it is; empty where nothing is ours."""
    fields = _ours(live)
    return dict(_part(live, fields)) if fields else {}


def _part(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of a value that `fields`, in the form of fieldsV1, names; an empty one is all of it."""
    below = {path: deeper for path, deeper in fields.items() if path != "."}
    if not below:
        return value
    if isinstance(value, Mapping):
        return {path[2:]: _part(value[path[2:]], deeper) for path, deeper in below.items() if path[2:] in value}
    keyed = ((_keyed(value, path[2:]), deeper) for path, deeper in below.items() if path.startswith("k:"))
    return [_part(item, deeper) for item, deeper in keyed if item is not None]


def _ours(live: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The fields that we have set, in the form of fieldsV1; None where there are none."""
    for entry in live.get("metadata", {}).get("managedFields", ()):
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields: Mapping[str, Any] = entry.get("fieldsV1", {})
            return fields
    return None


def our_data(live: Mapping[str, Any]) -> dict[str, str]:
    """What of a Secret's data we have set, and nobody else since; all of it where the API server does not say."""
    data, fields = live.get("data") or {}, _ours(live)
    return {key: value for key, value in data.items() if fields is None or f"f:{key}" in fields.get("f:data", {})}


def _owned(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether managedFields say that the fields of `desired`, and only they, are ours.

    A stranger who adds to a list that is one value for the API server takes the whole list from us.
    """
    fields = _ours(live)
    return fields is not None and not _unset(fields, desired) and _held(fields, _without_identity(desired))


def _without_identity(desired: Mapping[str, Any]) -> dict[str, Any]:
    """What of a manifest can be owned: not the names that tell which object it is."""
    metadata = {name: value for name, value in desired["metadata"].items() if name not in ("name", "namespace")}
    body = {name: value for name, value in desired.items() if name not in ("apiVersion", "kind", "metadata")}
    return {**body, "metadata": metadata} if metadata else body


def _held(fields: Mapping[str, Any], desired: Any) -> bool:
    """Whether `fields`, in the form of fieldsV1, names all that `desired` sets; an empty one is a whole value."""
    if not fields:
        return True
    if isinstance(desired, dict):
        return all(f"f:{name}" in fields and _held(fields[f"f:{name}"], value) for name, value in desired.items())
    ours = [(_keyed(desired, path[2:]), below) for path, below in fields.items() if path.startswith("k:")]
    return all(
        any(found is item and _held(below, item) for found, below in ours) for item in desired if isinstance(item, dict)
    )


def _unset(fields: Mapping[str, Any], desired: Any) -> bool:
    return any(_missing(path, below, desired) for path, below in fields.items() if path != ".")


def _missing(path: str, below: Mapping[str, Any], desired: Any) -> bool:
    kind, _, name = path.partition(":")
    if kind == "f":
        return not isinstance(desired, dict) or name not in desired or _unset(below, desired[name])
    if kind == "k":
        item = _keyed(desired, name)
        return item is None or _unset(below, item)
    return False


def _keyed(items: Any, key: str) -> Any:
    """The list item whose fields equal the JSON object `key`, as the API server names list-map items."""
    if not isinstance(items, list | tuple):
        return None
    wanted = _named(key)
    for item in items:
        if all(item.get(name, _DEFAULTS.get(name)) == value for name, value in wanted):
            return item
    return None


@lru_cache(maxsize=4096)
def _named(key: str) -> tuple[tuple[str, Any], ...]:
    return tuple(json.loads(key).items())


_DEFAULTS = {"protocol": "TCP"}


def by_ref(manifests: Iterable[Manifest]) -> dict[Ref, Manifest]:
    return {ref(manifest): manifest for manifest in manifests}
