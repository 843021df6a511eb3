"""docs/api.md: every field of the CRD is in it, and what it says of annotations, objects and the binding is so."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checkpointstore import reconcile
from checkpointstore.api import crd, reference, store
from checkpointstore.kernel import command
from checkpointstore.kernel.action import Action, Apply, Publish, Ref
from checkpointstore.kernel.env import Images, Platform
from checkpointstore.kernel.naming import DOMAIN
from checkpointstore.kernel.observed import Certificate, Observed, SecretFact, Server

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
PLATFORM = Platform(Images("postgres", "pgbouncer", "operator"))
SPECS: dict[str, dict[str, Any]] = {
    "Patroni": {},
    "External": {"postgres": {"provider": "External", "external": {"secretRef": {"name": "rds"}}}},
}


def paths(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from paths(child, f"{path}.{name}")


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "api.md").read_text() == reference.markdown(crd.checkpointstores())


@pytest.mark.parametrize("part", ["spec", "status"])
def test_every_field_has_a_row_and_a_description(part: str) -> None:
    schema = crd.checkpointstores()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    page = reference.markdown(crd.checkpointstores())
    rows = list(paths(schema["properties"][part], part))
    assert rows
    assert [path for path, _ in rows if f"| `{path}` |" not in page] == []
    assert [path for path, node in rows if not node.get("description")] == []


def test_every_annotation_is_documented() -> None:
    commands = {value for name, value in vars(command).items() if name.isupper() and name != "DOMAIN"}
    assert {row[0] for row in reference.COMMANDS} == commands
    assert all(name.startswith(f"{DOMAIN}/") for name in commands)


def test_every_key_of_the_binding_is_documented() -> None:
    template = next(action for action in settled("Patroni") if isinstance(action, Publish)).template
    assert [key for key, _ in reference.BINDING] == list(template)


def fact(name: str) -> SecretFact:
    certificate = Certificate("anybody", (), NOW + timedelta(days=90), "f", "k")
    return SecretFact(name, "1", frozenset(), True, username="app_a", certificate=certificate, source="1")


def settled(provider: str) -> list[Action]:
    """All that the operator does from nothing until every Secret and the schema stand."""
    body: dict[str, Any] = {
        "metadata": {
            "name": "store",
            "namespace": "shop",
            "uid": "u",
            "generation": 1,
            "creationTimestamp": "2026-11-21T00:00:00Z",
        },
        "spec": SPECS[provider],
    }
    server = Server("1", frozenset({"host", "port", "database", "username", "password"}), "db", "5432", "app")
    observed = Observed(server=server if provider == "External" else None)
    actions: list[Action] = []
    for _ in range(4):
        plan = reconcile.plan(store.parse(body), observed, PLATFORM, NOW)
        actions += plan.actions
        observed = seen(observed, plan.actions)
    return actions


def seen(observed: Observed, actions: tuple[Action, ...]) -> Observed:
    """The cluster after the actions, with every Job and Deployment at its end."""
    objects, secrets = dict(observed.objects), dict(observed.secrets)
    for action in actions:
        if isinstance(action, Apply):
            live = {**action.manifest, "status": finished(action.manifest)}
            live["metadata"] = {**live["metadata"], "generation": 1, "uid": "u2"}
            objects[Ref(live["kind"], live["metadata"]["name"])] = live
        elif not isinstance(action, Publish) and (secret := secret_of(action)):
            secrets[secret["metadata"]["name"]] = fact(secret["metadata"]["name"])
    return replace(observed, objects=objects, secrets=secrets)


def secret_of(action: Action) -> dict[str, Any] | None:
    """The Secret that an action makes, not one that it only names."""
    secret = getattr(action, "secret", None)
    return secret if isinstance(secret, dict) else None


def finished(manifest: dict[str, Any]) -> dict[str, Any]:
    count = manifest["spec"].get("replicas", 1) if "spec" in manifest else 1
    counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), count)
    complete = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-21T00:00:00Z"}
    return {"observedGeneration": 1, **counts, "conditions": [complete]}


def made(actions: list[Action]) -> set[tuple[str, str]]:
    manifests = [action.manifest if isinstance(action, Apply) else secret_of(action) for action in actions]
    return {(item["kind"], item["metadata"]["name"]) for item in manifests if item}


def documented(kind: str, name: str) -> str:
    """A name as the page writes it, with the digest of a Job left open."""
    name = name.removeprefix("store")
    return f"<name>{name.rpartition('-')[0]}-<digest>" if kind == "Job" else f"<name>{name}"


def test_every_object_that_a_store_makes_is_documented() -> None:
    found = {(kind, documented(kind, name)) for provider in SPECS for kind, name in made(settled(provider))}
    by_kubernetes = {("PersistentVolumeClaim", "data-<name>-<n>")}
    assert found == {(kind, name) for kind, name, _ in reference.MADE} - by_kubernetes


def test_an_external_store_makes_no_server() -> None:
    kinds = {kind for kind, _ in made(settled("External"))}
    assert not kinds & {"StatefulSet", "Role", "Endpoints"}
