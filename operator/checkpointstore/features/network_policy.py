"""Who may knock: ingress-only NetworkPolicies, so that nothing a store needs to reach is ever cut off."""

from typing import Any

from pydantic import Field

from ..kernel.action import Manifest
from ..kernel.compute import Open
from ..kernel.contribution import Contribution, Database
from ..kernel.env import Env
from ..kernel.fragment import Fragment
from ..kernel.job import PROGRESS
from ..kernel.naming import COMPONENT_LABEL, STORE_LABEL, selector
from ..kernel.scheduled import OVER_THREADS

COMPONENT = "network-policy"


class NetworkPolicy(Fragment):
    """Which clients may connect."""

    from_: list[Open] = Field(default_factory=list, alias="from")
    """NetworkPolicy peers that may connect to the pooler and to `-rw`; everybody in the cluster when empty."""


def contribute(spec: NetworkPolicy, env: Env, database: Database) -> Contribution:
    own = (_postgres(spec, env),) if database.provider == "Patroni" else ()
    return Contribution(desired=(_pooler(spec, env), *own, _runs(env)))


def _clients(spec: NetworkPolicy, env: Env, port: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"}]}
    if spec.from_:
        rule["from"] = [*spec.from_, _own(env)]
    return rule


def _own(env: Env) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {STORE_LABEL: env.name}}}


def _operator(env: Env) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": env.operator_namespace}}}


def _pooler(spec: NetworkPolicy, env: Env) -> Manifest:
    console = {"from": [_operator(env)], "ports": [{"port": 5432, "protocol": "TCP"}]}
    return _policy(env, "pooler", _pods(env, "pooler"), [_clients(spec, env, 5432), console, _open(9127)])


def _postgres(spec: NetworkPolicy, env: Env) -> Manifest:
    own = {"from": [_own(env), _operator(env)], "ports": [{"port": port, "protocol": "TCP"} for port in (8008, 8432)]}
    return _policy(env, "postgres", _pods(env, "postgres"), [_clients(spec, env, 5432), own, _open(9187), _open(9100)])


def _runs(env: Env) -> Manifest:
    """Only the operator asks how far a recovery or a Job is."""
    far = {"from": [_operator(env)], "ports": [{"port": PROGRESS, "protocol": "TCP"}]}
    which = {"key": COMPONENT_LABEL, "operator": "In", "values": ["recovery", *OVER_THREADS]}
    return _policy(env, "runs", {"matchLabels": {STORE_LABEL: env.name}, "matchExpressions": [which]}, [far])


def _open(port: int) -> dict[str, Any]:
    return {"ports": [{"port": port, "protocol": "TCP"}]}


def _pods(env: Env, component: str) -> dict[str, Any]:
    return {"matchLabels": selector(env.name, component)}


def _policy(env: Env, name: str, pods: dict[str, Any], ingress: list[dict[str, Any]]) -> Manifest:
    return env.object(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        f"{env.name}-{name}",
        COMPONENT,
        spec={
            "podSelector": pods,
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    )
