"""Where the autoscaler meets the store: what it has to watch, what it last decided, and how both are told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...kernel.action import Action, Admit, Emit, Manifest, Rebalance
from ...kernel.compute import Resources
from ...kernel.condition import AUTOSCALING_LIMITED, Condition, Status
from ...kernel.contribution import Database
from ...kernel.env import Env
from ...kernel.hold import COMPONENT, peer
from ...kernel.naming import ADMITS, YES
from ...kernel.observed import Observed, Scale
from ...kernel.prometheus import PrometheusServer
from ...kernel.values import moment, quantity
from .configuration import SLOTS
from .decision import WITHIN, Rules, State
from .size import Size, bounded, capacity, rest
from .spec import Pooler, PoolMode
from .workload import CONTAINER

LIMITS = frozenset({"MaxInstancesReached", "ServerConnectionsExhausted", "PostgresSaturated"})


@dataclass(frozen=True, slots=True)
class Watch:
    """A pooler to be looked after: where its load is told, which pods it is of, and what may be done."""

    namespace: str
    pods: frozenset[str]
    """The pods that are ready."""
    primary: str
    """The primary's pod, "" where there is none."""
    server: PrometheusServer
    rules: Rules
    given: Size
    """What the pods have, or are about to have."""
    settled: bool
    """They have it."""
    changed: float
    """When that was decided, seconds since 1970."""
    why: str


def wanted(spec: Pooler, database: Database, observed: Observed, previous: Mapping[str, Any]) -> Size:
    """The size that the load asks for, within what spec and budget allow; `previous` is the pooler's last status."""
    most = capacity(database)
    size = rest(spec, most)
    if spec.autoscaling is None:
        return size
    if observed.scale is not None:
        size = Size(observed.scale.instances, observed.scale.connections)
    # An operator that has just started goes on with what another one had decided.
    elif known := _known(previous):
        size = known
    return bounded(size, spec, most)


def watch(
    spec: Pooler,
    namespace: str,
    database: Database,
    observed: Observed,
    given: Size,
    settled: bool,
    server: PrometheusServer | None,
    previous: Mapping[str, Any],
) -> Watch | None:
    """None where nothing is to be looked after."""
    if spec.autoscaling is None or server is None:
        return None
    most = capacity(database)
    rules = Rules(
        least=rest(spec, most),
        most=min(spec.most, most),
        capacity=most,
        wait=spec.autoscaling.wait,
        patience=spec.autoscaling.patience,
        core=_core(spec.resources),
        slots=SLOTS,
    )
    scaled = previous.get("lastScaleTime")
    return Watch(
        namespace=namespace,
        pods=frozenset(pod["metadata"]["name"] for pod in observed.ready(COMPONENT)),
        primary=database.primary,
        server=server,
        rules=rules,
        given=given,
        settled=settled,
        changed=datetime.fromisoformat(scaled).timestamp() if scaled else 0.0,
        why=str(previous.get("why", State(given).why)),
    )


def told(spec: Pooler, scale: Scale | None, server: PrometheusServer | None) -> tuple[Condition, ...]:
    """Whether something keeps the pooler smaller than its load asks for."""
    if spec.autoscaling is None:
        return ()
    if server is None:
        message = "No Prometheus is known: set spec.pooler.autoscaling.prometheus.url, or the operator's prometheus.url"
        return (Condition(AUTOSCALING_LIMITED, Status.UNKNOWN, "PrometheusMissing", message),)
    if scale is None:
        return (Condition(AUTOSCALING_LIMITED, Status.UNKNOWN, "Pending", "The load has not been looked at yet"),)
    if scale.reason == WITHIN.reason:
        return (Condition(AUTOSCALING_LIMITED, Status.FALSE, scale.reason, scale.message),)
    status = Status.TRUE if scale.reason in LIMITS else Status.UNKNOWN
    return (Condition(AUTOSCALING_LIMITED, status, scale.reason, scale.message),)


