"""When a live object already is as desired: the rows say why it does or does not need another apply."""

from typing import Any

import pytest

from checkpointstore.kernel.manifest import FIELD_MANAGER, applied, covers

META = {"name": "agents", "namespace": "shop"}


def live(fields: dict[str, Any], *, entries: list[dict[str, Any]] | None = None, **body: Any) -> dict[str, Any]:
    ours = {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}
    return {"metadata": {**META, "managedFields": [ours] if entries is None else entries}, **body}


def desired(**body: Any) -> dict[str, Any]:
    return {"metadata": META, **body}


def data(**keys: str) -> dict[str, Any]:
    return {"f:data": {f"f:{key}": {} for key in keys}}


PORTS = [{"port": 5432, "name": "postgresql"}]
OWN_PORTS: dict[str, Any] = {
    "f:spec": {"f:ports": {'k:{"port":5432,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}}}
}
CONTAINER = {"name": "pgbouncer", "image": "one"}
OWN_CONTAINER: dict[str, Any] = {
    "f:spec": {"f:containers": {'k:{"name":"pgbouncer"}': {".": {}, "f:name": {}, "f:image": {}}}}
}


COVERED = {
    "the same": (live(data(a="1"), data={"a": "1"}), desired(data={"a": "1"})),
    "the server's defaults do not count": (
        live(data(a="1"), data={"a": "1"}, spec={"type": "ClusterIP"}),
        desired(data={"a": "1"}),
    ),
    "another manager's field does not count": (
        live(
            {},
            entries=[
                {"manager": "kubectl", "operation": "Update", "fieldsV1": data(b="2")},
                {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": data(a="1")},
            ],
            data={"a": "1", "b": "2"},
        ),
        desired(data={"a": "1"}),
    ),
    "a quantity in other words": (
        live({"f:spec": {"f:memory": {}}}, spec={"memory": "1Gi"}),
        desired(spec={"memory": "1024Mi"}),
    ),
    "a number and its text, where it is a quantity": (
        live({"f:spec": {"f:cpu": {}}}, spec={"cpu": "1"}),
        desired(spec={"cpu": 1}),
    ),
    "a list of items with names, in another order and with a default": (
        live(OWN_PORTS, spec={"ports": [{"name": "metrics", "port": 9}, {**PORTS[0], "protocol": "TCP"}]}),
        desired(spec={"ports": PORTS}),
    ),
    "a list-map item's default key is left out of what we set": (
        live(OWN_PORTS, spec={"ports": [{**PORTS[0], "protocol": "TCP"}]}),
        desired(spec={"ports": PORTS}),
    ),
    "a container that somebody added": (
        live(OWN_CONTAINER, spec={"containers": [{"name": "sidecar", "image": "x"}, CONTAINER]}),
        desired(spec={"containers": [CONTAINER]}),
    ),
    "a list without names": (
        live({"f:spec": {"f:args": {}}}, spec={"args": ["a", "b"]}),
        desired(spec={"args": ["a", "b"]}),
    ),
    "a tuple is a list": (
        live({"f:spec": {"f:args": {}}}, spec={"args": ["a"]}),
        desired(spec={"args": ("a",)}),
    ),
    "a set's items are the server's business": (
        live({"f:finalizers": {'v:"one"': {}}, **data(a="1")}, data={"a": "1"}, finalizers=["one"]),
        {**desired(data={"a": "1"}), "finalizers": ["one"]},
    ),
}
NOT_COVERED = {
    "another value": (live(data(a="1"), data={"a": "2"}), desired(data={"a": "1"})),
    "a field is missing": (live(data(a="1"), data={}), desired(data={"a": "1"})),
    "a field more is wanted": (live(data(a="1"), data={"a": "1"}), desired(data={"a": "1", "b": "2"})),
    "we own a field that we set no more": (
        live(data(a="1", b="2"), data={"a": "1", "b": "2"}),
        desired(data={"a": "1"}),
    ),
    "we own a whole part that we set no more": (
        live({**data(a="1"), "f:spec": {"f:type": {}}}, data={"a": "1"}, spec={"type": "ClusterIP"}),
        desired(data={"a": "1"}),
    ),
    "we own a list item that we set no more": (
        live(
            {"f:spec": {"f:ports": {**OWN_PORTS["f:spec"]["f:ports"], 'k:{"port":9,"protocol":"TCP"}': {".": {}}}}},
            spec={"ports": [*PORTS, {"port": 9}]},
        ),
        desired(spec={"ports": PORTS}),
    ),
    "we own a list item and want no list": (
        live(OWN_PORTS, spec={"ports": "none"}),
        desired(spec={"ports": "none"}),
    ),
    "we own part of a list item that we set no more": (
        live(OWN_CONTAINER, spec={"containers": [CONTAINER]}),
        desired(spec={"containers": [{"name": "pgbouncer"}]}),
    ),
    "we never applied it": (live({}, entries=[], data={"a": "1"}), desired(data={"a": "1"})),
    "only somebody else applied it": (
        live({}, entries=[{"manager": "argocd", "operation": "Apply", "fieldsV1": data(a="1")}], data={"a": "1"}),
        desired(data={"a": "1"}),
    ),
    "a shorter list without names": (
        live({"f:spec": {"f:args": {}}}, spec={"args": ["a"]}),
        desired(spec={"args": ["a", "b"]}),
    ),
    "a longer list without names": (
        live({"f:spec": {"f:args": {}}}, spec={"args": ["a", "b"]}),
        desired(spec={"args": ["a"]}),
    ),
    "another order where order means something": (
        live({"f:spec": {"f:args": {}}}, spec={"args": ["b", "a"]}),
        desired(spec={"args": ["a", "b"]}),
    ),
    "items that share their name are told apart by their place": (
        live({"f:spec": {"f:rules": {}}}, spec={"rules": [{"name": "a", "verb": "get"}, {"name": "a", "verb": "put"}]}),
        desired(spec={"rules": [{"name": "a", "verb": "put"}, {"name": "a", "verb": "get"}]}),
    ),
    "a list became something else": (live({}, spec={"args": "a"}), desired(spec={"args": ["a"]})),
    "an object became something else": (live({}, spec="a"), desired(spec={"args": ["a"]})),
    "a quantity that is another": (
        live({"f:spec": {"f:memory": {}}}, spec={"memory": "1Gi"}),
        desired(spec={"memory": "1G"}),
    ),
    "a quantity that is nothing": (
        live({"f:spec": {"f:memory": {}}}, spec={"memory": None}),
        desired(spec={"memory": "1G"}),
    ),
    "a stranger added to a list that is one value, and owns it now": (
        live(
            {"f:subjects": {}},
            entries=[{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": data(a="1")}],
            data={"a": "1"},
            subjects=[{"name": "ours"}, {"name": "theirs"}],
        ),
        desired(data={"a": "1"}, subjects=[{"name": "ours"}]),
    ),
    "a stranger took a list item's field": (
        live(
            {"f:spec": {"f:containers": {'k:{"name":"pgbouncer"}': {".": {}, "f:name": {}}}}},
            spec={"containers": [CONTAINER]},
        ),
        desired(spec={"containers": [CONTAINER]}),
    ),
    "text and number where it is no quantity": (
        live({"f:spec": {"f:port": {}}}, spec={"port": "1"}),
        desired(spec={"port": 1}),
    ),
}


@pytest.mark.parametrize("row", COVERED.values(), ids=COVERED)
def test_covered(row: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert covers(*row)


@pytest.mark.parametrize("row", NOT_COVERED.values(), ids=NOT_COVERED)
def test_not_covered(row: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert not covers(*row)


def test_what_we_have_set_is_found_among_defaults_and_what_others_set() -> None:
    body = {"containers": [{**CONTAINER, "imagePullPolicy": "Always"}, {"name": "injected"}], "replicas": 2}
    found = live(OWN_CONTAINER, spec=body)
    assert applied(found) == {"spec": {"containers": [CONTAINER]}}
    assert covers(found, desired(**applied(found)))
    assert applied(live({}, entries=[], spec=body)) == {}
