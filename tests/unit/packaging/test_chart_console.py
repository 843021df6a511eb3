"""The console in the chart: off by default, apart from the operator, and with no right but to list and to ask."""

from collections.abc import Iterator

import pytest
import yaml

from charts import sync
from checkpointstore.console.settings import PORT, PREFIX, read
from tests.unit.packaging.rendered import Manifest, Rendered, need
from tests.unit.packaging.test_chart_rules import resource, rights

ON = ("--set", "console.enabled=true")
NAME = "checkpointstore-operator-console"


def deployment(*arguments: str) -> Manifest:
    return Rendered(*ON, *arguments).one("Deployment", NAME)


def pod(*arguments: str) -> Manifest:
    found: Manifest = deployment(*arguments)["spec"]["template"]["spec"]
    return found


def environment(*arguments: str) -> dict[str, str]:
    (container,) = pod(*arguments)["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


def test_it_is_off_by_default_and_changes_nothing_else() -> None:
    without, chart = Rendered(), Rendered(*ON)
    assert {manifest["metadata"]["name"] for manifest in without.manifests}.isdisjoint({NAME})
    added = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Service", "Deployment"}
    assert chart.names() - without.names() == {f"{kind}/{NAME}" for kind in added}
    # By name, as Helm does not keep the order of objects of one kind.
    objects = [{(one["kind"], one["metadata"]["name"]): one for one in told.manifests} for told in (without, chart)]
    assert [key for key, one in objects[0].items() if objects[1][key] != one] == []


def test_with_some_namespaces_only_it_is_refused_in_one_sentence() -> None:
    need("helm")
    with pytest.raises(ValueError, match=r"console\.enabled: .* leave it off with watchNamespaces"):
        sync.render(*ON, "--set", "watchNamespaces={shop}")


def test_it_lists_and_asks_and_nothing_else() -> None:
    role = Rendered(*ON).one("ClusterRole", NAME)
    lists = {(*resource(kind), "list") for kind in ("CheckpointStore", "CheckpointBackup", "Pod", "Event")}
    asks = {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    }
    assert rights(role["rules"]) == lists | asks
    binding = Rendered(*ON).one("ClusterRoleBinding", NAME)
    assert binding["roleRef"]["name"] == NAME
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": "checkpointstore-system"}]
    assert pod()["serviceAccountName"] == NAME
    assert not [
        item
        for item in Rendered(*ON, "--set", "rbac.create=false").all("ClusterRole")
        if item["metadata"]["name"] == NAME
    ]


def selectors(chart: Rendered) -> Iterator[tuple[str, dict[str, str]]]:
    for manifest in chart.manifests:
        spec = manifest.get("spec", {})
        selector = spec.get("selector") or {}
        if manifest["kind"] in ("Deployment", "PodDisruptionBudget", "Service", "ServiceMonitor"):
            yield f"{manifest['kind']}/{manifest['metadata']['name']}", selector.get("matchLabels", selector)


def test_no_selector_of_the_operator_finds_it_and_none_of_its_own_the_operator() -> None:
    chart = Rendered(*ON, "--api-versions", "monitoring.coreos.com/v1")
    labels = {
        name: chart.one("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        for name in ("checkpointstore-operator", NAME)
    }
    found = {
        what: [name for name, told in labels.items() if chosen.items() <= told.items()]
        for what, chosen in selectors(chart)
    }
    assert len(found) >= 5
    for what, names in found.items():
        assert names == [NAME if what.endswith("-console") else "checkpointstore-operator"], what


def test_its_pod_passes_pod_security_restricted_and_serves_tls() -> None:
    (container,) = pod()["containers"]
    assert pod()["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["args"] == ["console"]
    assert container["ports"] == [{"name": "https", "containerPort": PORT}]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "https", "scheme": "HTTPS"}
    service = Rendered(*ON).one("Service", NAME)["spec"]
    assert service["ports"] == [{"name": "https", "port": 443, "targetPort": "https"}]


def test_no_secret_is_mounted_but_the_certificate_that_was_named() -> None:
    assert [list(volume) for volume in pod()["volumes"]] == [["name", "emptyDir"]]
    tls = ("--set", "console.tls.secretName=console-tls")
    assert pod(*tls)["volumes"][1] == {"name": "certificate", "secret": {"secretName": "console-tls"}}
    (container,) = pod(*tls)["containers"]
    told = read(environment(*tls))
    assert str(told.certificate) == container["volumeMounts"][1]["mountPath"]
    assert read(environment()).certificate is None


def test_values_reach_the_pod() -> None:
    values = "console.replicas=2,prometheus.url=http://prometheus.example,alerts.runbookUrl=https://books.example"
    told = read(environment("--set", f"{values},logLevel=DEBUG"))
    assert deployment("--set", values)["spec"]["replicas"] == 2
    assert (told.prometheus, told.runbooks, told.log_level) == (
        "http://prometheus.example",
        "https://books.example",
        "DEBUG",
    )
    assert all(name.startswith(PREFIX) for name in environment())
    defaults = yaml.safe_load((sync.CHART / "values.yaml").read_text())["console"]
    assert pod()["containers"][0]["resources"] == defaults["resources"]
