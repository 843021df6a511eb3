"""Accounts that may look at one namespace and at nothing else, to sign in to the console with."""

from demo.kubectl import Kubectl

RBAC = "rbac.authorization.k8s.io"


def make(kubectl: Kubectl, name: str, namespace: str) -> None:
    """A ServiceAccount with Kubernetes' own view role in its namespace."""
    place = {"name": name, "namespace": namespace}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": place,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", **place}],
        },
    )
