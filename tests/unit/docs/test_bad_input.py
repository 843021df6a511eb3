"""The words that docs/api.md gives for bad input are the ones that the code says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from checkpointstore import reconcile
from checkpointstore.api import store
from checkpointstore.api.refusal import CHANGED, CREATED, TOLD, Refused, Told
from checkpointstore.features.schema import planner
from checkpointstore.features.schema.catalog import Catalog, Server
from checkpointstore.kernel import errors
from checkpointstore.kernel.action import Ref
from checkpointstore.kernel.condition import Condition, broken
from checkpointstore.kernel.env import Images, Platform
from checkpointstore.kernel.observed import Observed
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


SAID = {
    "InvalidSpec": lambda: invalid({"postgres": {"parameters": {"FSYNC": "off"}}}),
    "NameTaken": lambda: planned({}, Observed(foreign=frozenset({Ref("ConfigMap", "agents-postgres")}))),
    "DataExists": lambda: planned({}, Observed(objects={Ref("PersistentVolumeClaim", "data-agents-0"): CLAIM})),
    "NoDefaultStorageClass": lambda: planned({}, Observed(storage_class=False)),
    "StorageClassMissing": lambda: planned(FAST, Observed(storage_class=False)),
    "SecretMissing": lambda: planned(RDS, Observed()),
    "SecretIncomplete": lambda: planned(RDS, Observed(server=HALF)),
    "ShallowSchema": lambda: in_database(replace(COMPLETE, tables={**TABLES, **SHALLOW})),
    "NewerSchema": lambda: in_database(replace(COMPLETE, versions=frozenset(range(11)))),
    "UnsupportedVersion": lambda: in_database(replace(COMPLETE, server=Server(version=130020)), external=True),
    "InsufficientPrivilege": lambda: in_database(replace(COMPLETE, admin=replace(DBA, createrole=False)), True),
}


@pytest.mark.parametrize("row", TOLD, ids=lambda row: row.what)
def test_a_condition_says_what_the_page_says(row: Told) -> None:
    said = SAID[row.reason]()
    assert (said.type, said.reason, said.message) == (row.condition, row.reason, row.message)


@pytest.mark.parametrize("row", CREATED, ids=lambda row: row.what)
def test_the_operator_refuses_what_the_api_server_refuses(row: Refused) -> None:
    """A CRD of another release, or none of its rules, must not let such a spec through."""
    assert invalid(dict(row.spec)).reason == "InvalidSpec"


@pytest.mark.parametrize("row", CHANGED, ids=lambda row: row.what)
def test_what_is_refused_as_a_change_is_a_spec_in_itself(row: Refused) -> None:
    assert parsed(dict(row.before or {})) != parsed(dict(row.spec))
