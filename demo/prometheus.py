"""A real Prometheus on the cluster, as a user would have one: it finds the stores' pods itself and loads our rules."""

import hashlib
import json
import urllib.parse
from typing import Any

from demo.kubectl import DEMO_LABEL, ROOT, CommandFailed, Kubectl, wait_for

NAMESPACE = "checkpointstore-monitoring"
NAME = "prometheus"
URL = f"http://{NAME}.{NAMESPACE}.svc:9090"
RULES = ROOT / "charts/checkpointstore-operator/files/alerts/rules.yaml"
CONFIG = "/etc/checkpointstore"
POD = "__meta_kubernetes_pod"


def configuration(interval: str) -> dict[str, Any]:
    """prometheus.yml: every pod of a store by its port's name, and the operator."""
    common = [
        {"source_labels": [f"{POD}_phase"], "regex": "Running", "action": "keep"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{POD}_name"], "target_label": "pod"},
    ]
    ports = {"source_labels": [f"{POD}_container_port_name"], "regex": "metrics|filesystem", "action": "keep"}
    store = f"{POD}_label_checkpointstore_dev_store"
    labels = {"source_labels": [store], "target_label": "checkpointstore_dev_store"}
    component = f"{POD}_label_app_kubernetes_io_component"
    discovery = {"kubernetes_sd_configs": [{"role": "pod"}]}
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [f"{CONFIG}/rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "stores",
                **discovery,
                "relabel_configs": [
                    {"source_labels": [store], "regex": ".+", "action": "keep"},
                    ports,
                    labels,
                    *common,
                ],
            },
            {
                "job_name": "operator",
                # Or `namespace` says the operator's, not the store's.
                "honor_labels": True,
                **discovery,
                "relabel_configs": [
                    {"source_labels": [component], "regex": "operator", "action": "keep"},
                    {"source_labels": [f"{POD}_container_port_name"], "regex": "http", "action": "keep"},
                    *common,
                ],
            },
        ],
    }


def manifests(image: str, interval: str, rules: str) -> list[dict[str, Any]]:
    """All that it is made of; it keeps what it has read as long as its pod lives, and reads its files once."""
    labels = {"app.kubernetes.io/name": NAME, DEMO_LABEL: "true"}
    meta = {"name": NAME, "namespace": NAMESPACE, "labels": labels}
    selector = {"app.kubernetes.io/name": NAME}
    rights = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAMESPACE}
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    # JSON is YAML: `make demo-down` runs this package with Python's own library alone.
    files = {"prometheus.yml": json.dumps(configuration(interval)), "rules.yaml": rules}
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
    read = {"labels": labels, "annotations": {f"{DEMO_LABEL}-files": digest}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": NAMESPACE, "labels": labels},
            "rules": rights,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAMESPACE, "labels": labels},
            "roleRef": role,
            "subjects": [account],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": files},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": selector},
                "template": {"metadata": read, "spec": _pod(image)},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": selector, "ports": [{"name": "http", "port": 9090}]},
        },
    ]


def _pod(image: str) -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": image,
        "args": [
            f"--config.file={CONFIG}/prometheus.yml",
            "--storage.tsdb.path=/data",
            "--storage.tsdb.retention.time=6h",
        ],
        "ports": [{"name": "http", "containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    return {
        "serviceAccountName": NAME,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": True, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": NAME}}, {"name": "data", "emptyDir": {}}],
    }


def install(kubectl: Kubectl, image: str, interval: str = "15s", timeout: float = 120, rules: str = "") -> None:
    """Bring it up, with our rules or others, and wait until it answers; one with other files is made anew."""
    kubectl.namespace(NAMESPACE)
    kubectl.apply(*manifests(image, interval, rules or RULES.read_text()))
    kubectl(
        "rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, f"--timeout={timeout:.0f}s", timeout=timeout + 10
    )


def uninstall(kubectl: Kubectl) -> None:
    """Take it away."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=300)
    kubectl("delete", "clusterrole,clusterrolebinding", NAMESPACE, "--ignore-not-found")


def ask(kubectl: Kubectl, query: str) -> list[dict[str, Any]]:
    """The result of an instant query."""
    found: list[dict[str, Any]] = _get(kubectl, f"query?query={urllib.parse.quote(query)}")["result"]
    return found


def alerts(kubectl: Kubectl) -> list[dict[str, Any]]:
    """What is pending or fires."""
    found: list[dict[str, Any]] = _get(kubectl, "alerts")["alerts"]
    return found


def _get(kubectl: Kubectl, question: str) -> Any:
    """What its API answers, through the API server."""
    path = f"/api/v1/namespaces/{NAMESPACE}/services/{NAME}:http/proxy/api/v1/{question}"
    answer = kubectl.raw(path)
    if answer is None:
        raise CommandFailed(f"nothing answers at {path}")
    return answer["data"]


def number(kubectl: Kubectl, query: str) -> float | None:
    """The one number that a query gives, None where it gives none."""
    found = ask(kubectl, query)
    return float(found[0]["value"][1]) if found else None


def wait_number(kubectl: Kubectl, query: str, timeout: float = 60) -> float:
    """The number that a query gives as soon as it gives one."""
    return wait_for(f"Prometheus to answer {query}", lambda: number(kubectl, query), timeout)
