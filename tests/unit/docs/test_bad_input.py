"""The words that docs/api.md gives for bad input are the ones that the code says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from checkpointstore import reconcile
from checkpointstore.api import backup, store
from checkpointstore.api.refusal import CHANGED, CHANGED_BACKUP, CHANGED_LATER, CREATED, TOLD
from checkpointstore.api.refused import Refused, Told
from checkpointstore.features.schema import planner
from checkpointstore.features.schema.catalog import Catalog, Server
from checkpointstore.kernel import errors
from checkpointstore.kernel.action import Ref
from checkpointstore.kernel.condition import Condition, broken
from checkpointstore.kernel.env import Images, Platform
from checkpointstore.kernel.observed import Given, Observed
from checkpointstore.kernel.observed import Server as External
from tests.unit.schema.facts import COMPLETE, DBA, EXTERNAL, PATRONI, TABLES, without

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PLATFORM = Platform(Images("postgres", "pgbouncer", "operator"))
FAST = {"postgres": {"storage": {"storageClassName": "fast"}}}
RDS = {"postgres": {"provider": "External", "external": {"secretRef": {"name": "rds"}}}}
CLAIM = {"metadata": {"name": "data-agents-0", "labels": {}, "creationTimestamp": "2026-11-20T00:00:00Z"}}
HALF = External("1", frozenset({"host", "port"}), "db", "5432")
SHALLOW = {"checkpoints": without(TABLES["checkpoints"], "checkpoint_id")}


def parsed(spec: dict[str, Any]) -> store.Store:
    metadata = {"name": "agents", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-11-21T00:00:00Z"}
    return store.parse({"metadata": metadata, "spec": spec})


def invalid(spec: dict[str, Any]) -> Condition:
    with pytest.raises(errors.Refused) as caught:
        parsed(spec)
    (part,) = reconcile.rejected(caught.value.reason, caught.value.message, {}).parts
    return part


def planned(spec: dict[str, Any], observed: Observed) -> Condition:
    plan = reconcile.plan(parsed(spec), observed, PLATFORM, NOW)
    return next(part for part in plan.parts if part.stalls)


def in_database(catalog: Catalog, external: bool = False) -> Condition:
    with pytest.raises(errors.Refused) as caught:
        planner.plan(EXTERNAL if external else PATRONI, catalog, "app_a")
    return broken("SchemaApplied", caught.value.reason, caught.value.message)


def backed_up(**fields: Any) -> dict[str, Any]:
    return {"backup": {"objectStore": {"url": "s3://backups", "credentials": {"name": "bucket"}}, **fields}}


RECOVERY = {"bootstrap": {"recovery": {"backup": {"name": "agents-full-202611240300"}}}}
LEFT = Observed(objects={Ref("PersistentVolumeClaim", "data-agents-0"): CLAIM})
HALF_BUCKET = Observed(given={"bucket": Given("1", frozenset({"AWS_ACCESS_KEY_ID"}))})
SAID = {
    "a parameter that the operator owns, in another case": lambda: invalid(
        {"postgres": {"parameters": {"FSYNC": "off"}}}
    ),
    "a cron line that is never due": lambda: invalid(backed_up(schedules={"full": "0 2 */20 * 1#2"})),
    "a cron line with an hour that no day has": lambda: invalid(backed_up(schedules={"full": "0 25 * * *"})),
    "a recovery window of more than ten years": lambda: invalid(backed_up(retentionPolicy="9999d")),
    "an object of a name that the store needs, by somebody else": lambda: planned(
        {}, Observed(foreign=frozenset({Ref("ConfigMap", "agents-postgres")}))
    ),
    "volumes of an earlier store of this name": lambda: planned({}, LEFT),
    "volumes of an earlier store of this name, and a recovery": lambda: planned(RECOVERY, LEFT),
    "a CheckpointBackup to recover from that is not there": lambda: planned(RECOVERY, Observed()),
    "no StorageClass named, and no default one": lambda: planned({}, Observed(storage_class=False)),
    "a StorageClass that does not exist": lambda: planned(FAST, Observed(storage_class=False)),
    "a Secret that is not there": lambda: planned(RDS, Observed()),
    "a Secret that lacks a key": lambda: planned(RDS, Observed(server=HALF)),
    "credentials of an object store that are not there": lambda: planned(backed_up(), Observed()),
    "credentials of an object store that lack a key": lambda: planned(backed_up(), HALF_BUCKET),
    "tables made by ShallowPostgresSaver": lambda: in_database(replace(COMPLETE, tables={**TABLES, **SHALLOW})),
    "tables made by a newer saver": lambda: in_database(replace(COMPLETE, versions=frozenset(range(11)))),
    "an external server that is too old": lambda: in_database(
        replace(COMPLETE, server=Server(version=130020)), external=True
    ),
    "an external user that may not make roles": lambda: in_database(
        replace(COMPLETE, admin=replace(DBA, createrole=False)), True
    ),
}


@pytest.mark.parametrize("row", TOLD, ids=lambda row: row.what)
def test_a_condition_says_what_the_page_says(row: Told) -> None:
    said = SAID[row.what]()
    assert (said.type, said.reason, said.message) == (row.condition, row.reason, row.message)


@pytest.mark.parametrize("row", CREATED, ids=lambda row: row.what)
def test_the_operator_refuses_what_the_api_server_refuses(row: Refused) -> None:
    """A CRD of another release, or none of its rules, must not let such a spec through."""
    assert invalid(dict(row.spec)).reason == "InvalidSpec"


@pytest.mark.parametrize("row", [*CHANGED, *CHANGED_LATER], ids=lambda row: row.what)
def test_what_is_refused_as_a_change_is_a_spec_in_itself(row: Refused) -> None:
    assert parsed(dict(row.before or {})) != parsed(dict(row.spec))


@pytest.mark.parametrize("row", CHANGED_BACKUP, ids=lambda row: row.what)
def test_what_is_refused_as_a_change_of_a_backup_is_a_backup_in_itself(row: Refused) -> None:
    old, new = (backup.BackupSpec.model_validate(spec) for spec in (row.before, row.spec))
    assert old != new
