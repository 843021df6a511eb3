"""Specs that are read, and specs that are refused with the field's path and never its value."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from checkpointstore.api import store as api
from checkpointstore.api.refusal import CHANGED, CREATED
from checkpointstore.kernel.errors import Refused
from tests.golden.case import EXTERNAL, FULL

SECRET = "hunter2-8f1c"


def parse(spec: Any, **meta: Any) -> api.Store:
    own = {"name": "agents", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", **meta}
    return api.parse({"metadata": own, "spec": spec})


def refusal(spec: Any) -> str:
    with pytest.raises(Refused) as caught:
        parse(spec)
    assert caught.value.reason == "InvalidSpec"
    return caught.value.message


@pytest.mark.parametrize("spec", [{}, None, FULL, EXTERNAL, *(row.before for row in CHANGED)])
def test_read(spec: dict[str, Any] | None) -> None:
    assert parse(spec).spec == parse(parse(spec).spec.model_dump(mode="json", by_alias=True)).spec


def test_an_empty_spec_is_one_small_instance() -> None:
    spec = parse({}).spec
    assert (spec.postgres.instances, spec.pooler.least) == (1, 2)
    assert spec.postgres.storage.storage_class_name is None
    assert not spec.bootstrap.adopt


def test_what_the_api_server_writes_around_the_spec() -> None:
    store = parse({}, generation=3, annotations={"a": "b"}, deletionTimestamp="2026-01-02T00:00:00Z")
    assert (store.generation, store.annotations) == (3, {"a": "b"})
    assert store.created.year == 2026
    assert (parse({}).generation, parse({}).annotations, parse({}).status) == (0, {}, {})


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("spec.postgres.instanses", {"postgres": {"instanses": 3}}),
        (f"spec.{SECRET}", {SECRET: 1}),
        ("spec.postgres.instances", {"postgres": {"instances": SECRET}}),
        ("spec.postgres.instances", {"postgres": {"instances": 0}}),
        ("spec.postgres.instances", {"postgres": {"instances": 10}}),
        ("spec.postgres.provider", {"postgres": {"provider": SECRET}}),
        ("spec.postgres.version", {"postgres": {"version": 16}}),
        ("spec.postgres.storage.size", {"postgres": {"storage": {"size": SECRET}}}),
        ("spec.postgres.resources.limits.memory", {"postgres": {"resources": {"limits": {"memory": SECRET}}}}),
        ("spec.postgres.parameters.work_mem", {"postgres": {"parameters": {"work_mem": 4}}}),
        ("spec.postgres.parameters", {"postgres": {"parameters": {"Port": SECRET}}}),
        ("spec.postgres.parameters", {"postgres": {"parameters": {"checkpointstore.revision": SECRET}}}),
        ("spec.postgres.parameters", {"postgres": {"parameters": {"Checkpointstore.any": SECRET}}}),
        ("spec.postgres.parameters", {"postgres": {"parameters": {f"p{i}": SECRET for i in range(101)}}}),
        ("spec.postgres", {"postgres": {"synchronous": {"number": 1}}}),
        ("spec.postgres", {"postgres": {"external": {"secretRef": {"name": SECRET}}}}),
        ("spec.postgres", {"postgres": {"provider": "External"}}),
        ("spec.postgres", {"postgres": {**EXTERNAL["postgres"], "instances": 2}}),
        ("spec.postgres.external.secretRef.name", {"postgres": {"external": {"secretRef": {"name": ""}}}}),
        ("spec.pooler.poolMode", {"pooler": {"poolMode": SECRET}}),
        ("spec.pooler.instances", {"pooler": {"instances": 21}}),
        ("spec.schema.modules", {"schema": {"modules": []}}),
        ("spec.schema.modules.0", {"schema": {"modules": [SECRET]}}),
        ("spec.networkPolicy.from.0", {"networkPolicy": {"from": [SECRET]}}),
        ("spec.reclaimPolicy.volumes", {"reclaimPolicy": {"volumes": SECRET}}),
        ("spec.bootstrap.adopt", {"bootstrap": {"adopt": SECRET}}),
    ],
)
def test_refused(path: str, spec: dict[str, Any]) -> None:
    message = refusal(spec)
    assert message.startswith(path), message
    assert SECRET not in message.replace(path, "")


def test_every_complaint_is_named() -> None:
    message = refusal({"postgres": {"instances": 0}, "pooler": {"instances": 0}})
    assert "spec.postgres.instances: " in message
    assert "spec.pooler.instances: " in message


REFUSED_BY_BOTH = [row for row in CREATED if "allOf" not in row.what]


@pytest.mark.parametrize("row", REFUSED_BY_BOTH, ids=lambda row: row.what)
def test_the_operator_refuses_what_the_api_server_refuses(row: Any) -> None:
    """A CRD of another release may let it pass; the operator says the same."""
    # A rule on the whole spec has no field of its own, and names them in its words.
    assert refusal(row.spec).startswith(("spec.", "spec: "))


def test_specs_are_frozen() -> None:
    spec = parse({}).spec
    with pytest.raises(Exception, match="frozen"):
        spec.postgres.__setattr__("instances", 2)
    assert TypeAdapter(dict[str, Any]).validate_python({}) == {}


@pytest.mark.parametrize("name", ["7up", "my.store", "Agents", "a-", "a" * 41])
def test_a_name_that_no_service_may_have(name: str) -> None:
    meta = {"name": name, "namespace": "shop", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    with pytest.raises(Refused, match=r"metadata\.name"):
        api.parse({"metadata": meta, "spec": {}})
