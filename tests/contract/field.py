"""Which fields a manifest sets, and who owns them: Server-Side Apply's bookkeeping for a store's kinds."""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

Path = tuple[str, ...]
Paths = frozenset[Path]

# Lists whose items have an identity; every other list is one value. The first row whose keys an item has counts.
LIST_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "conditions": (("type",),),
    "containers": (("name",),),
    "env": (("name",),),
    "imagePullSecrets": (("name",),),
    "ownerReferences": (("uid",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeMounts": (("mountPath",),),
    "volumes": (("name",),),
}
# Objects that are one value.
ATOMIC = frozenset(
    {
        "configMapKeyRef",
        "fieldRef",
        "labelSelector",
        "nodeSelector",
        "podSelector",
        "roleRef",
        "secretKeyRef",
        "selector",
    }
)
IDENTITY = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "generateName",
                "creationTimestamp",
                "uid",
                "resourceVersion",
                "generation",
            )
        ),
    }
)
# Lists whose items are one value each.
WHOLE = frozenset({"imagePullSecrets", "ownerReferences"})
DEFAULTS = {"protocol": "TCP"}


def owned(manifest: Mapping[str, Any]) -> Paths:
    """The leaves and the list items that whoever writes `manifest` owns."""
    return frozenset(
        path for path in _paths(manifest, (), "") if path not in IDENTITY and "f:managedFields" not in path
    )


def _paths(value: Any, at: Path, name: str) -> Iterable[Path]:
    if isinstance(value, dict) and value and name not in ATOMIC:
        for key, below in value.items():
            yield from _paths(below, (*at, f"f:{key}"), key)
    elif isinstance(value, list) and (keys := list_keys(name, value)):
        for item in value:
            step = (*at, item_step(item, keys))
            yield step
            if name not in WHOLE:
                yield from _paths(item, step, "")
    else:
        yield at


def list_keys(name: str, items: Iterable[Any]) -> tuple[str, ...]:
    """What identifies the items of the list `name`; nothing when the list is one value."""
    items = list(items)
    for keys in LIST_KEYS.get(name, ()):
        if items and all(keys[0] in item for item in items):
            return keys
    return ()


def item_step(item: Mapping[str, Any], keys: Iterable[str]) -> str:
    named = {key: item.get(key, DEFAULTS.get(key)) for key in keys}
    return "k:" + json.dumps(named, separators=(",", ":"), sort_keys=True)


def at(value: Any, path: Path) -> Any:
    """The value at `path`; KeyError where there is none."""
    for step in path:
        kind, _, name = step.partition(":")
        if kind == "f":
            if not isinstance(value, dict):
                raise KeyError(step)
            value = value[name]
        else:
            value = _item(value, name)
    return value


@cache
def _key(name: str) -> dict[str, Any]:
    key: dict[str, Any] = json.loads(name)
    return key


def _item(items: Any, name: str) -> Any:
    """The list item that `name`, the JSON of its keys, stands for; KeyError where there is none."""
    key = _key(name).items()
    for item in items:
        if all(item.get(field, DEFAULTS.get(field)) == value for field, value in key):
            return item
    raise KeyError(name)


def without(value: dict[str, Any], gone: Iterable[Path]) -> None:
    """Take the paths out of `value`, the deepest first; what is empty then stays, as on the real server."""
    for path in sorted(gone, key=len, reverse=True):
        try:
            parent, last = at(value, path[:-1]), path[-1]
            if last.startswith("f:"):
                parent.pop(last[2:], None)
            else:
                parent.remove(_item(parent, last[2:]))
        except KeyError:
            continue


def overlaid(live: Any, applied: Any, name: str = "") -> Any:
    """`live` with everything that `applied` sets."""
    if isinstance(live, dict) and isinstance(applied, dict) and name not in ATOMIC:
        return {**live, **{key: overlaid(live.get(key), value, key) for key, value in applied.items()}}
    keys = list_keys(name, applied) if isinstance(applied, list) and isinstance(live, list) else ()
    if not keys:
        return applied
    new = {item_step(item, keys): item for item in applied}
    old = {item_step(item, keys): item for item in live}
    return [overlaid(old.get(step), item) for step, item in new.items()] + [
        item for step, item in old.items() if step not in new
    ]


def tree(paths: Collection[Path]) -> dict[str, Any]:
    """`paths` in the form of managedFields' fieldsV1."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for place, step in enumerate(path):
            node = node.setdefault(step, {})
            # A list item that is more than one value says so beside its fields.
            if step.startswith("k:") and place + 1 < len(path) and path[: place + 1] in paths:
                node["."] = {}
    return root


def paths(tree: Mapping[str, Any], at: Path = ()) -> Iterable[Path]:
    """The inverse of `tree`."""
    for step, below in tree.items():
        if step == ".":
            yield at
        elif below:
            yield from paths(below, (*at, step))
        else:
            yield (*at, step)


def merged(live: Any, patch: Any) -> Any:
    """RFC 7386: a JSON merge patch."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(live) if isinstance(live, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
