"""What Kubernetes does by itself: controllers, kubelets and the garbage collector, one small step at a time."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from checkpointstore.kernel.action import Manifest

from .apiserver import ApiServer, stamp

NODES = ("198.18.1.1", "198.18.1.2", "198.18.1.3")
CONTROLLER = "kube-controller-manager"
KUBELET = "kubelet"


def step(server: ApiServer) -> None:
    """Everything that controllers and kubelets would do next; what follows from it comes in the next step."""
    _collect(server)
    for statefulset in server.all("StatefulSet"):
        _statefulset(server, statefulset)
    for deployment in server.all("Deployment"):
        _deployment(server, deployment)
    for pod in server.all("Pod"):
        _kubelet(server, pod)


def _collect(server: ApiServer) -> None:
    """Delete what has lost its owner, and pods that were told to stop."""
    alive = {item["metadata"]["uid"] for item in server.objects.values()}
    for (kind, namespace, name), item in list(server.objects.items()):
        owners = item["metadata"].get("ownerReferences", [])
        if owners and not any(owner["uid"] in alive for owner in owners):
            server.delete(kind, namespace, name, force="deletionTimestamp" in item["metadata"])
        elif kind == "Pod" and "deletionTimestamp" in item["metadata"]:
            server.delete(kind, namespace, name, force=True)


def revision(template: Manifest) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _statefulset(server: ApiServer, item: Manifest) -> None:
    """Pods by ordinal, each with its claim; a changed template waits until somebody deletes the pod (OnDelete)."""
    meta, spec = item["metadata"], item["spec"]
    newest = f"{meta['name']}-{revision(spec['template'])}"
    selector = spec["selector"]["matchLabels"]
    pods = {pod["metadata"]["name"]: pod for pod in server.all("Pod", meta["namespace"], selector)}
    wanted = [f"{meta['name']}-{ordinal}" for ordinal in range(spec["replicas"])]
    for name, pod in pods.items():
        if name not in wanted:
            server.delete("Pod", meta["namespace"], name)
        elif not pod["metadata"].get("ownerReferences"):
            adopted = {"metadata": {"ownerReferences": [_owner(item)]}}
            server.patch("Pod", meta["namespace"], name, adopted, CONTROLLER)
    for name in wanted:
        for claim in spec["volumeClaimTemplates"]:
            _claim(server, item, claim, name)
        if name not in pods:
            extra = {"controller-revision-hash": newest, "statefulset.kubernetes.io/pod-name": name}
            server.create(_pod(item, name, extra, int(name.rsplit("-", 1)[1])), CONTROLLER)
    _report(server, item, pods.values(), {"updateRevision": newest})


def _claim(server: ApiServer, owner: Manifest, template: Manifest, pod: str) -> None:
    """A claim belongs to its StatefulSet exactly when it shall go with it."""
    name, namespace = f"{template['metadata']['name']}-{pod}", owner["metadata"]["namespace"]
    kept = owner["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    owners = {"ownerReferences": None if kept else [_owner(owner)]}
    if server.get("PersistentVolumeClaim", namespace, name) is None:
        meta = {**template["metadata"], "name": name, "namespace": namespace}
        spec = {"storageClassName": "standard", **template["spec"]}
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}
        server.create(claim, CONTROLLER)
    live = server.patch("PersistentVolumeClaim", namespace, name, {"metadata": owners}, CONTROLLER)
    if live and server.resizes:
        capacity = live["spec"]["resources"]["requests"]
        server.patch("PersistentVolumeClaim", namespace, name, {"status": {"capacity": capacity}}, CONTROLLER, "status")


def _deployment(server: ApiServer, item: Manifest) -> None:
    """All new pods first; old ones go when those are ready."""
    meta, spec = item["metadata"], item["spec"]
    newest = revision(spec["template"])
    pods = server.all("Pod", meta["namespace"], spec["selector"]["matchLabels"])
    fresh = [pod for pod in pods if pod["metadata"]["labels"]["pod-template-hash"] == newest and not going(pod)]
    for number in range(spec["replicas"] - len(fresh)):
        name = f"{meta['name']}-{newest}-{server.now:%H%M%S}{number}"
        if server.get("Pod", meta["namespace"], name) is None:
            server.create(_pod(item, name, {"pod-template-hash": newest}, number), CONTROLLER)
    for pod in fresh[spec["replicas"] :]:
        server.delete("Pod", meta["namespace"], pod["metadata"]["name"])
    if sum(ready(pod) for pod in fresh) >= spec["replicas"]:
        for pod in pods:
            if pod["metadata"]["labels"]["pod-template-hash"] != newest:
                server.delete("Pod", meta["namespace"], pod["metadata"]["name"])
    _report(server, item, (pod for pod in pods if not going(pod)), {"updatedReplicas": len(fresh)})


def _report(server: ApiServer, item: Manifest, pods: Iterable[Manifest], more: dict[str, Any]) -> None:
    meta, found = item["metadata"], list(pods)
    status = {
        "observedGeneration": meta["generation"],
        "replicas": len(found),
        "readyReplicas": sum(map(ready, found)),
        **more,
    }
    # The API server leaves zeros out.
    counted = {name: value for name, value in status.items() if value != 0}
    for name in item.get("status", {}):
        counted.setdefault(name, None)
    server.patch(item["kind"], meta["namespace"], meta["name"], {"status": counted}, CONTROLLER, "status")


def _pod(owner: Manifest, name: str, labels: dict[str, str], number: int) -> Manifest:
    """A pod that remembers of its template what its fate depends on."""
    template = owner["spec"]["template"]
    meta = template["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": {**meta["labels"], **labels},
            "annotations": meta.get("annotations", {}),
            "ownerReferences": [_owner(owner)],
        },
        "spec": {
            "nodeName": f"node{number % len(NODES) + 1}",
            "containers": [{"name": item["name"], "image": item["image"]} for item in template["spec"]["containers"]],
            "volumes": [volume for volume in template["spec"]["volumes"] if "emptyDir" not in volume],
        },
        "status": {"phase": "Pending", "hostIP": NODES[number % len(NODES)]},
    }


def _owner(item: Manifest) -> dict[str, Any]:
    meta = item["metadata"]
    return {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _kubelet(server: ApiServer, pod: Manifest) -> None:
    """Start a pod once everything that it mounts is there. A Job's pod is ended by whoever plays the Job."""
    if pod["status"]["phase"] != "Pending" or going(pod) or not mounted(server, pod):
        return
    number = int(pod["metadata"]["uid"][-12:])
    address = f"10.1.{number // 250}.{number % 250}"
    running = {"running": {"startedAt": stamp(server.now)}}
    tell(
        server,
        pod,
        phase="Running",
        podIP=address,
        containerStatuses=[{"name": item["name"], "state": running} for item in pod["spec"]["containers"]],
        ready="batch.kubernetes.io/job-name" not in pod["metadata"]["labels"],
    )


def mounted(server: ApiServer, pod: Manifest) -> bool:
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"]["volumes"]:
        for kind, source, field in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
            optional = volume.get(source, {}).get("optional")
            if source in volume and not optional and server.get(kind, namespace, volume[source][field]) is None:
                return False
    return True


def tell(server: ApiServer, pod: Manifest, phase: str, ready: bool, **more: Any) -> None:
    """Write a pod's status as its kubelet does."""
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": stamp(server.now)}
    status = {"phase": phase, "conditions": [condition], **more}
    meta = pod["metadata"]
    server.patch("Pod", meta["namespace"], meta["name"], {"status": status}, KUBELET, "status")


def going(pod: Manifest) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def ready(pod: Manifest) -> bool:
    if going(pod):
        return False
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", ()))
