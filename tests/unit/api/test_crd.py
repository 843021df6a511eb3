"""The CRD is one that an API server takes, and says the same as the models."""

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
import yaml

from checkpointstore.api import backup, crd
from checkpointstore.api import store as api
from checkpointstore.api.refusal import CREATED
from checkpointstore.api.status import BACKUP_STATUS, STATUS
from checkpointstore.kernel.fragment import Fragment
from tests.contract.world import World
from tests.golden.backup import BACKUP, RECOVERY
from tests.golden.case import CASES, EXTERNAL, FULL, minimal_first_pass

Node = dict[str, Any]
SCHEMA: Node = crd.checkpointstores()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC: Node = SCHEMA["properties"]["spec"]
BACKUP_SPEC: Node = crd.checkpointbackups()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
BACKED_UP: Node = {"backup": {**BACKUP, "encryption": {"name": "key", "key": "passphrase"}, "retentionPolicy": "4w"}}
COSTED: Node = {"monitoring": {"cost": {"cloud": "Azure", "prices": {"cpuHour": "0.03", "coldGiBMonth": "0.01"}}}}
RECOVERED: Node = {"bootstrap": {"recovery": RECOVERY}}


def nodes(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, below in node.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from nodes(node[key], f"{path}[]")


ALL = {
    **dict(nodes(SPEC, "spec")),
    **dict(nodes(STATUS, "status")),
    **dict(nodes(BACKUP_SPEC, "backup.spec")),
    **dict(nodes(BACKUP_STATUS, "backup.status")),
}
RULES = {rule["message"] for _, node in nodes(SCHEMA, "") for rule in node.get("x-kubernetes-validations", ())}


def complaints(node: Node, value: Any, path: str = "spec") -> Iterator[str]:
    """What a structural schema has against a value."""
    if node.get("x-kubernetes-preserve-unknown-fields"):
        if not isinstance(value, dict):
            yield f"{path}: no object"
    elif node.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int) and not (isinstance(value, str) and re.match(node["pattern"], value)):
            yield f"{path}: no quantity"
    elif not isinstance(value, TYPES[node["type"]]) or (node["type"] == "integer" and isinstance(value, bool)):
        yield f"{path}: must be {node['type']}"
    elif isinstance(value, dict):
        for name, below in value.items():
            rest = node.get("additionalProperties")
            if known := node.get("properties", {}).get(name, rest):
                yield from complaints(known, below, f"{path}.{name}")
            else:
                yield f"{path}.{name}: unknown"
        yield from (f"{path}.{name}: required" for name in node.get("required", ()) if name not in value)
    elif isinstance(value, list):
        if not node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value)):
            yield f"{path}: too few or too many"
        for number, item in enumerate(value):
            yield from complaints(node["items"], item, f"{path}[{number}]")
    elif value not in node.get("enum", [value]):
        yield f"{path}: none of the words"
    elif isinstance(value, str):
        if not re.search(node.get("pattern", ""), value):
            yield f"{path}: does not match"
        if not node.get("minLength", 0) <= len(value) <= node.get("maxLength", len(value)):
            yield f"{path}: too short or too long"
    elif isinstance(value, int) and not node.get("minimum", value) <= value <= node.get("maximum", value):
        yield f"{path}: out of range"


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def defaulted(node: Node, value: Any) -> Any:
    """A value as the API server stores it, with the schema's defaults."""
    if not isinstance(value, dict):
        return value
    result = dict(value)
    for name, below in node.get("properties", {}).items():
        if name not in result and "default" in below:
            result[name] = below["default"]
        if name in result:
            result[name] = defaulted(below, result[name])
    return result


@pytest.mark.parametrize("path", ALL)
def test_it_is_structural(path: str) -> None:
    """No null, no references, no unions; a type wherever one may be."""
    node = ALL[path]
    assert not node.keys() & {"$ref", "$defs", "anyOf", "allOf", "oneOf", "not", "nullable", "title", "const"}
    assert node.get("type") in {"object", "array", "string", "integer", "boolean"} or node["x-kubernetes-int-or-string"]
    assert None not in node.values()
    assert not {"properties", "additionalProperties"} <= node.keys()
    assert ("items" in node) == (node.get("type") == "array")


