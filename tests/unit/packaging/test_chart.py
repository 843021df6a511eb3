"""The Helm chart: what it renders by default, what each value changes, and what it answers to a mistake."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import sync
from tests.unit.packaging.rendered import Rendered, need

VALUES: dict[str, Any] = yaml.safe_load((sync.CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((sync.CHART / "values.schema.json").read_text())


VERSION = yaml.safe_load((sync.CHART / "Chart.yaml").read_text())["appVersion"]


def test_chart_installs_the_version_it_lies_beside() -> None:
    project = tomllib.loads((sync.ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    agent = (sync.ROOT / "manifests" / "samples" / "agent-deployment.yaml").read_text()
    assert f"image: docker.io/checkpointstore/agent:{VERSION}\n" in agent


def test_lint_finds_nothing() -> None:
    command = [need("helm"), "lint", "--strict", str(sync.CHART), "--kube-version", sync.KUBE_VERSION]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_defaults_install_one_operator_for_every_namespace() -> None:
    chart = Rendered()
    assert chart.names() == {
        "ClusterRole/checkpointstore-operator",
        "ClusterRole/checkpointstore-operator-admin",
        "ClusterRole/checkpointstore-operator-edit",
        "ClusterRole/checkpointstore-operator-view",
        "ClusterRoleBinding/checkpointstore-operator",
        "ConfigMap/checkpointstore-operator-dashboard-fleet",
        "ConfigMap/checkpointstore-operator-dashboard-store",
        "CustomResourceDefinition/checkpointbackups.checkpointstore.dev",
        "CustomResourceDefinition/checkpointstores.checkpointstore.dev",
        "Deployment/checkpointstore-operator",
        "PodDisruptionBudget/checkpointstore-operator",
        "Role/checkpointstore-operator-lease",
        "RoleBinding/checkpointstore-operator-lease",
        "Service/checkpointstore-operator-metrics",
        "ServiceAccount/checkpointstore-operator",
    }
    assert chart.one("Deployment")["spec"]["replicas"] == 2
    assert chart.container()["args"] == ["operator"]
    assert chart.environment() == {
        "CHECKPOINTSTORE_IMAGE_OPERATOR": f"docker.io/checkpointstore/operator:{VERSION}",
        "CHECKPOINTSTORE_IMAGE_POSTGRES": f"docker.io/checkpointstore/postgres:{VERSION}",
        "CHECKPOINTSTORE_IMAGE_PGBOUNCER": f"docker.io/checkpointstore/pgbouncer:{VERSION}",
        "CHECKPOINTSTORE_CLUSTER_DOMAIN": "cluster.local",
        "CHECKPOINTSTORE_LOG_LEVEL": "INFO",
    }


def test_every_object_is_labelled_and_namespaced_ones_name_their_namespace() -> None:
    cluster_scoped = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for manifest in Rendered().manifests:
        metadata = manifest["metadata"]
        assert ("namespace" in metadata) == (manifest["kind"] not in cluster_scoped), metadata["name"]
        if manifest["kind"] != "CustomResourceDefinition":
            assert metadata["labels"]["app.kubernetes.io/part-of"] == "checkpointstore"


def test_pod_passes_pod_security_restricted() -> None:
    pod, container = Rendered().pod(), Rendered().container()
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]


def test_probes_ask_the_operator_on_its_own_port() -> None:
    container = Rendered().container()
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    service = Rendered().one("Service", "checkpointstore-operator-metrics")["spec"]
    labels = Rendered().one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]
    assert service["selector"].items() <= labels.items()


def test_two_replicas_roll_and_are_kept_apart_and_a_lone_one_is_not() -> None:
    chart, lone = Rendered(), Rendered("--set", "replicas=1")
    assert chart.one("Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    assert chart.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "podAntiAffinity" in chart.pod()["affinity"]
    assert lone.one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert "affinity" not in lone.pod()
    assert not lone.all("PodDisruptionBudget")


def test_values_reach_the_pod(tmp_path: Path) -> None:
    values = {
        "image": {"repository": "registry.example/cps", "tag": "9", "pullPolicy": "Always"},
        "images": {"postgres": "registry.example/pg:17", "pgbouncer": "registry.example/pgb:1"},
        "imagePullSecrets": [{"name": "registry"}],
        "clusterDomain": "corp.example",
        "logLevel": "DEBUG",
        "prometheus": {"url": "https://prometheus.example/team"},
        "resources": {"limits": {"memory": "1Gi"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"key": "value"}},
        "priorityClassName": "high",
        "podAnnotations": {"team": "agents"},
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    chart = Rendered("--values", str(file))
    pod, container, environment = chart.pod(), chart.container(), chart.environment()
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example/cps:9", "Always")
    assert environment["CHECKPOINTSTORE_IMAGE_OPERATOR"] == "registry.example/cps:9"
    assert environment["CHECKPOINTSTORE_IMAGE_POSTGRES"] == "registry.example/pg:17"
    assert environment["CHECKPOINTSTORE_IMAGE_PGBOUNCER"] == "registry.example/pgb:1"
    assert environment["CHECKPOINTSTORE_CLUSTER_DOMAIN"] == "corp.example"
    assert environment["CHECKPOINTSTORE_LOG_LEVEL"] == "DEBUG"
    assert environment["CHECKPOINTSTORE_PROMETHEUS_URL"] == "https://prometheus.example/team"
    assert container["resources"]["limits"]["memory"] == "1Gi"
    for key in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod[key] == values[key]
    assert chart.one("Deployment")["spec"]["template"]["metadata"]["annotations"]["team"] == "agents"


MONITORED = ("--api-versions", "monitoring.coreos.com/v1")


def test_monitors_find_every_port_that_the_pods_name() -> None:
    chart = Rendered(*MONITORED, "--set", "monitors.labels.release=mine,monitors.interval=5s")
    stores, operator = chart.one("PodMonitor"), chart.one("ServiceMonitor")
    assert stores["spec"]["namespaceSelector"] == {"any": True}
    assert {item["port"] for item in stores["spec"]["podMetricsEndpoints"]} == {"metrics", "filesystem"}
    assert stores["spec"]["podTargetLabels"] == ["checkpointstore.dev/store"]
    service = chart.one("Service", "checkpointstore-operator-metrics")
    assert operator["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert operator["spec"]["endpoints"] == [{"port": "http", "honorLabels": True, "interval": "5s"}]
    assert service["spec"]["ports"][0]["name"] == "http"
    assert {item["metadata"]["labels"]["release"] for item in (stores, operator)} == {"mine"}
    some = Rendered(*MONITORED, "--set", "watchNamespaces={shop,bank}").one("PodMonitor")
    assert some["spec"]["namespaceSelector"] == {"matchNames": ["shop", "bank"]}


@pytest.mark.parametrize("arguments", [(), (*MONITORED, "--set", "monitors.enabled=false")])
def test_there_is_no_monitor_without_the_api_or_when_it_is_switched_off(arguments: tuple[str, ...]) -> None:
    assert Rendered(*arguments).all("PodMonitor") + Rendered(*arguments).all("ServiceMonitor") == []


def test_crd_is_the_generated_one_and_outlives_the_release() -> None:
    crd = Rendered().one("CustomResourceDefinition", "checkpointstores.checkpointstore.dev")
    assert crd["metadata"]["annotations"].pop("helm.sh/resource-policy") == "keep"
    generated = yaml.load(
        (sync.ROOT / "crds" / "checkpointstore.dev_checkpointstores.yaml").read_text(), yaml.CSafeLoader
    )
    assert crd["spec"] == generated["spec"]
    assert not Rendered("--set", "crds.install=false").all("CustomResourceDefinition")


def test_account_can_be_given(tmp_path: Path) -> None:
    chart = Rendered("--set", "serviceAccount.create=false,serviceAccount.name=mine")
    assert not chart.all("ServiceAccount")
    assert chart.pod()["serviceAccountName"] == "mine"
    assert {binding["subjects"][0]["name"] for binding in chart.all("RoleBinding")} == {"mine"}
    with pytest.raises(ValueError, match=r"serviceAccount\.name: name the account to use"):
        sync.render("--set", "serviceAccount.create=false")


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("relicas=2", "additional properties 'relicas' not allowed"),
        ("image.tagg=x", "at '/image': additional properties 'tagg' not allowed"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        ("replicas=9", "at '/replicas': maximum: got 9, want 3"),
        ("logLevel=chatty", "at '/logLevel': value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("watchNamespaces=shop", "at '/watchNamespaces': got string, want array"),
        ("watchNamespaces={Shop}", "at '/watchNamespaces/0': 'Shop' does not match pattern"),
        ("console.replicas=9", "at '/console/replicas': maximum: got 9, want 3"),
        ("console.tls.secret=x", "at '/console/tls': additional properties 'secret' not allowed"),
        ("image.pullPolicy=always", "at '/image/pullPolicy': value must be one of"),
    ],
)
def test_a_mistake_in_the_values_is_named(setting: str, answer: str) -> None:
    need("helm")
    with pytest.raises(ValueError, match=re.escape(answer)):
        sync.render("--set", setting)


def paths(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{key}.")


def test_schema_is_strict_and_knows_every_value() -> None:
    def closed(schema: dict[str, Any], path: str) -> Iterator[str]:
        """Paths of objects with named properties that would swallow an unknown one."""
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield path
        for key, part in schema.get("properties", {}).items():
            yield from closed(part, f"{path}/{key}")

    assert list(closed(SCHEMA, "")) == []
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)


def test_readme_explains_every_value() -> None:
    readme = (sync.CHART / "README.md").read_text()
    documented = set(re.findall(r"^\| `([\w.]+)` \|", readme, re.MULTILINE))
    open_ended = ("resources.", "console.resources.")
    leaves = {path for path in paths(VALUES) if not any(other.startswith(f"{path}.") for other in paths(VALUES))}
    expected = {path for path in leaves if not path.startswith(open_ended)}
    expected |= {name.rstrip(".") for name in open_ended}
    assert documented == expected


def notes(tmp_path: Path, *arguments: str) -> str:
    """NOTES.txt as it would be printed; `helm template` omits it, so a copy of the chart renders it."""
    chart = tmp_path / "chart"
    shutil.copytree(sync.CHART, chart)
    shutil.move(chart / "templates" / "NOTES.txt", chart / "notes.txt")
    (chart / "templates" / "notes.yaml").write_text(
        'kind: Notes\nmetadata: {name: notes}\ntext: {{ tpl (.Files.Get "notes.txt") . | quote }}\n'
    )
    need("helm")
    (found,) = (manifest for manifest in sync.render(*arguments, chart=chart) if manifest["kind"] == "Notes")
    return str(found["text"])


def run(commands: str, folder: Path) -> str:
    """What kubectl was asked, with its standard input where it reads one, when a shell runs the commands."""
    calls = folder / "calls"
    stub = folder / "kubectl"
    stub.write_text(f'#!/bin/sh\n{{ echo "kubectl $*"; case "$*" in *" -f -"*) cat; esac; }} >> {calls}\n')
    stub.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    subprocess.run(["sh", "-eu", "-c", commands], env=environment, check=True)
    return calls.read_text()


def test_notes_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    first, commands = notes(tmp_path).split("\n", 1)
    assert first == "The CheckpointStore operator serves every namespace."
    wait, _, rest = run(commands, tmp_path).partition("\n")
    assert wait == "kubectl --namespace checkpointstore-system rollout status deployment/checkpointstore-operator"
    apply, _, rest = rest.partition("\n")
    assert apply == "kubectl --namespace default apply -f -"
    store, *later = rest.split("kubectl ")
    assert yaml.safe_load(store) == {
        "apiVersion": "checkpointstore.dev/v1alpha1",
        "kind": "CheckpointStore",
        "metadata": {"name": "agents"},
        "spec": {},
    }
    assert later[0].strip() == "--namespace default wait checkpointstore/agents --for=condition=Ready --timeout=5m"
    assert len(later) == 4


def test_notes_say_how_to_open_the_console_where_there_is_one(tmp_path: Path) -> None:
    text = notes(tmp_path, "--set", "console.enabled=true")
    *_, token, forward = run(text.split("\n", 1)[1], tmp_path).strip().splitlines()
    assert token == "kubectl --namespace default create token default"
    assert forward == (
        "kubectl --namespace checkpointstore-system port-forward service/checkpointstore-operator-console 8443:443"
    )


def test_notes_of_a_namespaced_install_stay_in_its_namespaces(tmp_path: Path) -> None:
    text = notes(tmp_path, "--set", "watchNamespaces={shop,bank}")
    assert "kubectl --namespace shop apply" in text
    assert "Stores outside shop, bank are left alone" in text


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("checkpointstore", "checkpointstore-operator"),
        ("checkpointstore-operator", "checkpointstore-operator"),
        ("prod", "prod-checkpointstore-operator"),
    ],
)
def test_names_follow_the_release_without_stuttering(release: str, name: str) -> None:
    need("helm")
    deployments = [manifest for manifest in sync.render(release=release) if manifest["kind"] == "Deployment"]
    assert [manifest["metadata"]["name"] for manifest in deployments] == [name]
