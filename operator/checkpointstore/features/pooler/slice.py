"""The pooler's part of a plan: what is published to the pods, how many there shall be, and what to tell.

What changes while it runs (its configuration, the logins, its certificate) is one Secret, which every pod is told to
load and is seen to have loaded; no client is let go for it. Only what the pods themselves are is rolled out.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Delete, Emit, Manifest, Program, PublishPooler, Ref, Reload, Resume
from ...kernel.command import Commands
from ...kernel.condition import POOLER_AVAILABLE, Condition, Status, changing, true, waiting
from ...kernel.contribution import Contribution, Database
from ...kernel.env import Env
from ...kernel.hold import COMPONENT, peer
from ...kernel.manifest import applied, covers
from ...kernel.naming import REVISION, SOURCE, Names
from ...kernel.observed import Observed
from ...kernel.observed import Pooler as Console
from ...kernel.pki import hosts, leaf
from ...kernel.pod import touch
from ...kernel.prometheus import PrometheusServer
from . import scaling
from .configuration import MARK, OPERATORS, configuration, verified
from .scaling import Watch
from .size import Size, capacity, step
from .spec import Pooler
from .workload import deployment, disruption_budget, service

AGAIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Carried:
    login: bool
    """Every pooler lets the present login in."""
    all: bool
    """Every pooler is there and runs with the present configuration and certificate."""
    watch: Watch | None = None
    """What the autoscaler has to look after."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What else the pooler depends on."""

    prometheus: PrometheusServer | None
    """The operator's own, for a spec that names none."""
    previous: Mapping[str, Any]
    """The pooler's status as it was."""
    commands: Commands


def contribute(
    spec: Pooler, env: Env, observed: Observed, database: Database, settings: Settings, now: datetime
) -> tuple[Contribution, Carried]:
    """The contribution, and how far the pods have taken up what they are given."""
    names, previous, hibernate = env.names, settings.previous, settings.commands.hibernate
    asked = scaling.wanted(spec, database, observed, previous)
    given = _given(asked, observed, observed.get("Deployment", names.pooler), database, previous)
    files = _files(env, observed, database, configuration(spec, database, given.connections), now)
    pods = _pods(spec, env, observed, given, asked, hibernate)
    loaded, there = files.loaded, pods.updated and given == asked
    server = (spec.autoscaling and spec.autoscaling.prometheus) or settings.prometheus
    watch = scaling.watch(spec, env.namespace, database, observed, given, loaded and there, server, previous)
    return Contribution(
        desired=(
            # Pods name the Secret, so they come after it.
            *((pods.deployment,) if files.revision else ()),
            service(env, observed),
            disruption_budget(env),
        ),
        actions=(
            *leaf(env, observed, now, names.pooler_tls, "pooler", hosts(env, names.pooler)),
            *files.published,
            *_lost(observed),
            *_resumed(env, observed, database),
            *files.reloads,
            *scaling.news(spec, asked, observed.scale, previous),
            *scaling.admitted(spec, observed),
            *(scaling.rebalanced(spec, env, observed, database) if loaded and there else ()),
        ),
        conditions=(
            _available(given.instances, pods, there, loaded, hibernate),
            *scaling.told(spec, observed.scale, server),
        ),
        status={"pooler": scaling.status(spec, given, asked, pods.ready, observed.scale)},
        release=pods.release,
        quiet=frozenset({COMPONENT}) if pods.resizes else frozenset(),
        again=None if (loaded and given == asked) or not pods.ready else AGAIN,
    ), Carried(login=loaded, all=loaded and there, watch=None if hibernate else watch)


@dataclass(frozen=True, slots=True)
class _Files:
    """What PgBouncer reads: which revision shall be there, what that takes, and whether all ready pods run with it."""

    revision: str
    """"" while there is nothing to read yet."""
    published: tuple[Action, ...]
    reloads: tuple[Action, ...]
    loaded: bool


