"""PgBouncer in front of the primary: within the server's connection budget, drained before it goes.

What changes while it runs (its configuration, the logins, its certificate) is one Secret, which every pod is told to
load and is seen to have loaded; no client is let go for it. Only what the pods themselves are is rolled out.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from ..kernel.action import Action, Delete, Emit, Manifest, Program, PublishPooler, Ref, Reload, Resume
from ..kernel.command import Commands
from ..kernel.compute import Resources, Scheduling, placement
from ..kernel.condition import POOLER_AVAILABLE, Condition, Status, changing, true, waiting
from ..kernel.contribution import Contribution, Database
from ..kernel.env import Env
from ..kernel.fragment import Fragment
from ..kernel.hold import COMPONENT, peer
from ..kernel.naming import AUTHORITY, REVISION, SOURCE, Names, labels, selector
from ..kernel.observed import Observed
from ..kernel.observed import Pooler as Console
from ..kernel.pki import hosts, leaf
from ..kernel.pod import CONTAINER_SECURITY, POD_SECURITY, mount, scratch, secret_volume, touch

PORT = 5432
EXPORTER_PORT = 9127
CONFIG = "/etc/pgbouncer"
SOCKET = "/tmp"
MARK = "syslog_ident"
"""The setting that carries the revision: free text of no effect without syslog, which the console shows as loaded."""
AGAIN = timedelta(seconds=10)
# May log in without a password: the one only by certificate, the other only by being the same process user.
OPERATORS = ('"console" ""', '"monitoring" ""')


class PoolMode(StrEnum):
    TRANSACTION = "Transaction"
    SESSION = "Session"


class Pooler(Fragment):
    """The connection pooler that applications talk to."""

    pool_mode: PoolMode = PoolMode.TRANSACTION
    """Transaction: a server connection is lent for one transaction. Session: for the client's whole connection."""
    instances: int = Field(default=2, ge=1, le=20)
    """Number of pooler pods."""
    resources: Resources = Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "256Mi"})
    """Requests and limits of the pgbouncer container."""


@dataclass(frozen=True, slots=True)
class Carried:
    login: bool
    """Every pooler lets the present login in."""
    all: bool
    """Every pooler is there and runs with the present configuration and certificate."""


def contribute(
    spec: Pooler, env: Env, observed: Observed, database: Database, commands: Commands, now: datetime
) -> tuple[Contribution, Carried]:
    """The contribution, and how far the pods have taken up what they are given."""
    names = env.names
    published, live = observed.secrets.get(names.pooler), observed.get("Deployment", names.pooler)
    files = configuration(spec, database)
    made = _revision(files, observed, names, database)
    # While a Secret is made again, the pods that run have read the old one, and go on.
    revision = made or (published.source if published else "")
    fresh = published is not None and published.intact and published.source == revision
    reloads, loaded = _reloads(env, observed, revision, now) if fresh else ((), False)
    ready, updated = _count(live)
    replicas = 0 if commands.hibernate else spec.instances
    runs = _image(live)
    # A release of the operator that brings another image goes to one store after the other.
    release = runs not in ("", env.images.pgbouncer)
    waits = release and not observed.turn
    if waits:
        env = replace(env, images=replace(env.images, pgbouncer=runs))
    return Contribution(
        desired=(
            # Pods name the Secret, so they come after it.
            *((deployment(spec, env, observed, replicas),) if revision else ()),
            service(env),
            disruption_budget(env),
        ),
        actions=(
            *leaf(env, observed, now, names.pooler_tls, "pooler", hosts(env, names.pooler)),
            *((_publish(env, database, files, made),) if made and not fresh else ()),
            *_lost(observed),
            *_resumed(env, observed, database),
            *reloads,
        ),
        conditions=(_available(spec, ready, updated, commands.hibernate, waits, loaded),),
        status={"pooler": {"instances": spec.instances, "readyInstances": ready}},
        release=release,
        again=None if loaded or not ready else AGAIN,
    ), Carried(login=loaded, all=loaded and updated)