@pytest.mark.parametrize("path", [path for path in ALL if not path.endswith("[]")])
def test_every_field_says_what_it_is(path: str) -> None:
    text = ALL[path]["description"]
    assert text.endswith("."), text
    assert "\n" not in text


def test_every_default_is_valid() -> None:
    found = {path: node for path, node in ALL.items() if "default" in node}
    assert len(found) > 15
    for path, node in found.items():
        assert list(complaints(node, defaulted(node, node["default"]), path)) == []


@pytest.mark.parametrize(
    "spec",
    [{}, FULL, EXTERNAL, BACKED_UP, RECOVERED, COSTED],
    ids=["empty", "full", "external", "backed up", "recovered", "costed"],
)
def test_the_schema_and_the_models_agree_on_what_is_meant(spec: Node) -> None:
    stored = defaulted(SPEC, spec)
    assert list(complaints(SPEC, stored)) == []
    assert api.StoreSpec.model_validate(stored) == api.StoreSpec.model_validate(spec)


@pytest.mark.parametrize("row", CREATED, ids=lambda row: row.what)
def test_what_no_rule_refuses_the_schema_does(row: Any) -> None:
    by_rule = any(row.answer.endswith(message) for message in RULES)
    assert bool(list(complaints(SPEC, defaulted(SPEC, row.spec)))) != by_rule


def test_every_model_field_is_in_the_schema() -> None:
    def fields(model: type[Fragment], path: str) -> Iterator[str]:
        for field in model.model_fields.values():
            name = f"{path}.{field.alias}"
            yield name
            below = field.annotation
            name += "[]" if get_origin(below) is list else ""
            for option in get_args(below) or (below,):
                if isinstance(option, type) and issubclass(option, Fragment):
                    yield from fields(option, name)

    named = [*fields(api.StoreSpec, "spec"), *fields(backup.BackupSpec, "backup.spec")]
    assert {"spec.bootstrap.recovery.source.objectStore.ca.key", "backup.spec.store.name"} <= set(named)
    assert [name for name in named if name not in ALL] == []


WRITTEN = (
    "converged",
    "external-converged",
    "no-primary",
    "backup-verified",
    "backup-failed",
    "recovery-done",
    "cost-told",
)


@pytest.mark.parametrize("case", WRITTEN)
def test_the_status_that_is_written_is_in_the_schema(case: str) -> None:
    with World() as world:
        CASES[case](world)
        # What is due is written down too.
        world.look()
        assert list(complaints(STATUS, world.status, "status")) == []
        assert world.status["conditions"]
        for status in world.backups().values():
            assert list(complaints(BACKUP_STATUS, status, "backup.status")) == []
    assert minimal_first_pass in CASES.values()


BODIES = {"cps": crd.checkpointstores(), "cpb": crd.checkpointbackups()}


def test_the_files_are_the_generated_ones() -> None:
    texts = list(crd.files().values())
    assert [text.partition("by")[0] for text in texts] == ["# Generated "] * 2
    assert sorted((yaml.load(text, yaml.CSafeLoader) for text in texts), key=_name) == sorted(
        BODIES.values(), key=_name
    )


def _name(body: dict[str, Any]) -> str:
    return str(body["metadata"]["name"])


@pytest.mark.parametrize(
    ("short", "name", "columns"),
    [
        ("cps", "checkpointstores.checkpointstore.dev", ["Ready", "Phase"]),
        ("cpb", "checkpointbackups.checkpointstore.dev", ["Store", "Type", "Phase"]),
    ],
)
def test_names_and_columns(short: str, name: str, columns: list[str]) -> None:
    body = BODIES[short]
    assert body["metadata"]["name"] == name
    assert body["spec"]["names"]["shortNames"] == [short]
    (version,) = body["spec"]["versions"]
    shown = [column["name"] for column in version["additionalPrinterColumns"]]
    assert shown[: len(columns)] == columns
    assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize("short", BODIES)
def test_every_column_shows_a_field(short: str) -> None:
    (version,) = BODIES[short]["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    paths = [path for path, _ in nodes(schema, "")]
    for column in version["additionalPrinterColumns"]:
        path = re.sub(r"\[.*\]", "[]", column["jsonPath"])
        assert path in paths or path == ".metadata.creationTimestamp"