def _files(env: Env, observed: Observed, database: Database, files: dict[str, str], now: datetime) -> _Files:
    published = observed.secrets.get(env.names.pooler)
    made = _revision(files, observed, env.names, database)
    # While a Secret is made again, the pods that run have read the old one, and go on.
    revision = made or (published.source if published else "")
    fresh = published is not None and published.intact and published.source == revision
    reloads, loaded = _reloads(env, observed, revision, now) if fresh else ((), False)
    publish = (_publish(env, database, files, made),) if made and not fresh else ()
    return _Files(revision, publish, reloads, loaded)


@dataclass(frozen=True, slots=True)
class _Pods:
    """The Deployment that shall be, and how far it is."""

    deployment: Manifest
    ready: int
    updated: bool
    """All of the newest revision are up."""
    release: bool
    """A release of the operator brings another image: it goes to one store after the other."""
    waits: bool
    """Another store has its turn."""
    resizes: bool
    """The load has asked for another size, and nothing else about them changes."""


def _pods(spec: Pooler, env: Env, observed: Observed, given: Size, asked: Size, hibernate: bool) -> _Pods:
    live = observed.get("Deployment", env.names.pooler)
    release = _image(live) not in ("", env.images.pgbouncer)
    waits = release and not observed.turn
    pods = deployment(spec, env, observed, 0 if hibernate else given.instances)
    if waits and live and (template := applied(live).get("spec", {}).get("template")):
        # As they are: a release may bring more than an image.
        pods = {**pods, "spec": {**pods["spec"], "template": template}}
    resizes = spec.autoscaling is not None and _resizes(observed, live, pods, asked)
    return _Pods(pods, *_count(live), release, waits, resizes)


def _given(
    asked: Size, observed: Observed, live: Manifest | None, database: Database, previous: Mapping[str, Any]
) -> Size:
    """What the pods are given now, on the way to what is asked for."""
    replicas, connections = (live or {}).get("spec", {}).get("replicas"), previous.get("poolSize")
    # Hibernated pods are gone, and with them what they used.
    last = Size(replicas, connections) if replicas and connections else None
    most = capacity(database)
    # Who is silent may use all there is.
    loaded = (_console(observed, pod).connections or most for pod in observed.ready(COMPONENT))
    # What is on a node that does not answer has lost its connections, however long it is still to be seen.
    present = (pod for pod in observed.all("Pod", COMPONENT) if not _away(observed, pod))
    return step(asked, last, loaded, len(list(present)), most)


def _resizes(observed: Observed, live: Manifest | None, pods: Manifest, asked: Size) -> bool:
    """Whether the pods become more or fewer, larger or smaller, and nothing else about them changes."""
    if live is None:
        return False
    same = covers(live, {**pods, "spec": {**pods["spec"], "replicas": live["spec"].get("replicas")}})
    status = live.get("status", {})
    alike = status.get("updatedReplicas", 0) == status.get("replicas", 0)
    replicas = {live["spec"].get("replicas"), status.get("readyReplicas", 0), asked.instances}
    sizes = {_console(observed, pod).connections for pod in observed.ready(COMPONENT)}
    return same and alike and (len(replicas) > 1 or sizes != {asked.connections})


def _console(observed: Observed, pod: Manifest) -> Console:
    return observed.poolers.get(pod["metadata"]["name"], Console(""))


def _publish(env: Env, database: Database, files: dict[str, str], revision: str) -> Action:
    secret = env.object("v1", "Secret", env.names.pooler, COMPONENT, type="Opaque")
    secret["metadata"]["annotations"] = {SOURCE: revision}
    files = {**files, "pgbouncer.ini": f"{files['pgbouncer.ini']}{MARK} = {revision}\n"}
    # Of the user's own Secret only the authority: the admin's password in it is no business of the pooler's.
    server = "" if database.certificates or not verified(database) else database.admin
    return PublishPooler(secret, files, OPERATORS, env.names.credentials, env.names.pooler_tls, server)