def _publish(env: Env, database: Database, files: dict[str, str], revision: str) -> Action:
    secret = env.object("v1", "Secret", env.names.pooler, COMPONENT, type="Opaque")
    secret["metadata"]["annotations"] = {SOURCE: revision}
    files = {**files, "pgbouncer.ini": f"{files['pgbouncer.ini']}{MARK} = {revision}\n"}
    # Of the user's own Secret only the authority: the admin's password in it is no business of the pooler's.
    server = "" if database.certificates or not _verified(database) else database.admin
    return PublishPooler(secret, files, OPERATORS, env.names.credentials, env.names.pooler_tls, server)


def _reloads(env: Env, observed: Observed, revision: str, now: datetime) -> tuple[tuple[Action, ...], bool]:
    """A reload for each pod that runs with another revision, and whether every ready pod runs with this one."""
    pods = {pod["metadata"]["name"]: pod for pod in observed.ready(COMPONENT)}
    has = {name: observed.poolers.get(name, Console("")).revision for name in pods}
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
        if observed.poolers.get(pod["metadata"]["name"], Console("")).paused
    )


def _lost(observed: Observed) -> tuple[Action, ...]:
    """Pods on nodes that do not answer: deleting one takes it out of the Service at once and makes another."""
    return tuple(
        action
        for pod in observed.all("Pod", COMPONENT)
        if pod.get("status", {}).get("hostIP") in observed.unreachable and "deletionTimestamp" not in pod["metadata"]
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


def _available(spec: Pooler, ready: int, updated: bool, hibernated: bool, waits: bool, loaded: bool) -> Condition:
    if hibernated:
        return Condition(POOLER_AVAILABLE, Status.FALSE, "Hibernated", "Hibernated: no pods run")
    text = f"{min(ready, spec.instances)} of {spec.instances} pooler pods are ready"
    if ready == 0:
        return waiting(POOLER_AVAILABLE, "NoPoolerReady", text)
    if not updated:
        return changing(POOLER_AVAILABLE, "RollingOut", text)
    if waits:
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


def server_connections(database: Database, instances: int) -> int:
    """Server connections of one pod, such that all pods of an old and a new revision together fit the server."""
    return max(1, (database.max_connections - database.reserved_connections) // (2 * instances))


def configuration(spec: Pooler, database: Database) -> dict[str, str]:
    """PgBouncer's files by name: all but the logins and the certificates."""
    size = server_connections(database, spec.instances)
    settings: dict[str, Any] = {
        "listen_addr": "0.0.0.0",
        "listen_port": PORT,
        "unix_socket_dir": SOCKET,
        "pool_mode": spec.pool_mode.value.lower(),
        # Savers prepare every statement; without this one client would run another's (measured: 0 of 200 right).
        "max_prepared_statements": 200,
        "max_client_conn": 2000,
        "default_pool_size": size,
        "max_db_connections": size,
        "auth_type": "hba",
        "auth_hba_file": f"{CONFIG}/hba.conf",
        "auth_ident_file": f"{CONFIG}/ident.conf",
        # The application's logins are in it, so that clients get in while no server answers.
        "auth_file": f"{CONFIG}/userlist.txt",
        "admin_users": "console",
        "stats_users": "monitoring",
        "ignore_startup_parameters": "extra_float_digits",
        "client_tls_sslmode": "require",
        "client_tls_ca_file": f"{CONFIG}/ca.crt",
        "client_tls_cert_file": f"{CONFIG}/tls.crt",
        "client_tls_key_file": f"{CONFIG}/tls.key",
        "client_tls_protocols": "secure",
        "server_tls_protocols": "secure",
        # A dead primary is noticed in 3 s, and its successor tried as often as PgBouncer looks; clients wait meanwhile.
        "server_login_retry": 0.3,
        "server_connect_timeout": 3,
        "tcp_keepalive": 1,
        "tcp_keepidle": 1,
        "tcp_keepintvl": 1,
        "tcp_keepcnt": 3,
        "tcp_user_timeout": 3000,
        "dns_max_ttl": 5,
        "query_wait_timeout": 60,
        "client_login_timeout": 30,
        "log_connections": 0,
        "log_disconnections": 0,
        "logfile": "",
    }
    settings |= _server_login(database)
    lines = [
        "[databases]",
        f"{database.database} = host={database.host} port={database.port}{_primary_only(database)}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in settings.items() if value != ""),
    ]
    return {
        "pgbouncer.ini": "\n".join(lines) + "\n",
        "hba.conf": "\n".join(
            (
                "hostssl pgbouncer console 0.0.0.0/0 cert map=console",
                "hostssl pgbouncer console ::/0 cert map=console",
                "local pgbouncer monitoring peer map=exporter",
                f"hostssl {database.database} all 0.0.0.0/0 scram-sha-256",
                f"hostssl {database.database} all ::/0 scram-sha-256",
                "",
            )
        ),
        "ident.conf": "console postgres console\nexporter nonroot monitoring\n",
    }


def _primary_only(database: Database) -> str:
    """A new connection to a server that is no primary ends at once; else it would be kept for an hour."""
    return " connect_query='SELECT pooler.require_primary()'" if database.certificates else ""


def _verified(database: Database) -> bool:
    return database.server_tls.startswith("verify")


def _server_login(database: Database) -> dict[str, str]:
    """How PgBouncer proves itself to the server, and how it knows logins that are not the application's."""
    if database.certificates:
        return {
            "auth_user": "pooler",
            "auth_dbname": database.database,
            "auth_query": "SELECT uname, phash FROM pooler.user_lookup($1)",
            "server_tls_sslmode": database.server_tls,
            "server_tls_ca_file": f"{CONFIG}/ca.crt",
            "server_tls_cert_file": f"{CONFIG}/tls.crt",
            "server_tls_key_file": f"{CONFIG}/tls.key",
        }
    authority = {"server_tls_ca_file": f"{CONFIG}/server.crt"} if _verified(database) else {}
    return {"server_tls_sslmode": database.server_tls, **authority}


def deployment(spec: Pooler, env: Env, observed: Observed, replicas: int) -> Manifest:
    own = selector(env.name, COMPONENT)
    authority = observed.secrets.get(env.names.authority)
    annotations = {AUTHORITY: authority.uid} if authority else {}
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        # The pause in preStop, then the longest transaction that a client may still finish.
        "terminationGracePeriodSeconds": 60,
        "containers": [_pgbouncer(spec, env), _exporter(env)],
        "volumes": [
            secret_volume("config", env.names.pooler),
            scratch("tmp"),
        ],
        **placement(Scheduling(), own),
    }
    if env.images.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in env.images.pull_secrets]
    return env.object(
        "apps/v1",
        "Deployment",
        env.names.pooler,
        COMPONENT,
        spec={
            "replicas": replicas,
            # All new pods first: a client that is let go must not land on another old pod.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
            "selector": {"matchLabels": own},
            "template": {
                "metadata": {"labels": labels(env.name, COMPONENT), "annotations": annotations},
                "spec": pod,
            },
        },
    )


