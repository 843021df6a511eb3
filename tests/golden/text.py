"""Golden files: a store, what was seen of it and what is planned, as YAML that a person can read a difference of."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from checkpointstore import reconcile
from checkpointstore.kernel.manifest import ref
from checkpointstore.kernel.observed import Observed, SecretFact

_OBSERVED = TypeAdapter(Observed)
_FACT = TypeAdapter(SecretFact)


class _Block(yaml.CSafeDumper):
    """Texts of several lines as blocks; equal parts written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Block, text: str) -> yaml.Node:
    style = "|" if "\n" in text and "\t" not in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Block.add_representer(str, _text)


def dumped(value: Any) -> str:
    return yaml.dump(value, Dumper=_Block, sort_keys=False, width=110)


def observed(seen: Observed, now: datetime) -> str:
    """One line for each part of a live object: it is what is read, not what is reviewed."""
    facts = _OBSERVED.dump_python(seen, mode="json", exclude={"objects", "secrets"})
    default = _OBSERVED.dump_python(Observed(), mode="json")
    told = {key: _ordered(value) for key, value in facts.items() if value != default[key]}
    lines = [dumped({"now": now.isoformat(), **told})]
    if seen.secrets:
        lines.append("secrets:\n")
    for name, fact in sorted(seen.secrets.items()):
        lines.append(f"  {name}: {_line(_ordered(_FACT.dump_python(fact, mode='json', exclude_defaults=True)))}\n")
    if seen.objects:
        lines.append("objects:\n")
    for key in sorted(seen.objects, key=lambda key: (key.kind, key.name)):
        parts = _unmarked(seen.objects[key])
        what = {"apiVersion": parts.pop("apiVersion"), "kind": parts.pop("kind")}
        lines += [f"- {_line(what)[1:-1]}".replace(", ", "\n  ") + "\n"]
        lines += [f"  {name}: {_line(part)}\n" for name, part in parts.items()]
    return "".join(lines)


def _line(value: Any) -> str:
    return (
        yaml.dump(value, Dumper=yaml.CSafeDumper, default_flow_style=True, width=10**9, sort_keys=False)
        .removesuffix("\n...\n")
        .strip()
    )


def _ordered(value: Any) -> Any:
    """Sets have no order; files have."""
    if isinstance(value, dict):
        return {key: sorted(item) if key == "keys" else _ordered(item) for key, item in value.items()}
    return sorted(value, key=str) if isinstance(value, list) else value


def _unmarked(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """managedFields on a line of their own, and only the entry that anybody reads."""
    meta = dict(manifest["metadata"])
    ours = [entry for entry in meta.pop("managedFields", ()) if entry["operation"] == "Apply"]
    return {**manifest, "metadata": meta, "managedFields": ours} if ours else {**manifest, "metadata": meta}


def seen(path: Path) -> tuple[Observed, datetime]:
    """The inverse of `observed`."""
    data = yaml.load(path.read_text(), yaml.CSafeLoader)
    now = datetime.fromisoformat(data.pop("now"))
    objects = {}
    for item in data.pop("objects", ()):
        if "managedFields" in item:
            item["metadata"]["managedFields"] = item.pop("managedFields")
        objects[ref(item)] = item
    return _OBSERVED.validate_python({**data, "objects": objects}), now


def planned(plan: reconcile.Plan, status: Mapping[str, Any]) -> str:
    return dumped(
        {
            "actions": [{type(action).__name__: _action(action)} for action in plan.actions],
            "serving": plan.serving,
            **({"again": str(plan.again)} if plan.again else {}),
            **({"release": True} if plan.release else {}),
            "status": dict(status),
        }
    )


def _action(action: Any) -> dict[str, Any]:
    return {item.name: _plain(getattr(action, item.name)) for item in fields(action)}


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return _action(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value
