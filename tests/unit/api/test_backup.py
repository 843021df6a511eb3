"""What is asked of a backup or a recovery: what the CRD lets through, and what only the operator refuses."""

import re
from typing import Any

import pytest
import yaml

from checkpointstore.api import crd
from checkpointstore.api import store as api
from checkpointstore.features.backup import recovery_spec
from checkpointstore.kernel.errors import Refused
from checkpointstore.kernel.object_store import UriStyle
from tests.golden.backup import BACKUP, RECOVERY, STORE
from tests.golden.case import EXTERNAL

ROOT = crd.checkpointstores()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = ROOT["properties"]["spec"]["properties"]
RECOVERY_SPEC = SPEC["bootstrap"]["properties"]["recovery"]
TARGET = RECOVERY_SPEC["properties"]["recoveryTarget"]
BACKUP_SPEC = crd.checkpointbackups()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def parse(spec: dict[str, Any]) -> api.StoreSpec:
    meta = {"name": "agents", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return api.parse({"metadata": meta, "spec": spec}).spec


def refusal(spec: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        parse(spec)
    return caught.value.message


def messages(node: dict[str, Any]) -> list[str]:
    return [rule["message"] for rule in node["x-kubernetes-validations"]]


def test_the_files_have_no_anchors() -> None:
    """kubectl reads them, and what people paste from them has no end elsewhere."""
    for text in crd.files().values():
        assert not re.search(r"(^|[\s:-])[&*](id)?[0-9]+\b", text)
        assert [token for token in yaml.scan(text) if isinstance(token, yaml.AnchorToken | yaml.AliasToken)] == []


def test_the_rules_on_recovery_are_where_they_are_needed() -> None:
    assert messages(RECOVERY_SPEC) == ["set exactly one of source and backup"]
    assert messages(TARGET) == ["set at most one of targetTime, targetLSN, targetImmediate, backupID"]
    assert messages(SPEC["bootstrap"]) == ["set at most one of adopt and recovery"]
    whole = {rule["fieldPath"]: rule for rule in ROOT["x-kubernetes-validations"] if "fieldPath" in rule}
    assert whole[".spec.backup"]["message"] == api.OWN_SERVER
    assert "has(self.spec.backup)" in whole[".spec.backup"]["rule"]
    assert "has(self.spec.bootstrap.recovery)" in whole[".spec.backup"]["rule"]
    for field in ("adopt", "recovery"):
        assert "Initialized" in whole[f".spec.bootstrap.{field}"]["rule"]
    assert messages(BACKUP_SPEC) == ["a backup never changes: make another"]


def test_every_target_is_counted_by_the_rule_and_by_the_model() -> None:
    fields = [recovery_spec.RecoveryTarget.model_fields[name].alias for name in recovery_spec.TARGETS]
    assert fields == ["targetTime", "targetLSN", "targetImmediate", "backupID"]
    (rule,) = recovery_spec.TARGET_RULES
    assert all(f"has(self.{field})" in rule["rule"] for field in fields)


TARGETS: dict[str, Any] = {
    "targetTime": "2026-01-01T00:00:00Z",
    "targetLSN": "0/3000100",
    "targetImmediate": True,
    "backupID": "20260101-000000F",
}


@pytest.mark.parametrize("one", TARGETS)
@pytest.mark.parametrize("other", TARGETS)
def test_two_targets_are_one_too_many(one: str, other: str) -> None:
    spec = {"bootstrap": {"recovery": {**RECOVERY, "recoveryTarget": {one: TARGETS[one], other: TARGETS[other]}}}}
    if one == other:
        assert parse(spec).bootstrap.recovery is not None
    else:
        assert "set at most one of targetTime, targetLSN, targetImmediate, backupID" in refusal(spec)


@pytest.mark.parametrize(
    ("target", "request_"),
    [
        ({}, {}),
        ({"targetTime": "2026-01-01T00:00:00+02:00"}, {"time": "2026-01-01T00:00:00+02:00"}),
        ({"targetLSN": "A/1"}, {"lsn": "A/1"}),
        ({"targetImmediate": True}, {"immediate": True}),
        ({"targetImmediate": False, "exclusive": False}, {}),
        ({"backupID": "20260101-000000F_20260102-000000D"}, {"backupId": "20260101-000000F_20260102-000000D"}),
        ({"targetTLI": "3", "exclusive": True}, {"timeline": "3", "exclusive": True}),
    ],
)
def test_a_target_in_the_words_of_the_job(target: dict[str, Any], request_: dict[str, Any]) -> None:
    found = parse({"bootstrap": {"recovery": {**RECOVERY, "recoveryTarget": target}}}).bootstrap.recovery
    assert found is not None
    assert found.recovery_target.request() == request_


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"targetTime": "2026-01-01T00:00:00"}, "(Z|[+-]"),
        ({"targetTime": "2026-13-01T00:00:00Z"}, "month must be in 1..12"),
        ({"targetTime": "yesterday"}, "targetTime"),
        ({"targetLSN": "0/3000100 "}, "targetLSN"),
        ({"backupID": "20260101"}, "backupID"),
        ({"targetTLI": "0"}, "targetTLI"),
        ({"targetTLI": "current"}, "targetTLI"),
    ],
)
def test_a_target_that_is_none(target: dict[str, Any], words: str) -> None:
    message = refusal({"bootstrap": {"recovery": {**RECOVERY, "recoveryTarget": target}}})
    assert message.startswith("spec.bootstrap.recovery.recoveryTarget.")
    assert words in message


