"""What an API server fills in or rewrites by itself, so that nobody mistakes what was sent for what is stored."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_SERVICE = {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}
_POD = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
_CONTAINER = {
    "imagePullPolicy": "IfNotPresent",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def filled(manifest: dict[str, Any]) -> dict[str, Any]:
    """`manifest` in place with its kind's defaults."""
    fill = _KINDS.get(manifest["kind"])
    if fill:
        fill(manifest.setdefault("spec", {}))
    return manifest


def _lay(under: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for key, value in defaults.items():
        under.setdefault(key, value)


def _service(spec: dict[str, Any]) -> None:
    _lay(spec, _SERVICE)
    spec.setdefault("clusterIP", "10.0.0.1")
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    for port in spec.get("ports", ()):
        _lay(port, {"protocol": "TCP", "targetPort": port["port"]})


def _network_policy(spec: dict[str, Any]) -> None:
    for rule in spec.get("ingress", ()):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _deployment(spec: dict[str, Any]) -> None:
    _lay(spec, {"revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    _template(spec["template"]["spec"])


def _statefulset(spec: dict[str, Any]) -> None:
    _lay(spec, {"revisionHistoryLimit": 10})
    _template(spec["template"]["spec"])
    for claim in spec.get("volumeClaimTemplates", ()):
        _lay(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}})
        _claim(claim["spec"])


def _claim(spec: dict[str, Any]) -> None:
    spec.setdefault("volumeMode", "Filesystem")
    _resources(spec.get("resources", {}))


def _job(spec: dict[str, Any]) -> None:
    _lay(spec, {"completions": 1, "parallelism": 1, "suspend": False, "completionMode": "NonIndexed"})
    _template(spec["template"]["spec"])


def _template(pod: dict[str, Any]) -> None:
    _lay(pod, {**_POD, "terminationGracePeriodSeconds": 30})
    if "serviceAccountName" in pod:
        pod.setdefault("serviceAccount", pod["serviceAccountName"])
    for volume in pod.get("volumes", ()):
        for kind in ("secret", "configMap"):
            if kind in volume:
                volume[kind].setdefault("defaultMode", 420)
    for container in pod["containers"]:
        _lay(container, _CONTAINER)
        _resources(container.get("resources", {}))
        for port in container.get("ports", ()):
            port.setdefault("protocol", "TCP")
        for name in ("readinessProbe", "livenessProbe"):
            if name in container:
                _lay(container[name], _PROBE)
        for variable in container.get("env", ()):
            variable.get("valueFrom", {}).get("fieldRef", {}).setdefault("apiVersion", "v1")


def _resources(resources: dict[str, Any]) -> None:
    for amounts in resources.values():
        if isinstance(amounts, dict):
            for name, amount in amounts.items():
                amounts[name] = canonical(amount)


def canonical(amount: str | int) -> str:
    """A quantity as the API server writes it back: `1024Mi` is `1Gi`, `0.5` is `500m`."""
    text = str(amount)
    if match := re.fullmatch(r"([0-9]+)(Ki|Mi|Gi|Ti)", text):
        number, unit = int(match[1]), match[2]
        units = ["Ki", "Mi", "Gi", "Ti", "Pi"]
        while number and number % 1024 == 0 and unit != "Pi":
            number, unit = number // 1024, units[units.index(unit) + 1]
        return f"{number}{unit}"
    if match := re.fullmatch(r"([0-9]+)000m", text):
        return match[1]
    if match := re.fullmatch(r"([0-9]*)[.]([0-9]{1,3})", text):
        return f"{int(match[1] or 0) * 1000 + int(match[2].ljust(3, '0'))}m"
    return text


_KINDS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "Service": _service,
    "Deployment": _deployment,
    "StatefulSet": _statefulset,
    "PersistentVolumeClaim": _claim,
    "Job": _job,
    "NetworkPolicy": _network_policy,
}