def status(spec: Pooler, given: Size, asked: Size, ready: int, scale: Scale | None) -> dict[str, Any]:
    """The pooler's part of the status."""
    size = {
        "instances": given.instances,
        "readyInstances": ready,
        "desiredInstances": asked.instances,
        "poolSize": given.connections,
        "desiredPoolSize": asked.connections,
    }
    if spec.autoscaling is None:
        return {**size, "lastScaleTime": None, "why": None}
    if scale is None or not scale.changed:
        return size
    return {**size, "lastScaleTime": moment(datetime.fromtimestamp(scale.changed, UTC)), "why": scale.why}


def news(spec: Pooler, asked: Size, scale: Scale | None, previous: Mapping[str, Any]) -> tuple[Action, ...]:
    """A change of size is an event."""
    known = _known(previous)
    if spec.autoscaling is None or scale is None or known is None or known == asked:
        return ()
    return (Emit("Normal", "PoolerScaled", f"{asked.text} each, instead of {known.text}: {scale.why}"),)


def admitted(spec: Pooler, observed: Observed) -> tuple[Action, ...]:
    """Nobody new comes to full pods while others have room, and everybody to all else."""
    aside = _aside(spec, observed)
    return tuple(
        Admit(name, admits=name not in aside)
        for pod in observed.all("Pod", COMPONENT)
        if _admits(pod) is not ((name := pod["metadata"]["name"]) not in aside)
    )


def rebalanced(spec: Pooler, env: Env, observed: Observed, database: Database) -> tuple[Action, ...]:
    """Idle clients of full pods connect anew, where others have room, once nobody new comes to the full ones."""
    scale, pods, aside = observed.scale, observed.ready(COMPONENT), _aside(spec, observed)
    began = [_began(pod) for pod in pods]
    if scale is None or not scale.due or not all(began):
        return ()
    crowded = {pod["metadata"]["name"]: pod for pod in pods if pod["metadata"]["name"] in aside}
    if any(map(_admits, crowded.values())):
        return ()
    return tuple(
        Rebalance(
            pooler=peer(env, pod),
            database=database.database,
            admin=env.names.admin_tls,
            most=scale.most,
            since=datetime.fromisoformat(max(began)),
            told=Emit("Normal", "ClientsRebalanced", f"Idle clients of {name} connect anew: others have room"),
        )
        for name, pod in crowded.items()
    )


def _aside(spec: Pooler, observed: Observed) -> frozenset[str]:
    """Full pods to which nobody new comes. In session mode no client is idle, so that none could move."""
    if observed.scale is None or spec.pool_mode is not PoolMode.TRANSACTION:
        return frozenset()
    ready = {pod["metadata"]["name"] for pod in observed.ready(COMPONENT)}
    return observed.scale.crowded if ready - observed.scale.crowded else frozenset()


def _admits(pod: Manifest) -> bool | None:
    """Whether new clients come to a pod; None for one that an earlier release has made."""
    told = pod["metadata"].get("labels", {}).get(ADMITS)
    return None if told is None else told == YES


def _began(pod: Manifest) -> str:
    """When PgBouncer began; within seconds clients came to it too. A probe that is missed once changes nothing."""
    states = {item["name"]: item.get("state", {}) for item in pod["status"].get("containerStatuses", ())}
    return str(states.get(CONTAINER, {}).get("running", {}).get("startedAt", ""))


def _known(previous: Mapping[str, Any]) -> Size | None:
    """What was asked for last, as the status has it."""
    instances, connections = previous.get("desiredInstances"), previous.get("desiredPoolSize")
    return Size(instances, connections) if instances and connections else None


def _core(resources: Resources) -> float:
    """Cores that one pod can use: PgBouncer has one thread."""
    limit = resources.limits.get("cpu")
    return min(1.0, float(quantity(limit))) if limit is not None else 1.0
