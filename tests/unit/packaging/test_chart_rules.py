"""The operator's rights: exactly what it needs, in the narrowest scope, and none that reads every Secret."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from charts import sync
from checkpointstore import reconcile
from checkpointstore.adapters.kube import PATHS
from checkpointstore.api.store import parse
from checkpointstore.kernel.action import Apply
from checkpointstore.kernel.env import Images, Platform
from checkpointstore.kernel.observed import Observed
from checkpointstore.runtime import lease
from checkpointstore.runtime.handlers import CHILDREN
from checkpointstore.runtime.observe import FOLLOWING, OWNED
from tests.unit.packaging.rendered import Rendered

NAMESPACED = ("--set", "watchNamespaces={shop,bank}")
Rule = dict[str, Any]
Right = tuple[str, str, str]


def rights(rules: list[Rule]) -> set[Right]:
    """Every (group, resource, verb) that the rules grant."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_cluster_wide_install_lists_storage_classes_and_nothing_else_of_the_cluster() -> None:
    everywhere = rights(Rendered().one("ClusterRole")["rules"])
    assert everywhere - namespaced() == {("storage.k8s.io", "storageclasses", "list")}
    assert namespaced() <= everywhere


def test_namespaced_install_has_no_right_outside_its_namespaces() -> None:
    chart = Rendered(*NAMESPACED)
    assert not chart.all("ClusterRoleBinding")
    aggregates = {"view", "edit", "admin"}
    assert {role["metadata"]["name"] for role in chart.all("ClusterRole")} == {
        f"checkpointstore-operator-{name}" for name in aggregates
    }
    places = {(role["metadata"]["namespace"], role["metadata"]["name"]) for role in chart.all("Role")}
    assert places == {
        ("shop", "checkpointstore-operator"),
        ("bank", "checkpointstore-operator"),
        ("checkpointstore-system", "checkpointstore-operator-lease"),
    }
    bindings = {(role["metadata"]["namespace"], role["roleRef"]["name"]) for role in chart.all("RoleBinding")}
    assert bindings == places
    assert {item["namespace"] for binding in chart.all("RoleBinding") for item in binding["subjects"]} == {
        "checkpointstore-system"
    }
    assert chart.environment()["CHECKPOINTSTORE_NAMESPACES"] == "shop,bank"


def test_its_lease_is_the_only_one_it_can_change() -> None:
    (create, change) = Rendered().one("Role", "checkpointstore-operator-lease")["rules"]
    assert create["verbs"] == ["create"]
    assert (change["resourceNames"], change["verbs"]) == ([lease.NAME], ["get", "update"])


@pytest.mark.parametrize("arguments", [(), NAMESPACED])
def test_no_wildcard_no_exec_and_secrets_only_by_name(arguments: tuple[str, ...]) -> None:
    chart = Rendered(*arguments)
    roles = [*chart.all("ClusterRole"), *chart.all("Role")]
    granted = {right for role in roles for right in rights(role["rules"])}
    assert not [right for right in granted if "*" in right]
    assert not {verb for _, _, verb in granted} & {"escalate", "bind", "impersonate"}
    assert not [resource for _, resource, _ in granted if resource.startswith("pods/")]
    assert {verb for _, resource, verb in granted if resource == "secrets"} == {
        "get",
        "create",
        "patch",
        "delete",
    }


def test_spec_of_a_store_is_never_rewritten() -> None:
    granted = rights(Rendered().one("ClusterRole")["rules"])
    of_stores = {(resource, verb) for _, resource, verb in granted if resource.startswith("checkpointstores")}
    assert of_stores == {
        ("checkpointstores", "get"),
        ("checkpointstores", "list"),
        ("checkpointstores", "watch"),
        ("checkpointstores", "patch"),
        ("checkpointstores/status", "patch"),
        ("checkpointstores/finalizers", "update"),
    }


def test_aggregate_roles_add_stores_to_kubernetes_own_roles() -> None:
    chart = Rendered()
    verbs: dict[str, set[str]] = {"view": set(), "edit": set(), "admin": set()}
    for role in chart.all("ClusterRole"):
        for name in verbs:
            if role["metadata"]["labels"].get(f"rbac.authorization.k8s.io/aggregate-to-{name}") == "true":
                verbs[name] |= {verb for _, resource, verb in rights(role["rules"]) if resource == "checkpointstores"}
    assert verbs["view"] == {"get", "list", "watch"}
    assert verbs["edit"] == verbs["view"] | {"create", "update", "patch", "delete"}
    assert verbs["admin"] == verbs["edit"] | {"deletecollection"}
    without = Rendered("--set", "rbac.aggregate=false").all("ClusterRole")
    assert [role["metadata"]["name"] for role in without] == ["checkpointstore-operator"]


def test_rights_can_be_given_by_hand() -> None:
    chart = Rendered("--set", "rbac.create=false,rbac.aggregate=false")
    assert not [kind for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") if chart.all(kind)]


def resource(kind: str) -> tuple[str, str]:
    """(group, plural) of a kind that the operator asks the API server for."""
    path, plural = PATHS[kind]
    parts = path.split("/")
    return (parts[1] if parts[0] == "apis" else ""), plural


def namespaced() -> set[Right]:
    return rights(Rendered(*NAMESPACED).one_in("Role", "shop")["rules"])


def test_rights_are_for_the_kinds_that_the_operator_asks_for_and_no_others() -> None:
    chart = Rendered()
    roles = [chart.one("ClusterRole"), *chart.all("Role")]
    granted = {(group, plural.split("/")[0]) for role in roles for group, plural, _ in rights(role["rules"])}
    assert granted == {resource(kind) for kind in PATHS}


@pytest.mark.parametrize("kind", OWNED)
def test_what_the_operator_makes_it_may_make_see_and_remove(kind: str) -> None:
    assert {(*resource(kind), verb) for verb in ("get", "list", "create", "patch", "delete")} <= namespaced()


@pytest.mark.parametrize("kind", FOLLOWING)
def test_what_others_make_for_a_store_it_may_see(kind: str) -> None:
    assert {(*resource(kind), verb) for verb in ("get", "list")} <= namespaced()


@pytest.mark.parametrize("child", [*CHILDREN, ("checkpointstore.dev", "v1alpha1", "checkpointstores")])
def test_what_wakes_the_operator_it_may_watch(child: tuple[str, str, str]) -> None:
    group, _, plural = child
    assert {(group, plural, "list"), (group, plural, "watch")} <= namespaced()


def test_it_holds_every_right_that_it_hands_to_a_store() -> None:
    sample = yaml.safe_load((sync.ROOT / "manifests" / "samples" / "quickstart.yaml").read_text())
    identity = {"namespace": "shop", "uid": "u", "generation": 1, "creationTimestamp": "2026-01-05T03:00:00Z"}
    store = parse({**sample, "metadata": {**sample["metadata"], **identity}})
    platform = Platform(Images("postgres", "pgbouncer", "operator"))
    plan = reconcile.plan(store, Observed(), platform, datetime.now(UTC))
    roles = [
        action.manifest
        for action in plan.actions
        if isinstance(action, Apply) and action.manifest["kind"] in ("Role", "ClusterRole")
    ]
    assert [role["kind"] for role in roles] == ["Role"]
    for role in roles:
        assert rights(role["rules"]) <= namespaced()