def _reloads(env: Env, observed: Observed, revision: str, now: datetime) -> tuple[tuple[Action, ...], bool]:
    """A reload for each pod that runs with another revision, and whether every ready pod runs with this one."""
    pods = {pod["metadata"]["name"]: pod for pod in observed.ready(COMPONENT)}
    has = {name: _console(observed, pod).revision for name, pod in pods.items()}
    return tuple(
        Reload(
            program=Program.PGBOUNCER,
            pod=name,
            at=peer(env, pod),
            admin=env.names.admin_tls,
            mark=touch(REVISION, revision, now),
        )
        for name, pod in pods.items()
        # One that does not answer to a question does not answer to this either.
        if has[name] not in ("", revision)
    ), bool(pods) and set(has.values()) == {revision}


def _resumed(env: Env, observed: Observed, database: Database) -> tuple[Action, ...]:
    """Whoever held the clients of a pooler lets them go in the same action: here its operator has died in it."""
    return tuple(
        Resume(peer(env, pod), database.database, env.names.admin_tls)
        for pod in observed.ready(COMPONENT)
        if _console(observed, pod).paused
    )


def _away(observed: Observed, pod: Manifest) -> bool:
    return pod.get("status", {}).get("hostIP") in observed.unreachable


def _lost(observed: Observed) -> tuple[Action, ...]:
    """Pods on nodes that do not answer: deleting one takes it out of the Service at once and makes another."""
    return tuple(
        action
        for pod in observed.all("Pod", COMPONENT)
        if _away(observed, pod) and "deletionTimestamp" not in pod["metadata"]
        for action in (
            Emit("Warning", "PoolerUnreachable", f"The node of {pod['metadata']['name']} does not answer"),
            Delete(Ref("Pod", pod["metadata"]["name"])),
        )
    )


def _image(live: Manifest | None) -> str:
    """What the pods are made from, "" while there are none."""
    return str(live["spec"]["template"]["spec"]["containers"][0]["image"]) if live else ""


def _count(live: Manifest | None) -> tuple[int, bool]:
    """Ready pods, and whether all of the newest revision are up."""
    status = (live or {}).get("status", {})
    wanted = (live or {}).get("spec", {}).get("replicas")
    settled = (
        live is not None
        and status.get("observedGeneration") == live["metadata"].get("generation")
        and status.get("updatedReplicas") == wanted == status.get("replicas") == status.get("readyReplicas")
    )
    return int(status.get("readyReplicas", 0)), settled


def _available(instances: int, pods: _Pods, there: bool, loaded: bool, hibernated: bool) -> Condition:
    if hibernated:
        return Condition(POOLER_AVAILABLE, Status.FALSE, "Hibernated", "Hibernated: no pods run")
    text = f"{min(pods.ready, instances)} of {instances} pooler pods are ready"
    if pods.ready == 0:
        return waiting(POOLER_AVAILABLE, "NoPoolerReady", text)
    if pods.resizes and not (there and loaded):
        return true(POOLER_AVAILABLE, "Scaling", f"{text}; the load has asked for another size")
    if not there:
        return changing(POOLER_AVAILABLE, "RollingOut", text)
    if pods.waits:
        return changing(POOLER_AVAILABLE, "WaitingForTurn", f"Another store takes up the new release first; {text}")
    if not loaded:
        return changing(POOLER_AVAILABLE, "Reloading", f"{text}, not all with the present configuration")
    return true(POOLER_AVAILABLE, "Available", text)


def _revision(files: dict[str, str], observed: Observed, names: Names, database: Database) -> str:
    """A digest of all that PgBouncer reads; "" while some of it is not there yet."""
    tls, credentials = observed.secrets.get(names.pooler_tls), observed.secrets.get(names.credentials)
    if not database.measured or tls is None or tls.certificate is None or credentials is None:
        return ""
    parts = (*files.values(), tls.certificate.fingerprint, *tls.trust, credentials.version, database.admin_version)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