def _pgbouncer(spec: Pooler, env: Env) -> dict[str, Any]:
    return {
        "name": "pgbouncer",
        "image": env.images.pgbouncer,
        "command": ["pgbouncer", f"{CONFIG}/pgbouncer.ini"],
        "ports": [{"name": "postgresql", "containerPort": PORT}],
        "resources": spec.resources.manifest(),
        "securityContext": CONTAINER_SECURITY,
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "failureThreshold": 1},
        # The endpoint is gone everywhere before SIGINT, the image's stop signal, lets clients go between transactions.
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
        "volumeMounts": [
            mount("config", CONFIG, read_only=True),
            mount("tmp", SOCKET),
        ],
    }


def _exporter(env: Env) -> dict[str, Any]:
    return {
        "name": "exporter",
        "image": env.images.pgbouncer,
        "command": ["prometheus-pgbouncer-exporter", f"--web.listen-address=:{EXPORTER_PORT}"],
        "env": [
            {
                "name": "PGBOUNCER_EXPORTER_CONNECTION_STRING",
                "value": f"postgres://monitoring@:{PORT}/pgbouncer?host={SOCKET}&sslmode=disable",
            }
        ],
        "ports": [{"name": "metrics", "containerPort": EXPORTER_PORT}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [mount("tmp", SOCKET)],
    }


def service(env: Env) -> Manifest:
    return env.object(
        "v1",
        "Service",
        env.names.pooler,
        COMPONENT,
        spec={
            "selector": selector(env.name, COMPONENT),
            "ports": [{"name": "postgresql", "port": PORT, "targetPort": PORT}],
        },
    )


def disruption_budget(env: Env) -> Manifest:
    return env.object(
        "policy/v1",
        "PodDisruptionBudget",
        env.names.pooler,
        COMPONENT,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selector(env.name, COMPONENT)}},
    )
