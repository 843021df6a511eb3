"""Each sample sets only fields that the API has, says what it is for, and runs under Pod Security."""

import ast
import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import sync
from checkpointstore.api.backup import BackupSpec
from checkpointstore.api.store import StoreSpec
from checkpointstore.features.backup.repository import Repository

SAMPLES = sorted((sync.ROOT / "manifests" / "samples").glob("*.yaml"))


def documents(sample: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(sample.read_text(), yaml.CSafeLoader))


def stores(sample: Path) -> list[dict[str, Any]]:
    return [document for document in documents(sample) if document["kind"] == "CheckpointStore"]


def unknown(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    """Field paths of `value` that the structural schema does not name."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    if isinstance(value, list):
        return [found for item in value for found in unknown(item, schema["items"], f"{path}[]")]
    if not isinstance(value, dict):
        return []
    named, rest = schema.get("properties", {}), schema.get("additionalProperties")
    found: list[str] = []
    for key, item in value.items():
        part = named.get(key, rest)
        found += [f"{path}.{key}"] if part is None else unknown(item, part, f"{path}.{key}")
    return found


def backups(sample: Path) -> list[dict[str, Any]]:
    return [document for document in documents(sample) if document["kind"] == "CheckpointBackup"]


@functools.cache
def crd_schema(plural: str = "checkpointstores") -> dict[str, Any]:
    crd = yaml.load((sync.ROOT / "crds" / f"checkpointstore.dev_{plural}.yaml").read_text(), yaml.CSafeLoader)
    (version,) = crd["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_sets_only_fields_of_the_crd(sample: Path) -> None:
    for store in stores(sample):
        assert store["apiVersion"] == "checkpointstore.dev/v1alpha1"
        assert unknown(store["spec"], crd_schema(), "spec") == []
    for backup in backups(sample):
        assert backup["apiVersion"] == "checkpointstore.dev/v1alpha1"
        assert unknown(backup["spec"], crd_schema("checkpointbackups"), "spec") == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_operator_takes_a_sample(sample: Path) -> None:
    for store in stores(sample):
        StoreSpec.model_validate(store["spec"])
    for backup in backups(sample):
        BackupSpec.model_validate(backup["spec"])


@pytest.mark.parametrize("sample", ["backup", "recovery"])
def test_a_sample_with_a_bucket_brings_each_key_that_it_names(sample: str) -> None:
    file = sync.ROOT / "manifests" / "samples" / f"{sample}.yaml"
    (store,) = stores(file)
    given = {item["metadata"]["name"]: item["stringData"] for item in documents(file) if item["kind"] == "Secret"}
    spec = StoreSpec.model_validate(store["spec"])
    recovery = spec.bootstrap.recovery
    for place in (spec.backup, recovery and recovery.source):
        if place:
            needed = Repository(place.object_store, place.encryption, "").secrets()
            assert {name: keys for name, keys in needed.items() if not set(keys) <= given.get(name, {}).keys()} == {}
    assert spec.secrets() == given.keys()


def test_the_backup_by_hand_is_of_the_sample_s_store() -> None:
    file = sync.ROOT / "manifests" / "samples" / "backup.yaml"
    assert [backup["spec"]["store"]["name"] for backup in backups(file)] == [
        store["metadata"]["name"] for store in stores(file)
    ]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_opens_with_what_it_is_for(sample: Path) -> None:
    assert sample.read_text().startswith("# ")


def test_the_check_sees_a_field_that_does_not_exist() -> None:
    assert unknown({"postgres": {"instanses": 2}}, crd_schema(), "spec") == ["spec.postgres.instanses"]


def test_the_agent_waits_for_the_binding_of_the_quickstart() -> None:
    (config, deployment) = documents(sync.ROOT / "manifests" / "samples" / "agent-deployment.yaml")
    ast.parse(config["data"]["agent.py"])
    (store,) = stores(sync.ROOT / "manifests" / "samples" / "quickstart.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (variable,) = container["env"]
    secret = f"{store['metadata']['name']}-app"
    assert variable["valueFrom"]["secretKeyRef"] == {"name": secret, "key": "uri"}
    assert [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume] == [secret]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