@pytest.mark.parametrize("recovery", [{}, {**RECOVERY, "backup": {"name": "a"}}])
def test_a_recovery_is_from_one_place(recovery: dict[str, Any]) -> None:
    assert "set exactly one of source and backup" in refusal({"bootstrap": {"recovery": recovery}})


def test_a_recovery_takes_no_volumes_over() -> None:
    assert "set at most one of adopt and recovery" in refusal({"bootstrap": {"adopt": True, "recovery": RECOVERY}})


@pytest.mark.parametrize("more", [{"backup": BACKUP}, {"bootstrap": {"recovery": RECOVERY}}])
def test_another_ones_server_is_another_ones_to_back_up(more: dict[str, Any]) -> None:
    assert api.OWN_SERVER in refusal({**EXTERNAL, **more})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "https://backups"),
        ("url", "s3://Backups"),
        ("url", "s3://backups//twice"),
        ("url", "s3://backups/a{b}"),
        ("endpoint", "http://s3.example:9000"),
        ("endpoint", "https://s3.example/path"),
        ("region", "eu west"),
        ("uriStyle", "path"),
        ("credentials", {}),
        ("ca", {"name": "s3-ca"}),
    ],
)
def test_an_object_store_that_is_none(field: str, value: Any) -> None:
    """Nor does anything get through that would be a line of configuration, or an unencrypted way."""
    message = refusal({"backup": {"objectStore": {**STORE, field: value}}})
    assert message.startswith(f"spec.backup.objectStore.{field}")


def test_where_an_object_store_is() -> None:
    backup = parse({"backup": BACKUP}).backup
    amazon = parse({"backup": {"objectStore": {"url": "s3://whole/", "credentials": {"name": "s3"}}}}).backup
    assert backup is not None
    assert amazon is not None
    own, theirs = backup.object_store, amazon.object_store
    assert (own.bucket, own.folder, own.host, own.style) == ("backups", "/agents", "s3.example:9000", UriStyle.PATH)
    assert (theirs.bucket, theirs.folder, theirs.style) == ("whole", "", UriStyle.HOST)
    assert theirs.host == "s3.us-east-1.amazonaws.com"
    assert own.model_copy(update={"uri_style": UriStyle.HOST}).style is UriStyle.HOST


@pytest.mark.parametrize(
    ("backup", "field"),
    [
        ({"retentionPolicy": "0d"}, "retentionPolicy"),
        ({"retentionPolicy": "30"}, "retentionPolicy"),
        ({"retentionPolicy": "9999w"}, "retentionPolicy"),
        ({"schedules": {"full": "0 3 * *"}}, "schedules.full"),
        ({"schedules": {"incremental": "0 3 31 2 *"}}, "schedules.incremental"),
        ({"verification": {"schedule": "@daily"}}, "verification.schedule"),
        ({"verification": {"timeout": "0h"}}, "verification.timeout"),
        ({"verification": {"timeout": "90s"}}, "verification.timeout"),
        ({"encryption": {"name": "key"}}, "encryption.key"),
    ],
)
def test_what_is_refused_of_a_backup(backup: dict[str, Any], field: str) -> None:
    assert refusal({"backup": {**BACKUP, **backup}}).startswith(f"spec.backup.{field}: ")


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21600), ("90m", 5400), ("1m", 60)])
def test_a_timeout_in_seconds(text: str, seconds: int) -> None:
    backup = parse({"backup": {**BACKUP, "verification": {"timeout": text}}}).backup
    assert backup is not None
    assert backup.verification.seconds() == seconds


def test_the_secrets_that_a_spec_names() -> None:
    encryption = {"name": "key", "key": "passphrase"}
    source = {"objectStore": {**STORE, "credentials": {"name": "old"}}, "encryption": encryption}
    assert parse({}).secrets() == frozenset()
    assert parse({"backup": BACKUP}).secrets() == {"s3", "s3-ca"}
    assert parse({"backup": {**BACKUP, "encryption": encryption}}).secrets() == {"s3", "s3-ca", "key"}
    assert parse({"bootstrap": {"recovery": {"source": source}}}).secrets() == {"old", "s3-ca", "key"}
    assert parse({"bootstrap": {"recovery": {"backup": {"name": "a"}}}}).secrets() == frozenset()
