"""Services of the instances, and the account by which Patroni talks to the API server.

Patroni keeps its state in Endpoints objects. The one named like the Service `-rw` is its leader record, so that the
Service points at whoever holds the leader lock and at nobody else, whether or not the operator runs.
"""

from typing import Any

from ...kernel.action import Manifest
from ...kernel.env import Env
from ...kernel.naming import selector
from ...kernel.observed import Observed
from .config import COMPONENT, PORT, ROLE_LABEL, SCOPE_LABEL

_PORTS = [{"name": "postgresql", "port": PORT, "targetPort": PORT}]


def services(env: Env, observed: Observed) -> tuple[Manifest, ...]:
    own = selector(env.name, COMPONENT)
    return (
        _service(
            env,
            env.names.pods,
            {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": own, "ports": _PORTS},
        ),
        _service(env, env.names.ro, {"selector": {**own, ROLE_LABEL: "replica"}, "ports": _PORTS}),
        *_of_records(env, observed),
    )


def _of_records(env: Env, observed: Observed) -> tuple[Manifest, ...]:
    """Those whose names Patroni's Endpoints have, as Kubernetes deletes Endpoints that have no Service.

    Owned by the store and by Patroni's rights: when both are gone they go, and the Endpoints of their names with them.
    Were they gone while a Patroni that ends has its rights, it would make its Endpoints again, and they would stay.
    Without the rights none is made, and each keeps the owners that it has: a pass that the store's deletion overtakes
    must not name fewer, as Kubernetes strikes those off that are gone, and what is left without any stays for ever.
    """
    made = (
        _service(env, env.names.rw, {"ports": _PORTS}),
        *(_service(env, f"{env.names.rw}-{name}", {"clusterIP": "None"}) for name in ("config", "sync", "failover")),
    )
    rights = observed.get("RoleBinding", env.names.postgres)
    if rights is None:
        return tuple(
            {**service, "metadata": {**service["metadata"], "ownerReferences": live["metadata"]["ownerReferences"]}}
            for service in made
            if (live := observed.get("Service", service["metadata"]["name"]))
        )
    owner = {key: rights[key] for key in ("apiVersion", "kind")}
    owner |= {key: rights["metadata"][key] for key in ("name", "uid")}
    for service in made:
        service["metadata"]["ownerReferences"].append(owner)
    return made


def _service(env: Env, name: str, spec: dict[str, Any]) -> Manifest:
    manifest = env.object("v1", "Service", name, COMPONENT, spec=spec)
    if "selector" not in spec:
        manifest["metadata"]["labels"][SCOPE_LABEL] = env.names.rw
    return manifest


def account(env: Env) -> tuple[Manifest, ...]:
    """ServiceAccount, Role and RoleBinding: Endpoints by name where Kubernetes can, pods for labels and status.

    No Services: Patroni would make that of its configuration where it is quicker than the operator, and as nobody's it
    would stand in the store's way. It goes on without the right.
    """
    names = [env.names.rw, *(f"{env.names.rw}-{name}" for name in ("config", "sync", "failover"))]
    rules = [
        {"apiGroups": [""], "resources": ["endpoints"], "verbs": ["list", "watch", "create"]},
        {
            "apiGroups": [""],
            "resources": ["endpoints"],
            "resourceNames": names,
            "verbs": ["get", "patch", "update", "delete"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch", "update"]},
    ]
    name = env.names.postgres
    return (
        env.object("v1", "ServiceAccount", name, COMPONENT),
        env.object("rbac.authorization.k8s.io/v1", "Role", name, COMPONENT, rules=rules),
        env.object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            name,
            COMPONENT,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[{"kind": "ServiceAccount", "name": name, "namespace": env.namespace}],
        ),
    )
