"""What a namespace holds, and what of it is a store's."""

from typing import Any

from demo.kubectl import Kubectl
from tests.e2e.subject import DOMAIN

KINDS = (
    "checkpointstores,pods,statefulsets,deployments,replicasets,jobs,services,endpoints,endpointslices,configmaps,"
    "secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies,persistentvolumeclaims"
)
EVERYBODYS = {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt"}


def objects(kubectl: Kubectl, namespace: str) -> set[str]:
    """`Kind/name` of everything that a namespace holds of its own."""
    return set(map(spelled, kubectl.items(KINDS, "-n", namespace))) - EVERYBODYS


def of_store(kubectl: Kubectl, namespace: str, store: str) -> set[str]:
    """`Kind/name` of everything that is labelled for a store or has the store's name in its own."""
    found = kubectl.items(KINDS, "-n", namespace)
    return {spelled(item) for item in found if store in item["metadata"]["name"] or labelled(item, store)}


def labelled(item: dict[str, Any], store: str) -> bool:
    """Whether an object carries the store's label."""
    return bool(item["metadata"].get("labels", {}).get(f"{DOMAIN}/store") == store)


def spelled(item: dict[str, Any]) -> str:
    """`Kind/name` of an object."""
    return f"{item['kind']}/{item['metadata']['name']}"
