"""docs/api.md: every field of the CRD is in it, and what it says of annotations, objects and the binding is so."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkpointstore.api import crd, reference
from checkpointstore.kernel import command
from checkpointstore.kernel.naming import DOMAIN
from checkpointstore.runtime.observe import owned
from tests.contract.world import World
from tests.golden.backup import BACKUP, OUTSIDE, RECOVERY
from tests.golden.case import EXTERNAL
from tests.unit.backup.story import later

ROOT = Path(__file__).resolve().parents[3]
COLD = {
    "tiering": {
        "objectStore": {"url": "s3://cold", "credentials": {"name": "s3"}},
        "tiers": [{"name": "cold", "after": "90d"}],
        "schedule": "* * * * *",
    }
}
SPECS: dict[str, dict[str, Any]] = {
    "Patroni": {"backup": BACKUP},
    "recovered": {**COLD, "bootstrap": {"recovery": RECOVERY}},
    "External": EXTERNAL,
    "cold": COLD,
    "outside": {**OUTSIDE},
    "pruned": {"retention": {"deleteAfter": "400d", "schedule": "* * * * *"}},
}
PAGE = reference.markdown(crd.checkpointstores(), crd.checkpointbackups())


def paths(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from paths(child, f"{path}.{name}")


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "api.md").read_text() == PAGE


BACKUPS = PAGE.partition("\n## Kind CheckpointBackup\n")[2].partition("\n## ")[0]
KINDS = {
    "CheckpointStore": (crd.checkpointstores, PAGE.replace(BACKUPS, "")),
    "CheckpointBackup": (crd.checkpointbackups, BACKUPS),
}


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_row_and_a_description(kind: str, part: str) -> None:
    body, page = KINDS[kind]
    schema = body()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rows = list(paths(schema["properties"][part], part))
    assert rows
    assert [path for path, _ in rows if f"| `{path}` |" not in page] == []
    assert [path for path, node in rows if not node.get("description")] == []


def test_every_annotation_is_documented() -> None:
    commands = {value for name, value in vars(command).items() if name.isupper() and name != "DOMAIN"}
    assert {row[0] for row in reference.COMMANDS} == commands
    assert all(name.startswith(f"{DOMAIN}/") for name in commands)


def test_every_key_of_the_binding_is_documented() -> None:
    with World("store") as world:
        world.make().settle()
        assert [key for key, _ in reference.BINDING] == list(world.secret("store-app"))


def made(case: str) -> set[tuple[str, str]]:
    """Kind and name of everything that the operator makes for a store until it rests, what went again included."""
    with World("store") as world:
        world.rds().buckets()
        world.make(SPECS[case]).settle()
        if case in ("pruned", "cold", "outside"):
            later(world, hours=1).settle()
        store = world.body["metadata"]["uid"]
        left = {key for key in world.children() if key[0] in UNOWNED or owned(world.need(*key), store)}
        return left | set(world.removed)


UNOWNED = ("CheckpointBackup",)


def documented(kind: str, name: str) -> str:
    """A name as the page writes it, with the digest of a Job and the time of a backup left open."""
    name = name.removeprefix("store")
    if kind == "CheckpointBackup":
        return re.sub(r"^-[a-z]+-[0-9]{12}$", "<name>-<type>-<time>", name)
    return f"<name>{name.rpartition('-')[0]}-<digest>" if kind == "Job" else f"<name>{name}"


def test_every_object_that_a_store_makes_is_documented() -> None:
    found = {(kind, documented(kind, name)) for case in SPECS for kind, name in made(case)}
    by_kubernetes = {("PersistentVolumeClaim", "data-<name>-<n>")}
    assert found == {(kind, name) for kind, name, _ in reference.MADE} - by_kubernetes


def test_an_external_store_makes_no_server() -> None:
    kinds = {kind for kind, _ in made("External")}
    assert "Deployment" in kinds
    assert not kinds & {"StatefulSet", "Role", "Endpoints"}
