"""PgBouncer in front of the primary: within the server's connection budget, drained before it goes."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from ..kernel.action import Action, Delete, Emit, Manifest, PublishUsers, Ref
from ..kernel.command import Commands
from ..kernel.compute import Resources, Scheduling, placement
from ..kernel.condition import POOLER_AVAILABLE, Condition, Status, changing, true, waiting
from ..kernel.contribution import Contribution, Database
from ..kernel.env import Env
from ..kernel.fragment import Fragment
from ..kernel.naming import DOMAIN, SOURCE, Names, labels, selector
from ..kernel.observed import Observed
from ..kernel.pki import hosts, leaf
from ..kernel.pod import CONTAINER_SECURITY, POD_SECURITY, config_volume, mount, scratch, secret_volume

COMPONENT = "pooler"
REVISION = f"{DOMAIN}/revision"
PORT = 5432
EXPORTER_PORT = 9127
TLS = "/etc/pgbouncer-tls"
CONFIG = "/etc/pgbouncer"
SOCKET = "/tmp"
USERS = "/etc/pgbouncer-users"
SERVER = "/etc/pgbouncer-server"
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
    """Every pooler runs with the present configuration and certificate."""


def contribute(
    spec: Pooler, env: Env, observed: Observed, database: Database, commands: Commands, now: datetime
) -> tuple[Contribution, Carried]:
    """The contribution, and how far the pods have taken up what they are given."""
    names = env.names
    settings = config(spec, env, database)
    revision = _revision(settings, observed, names, database)
    replicas = 0 if commands.hibernate else spec.instances
    live = observed.get("Deployment", names.pooler)
    ready, updated = _count(live)
    if live is not None and not revision:
        # A Secret is being made again: the pods that run have read the old one, and go on.
        revision = _revision_of(live)
    current = live is not None and _revision_of(live) == revision and updated
    return Contribution(
        desired=(
            settings,
            # Pods name the secrets they were started with, so they come after them.
            *((deployment(spec, env, database, revision, replicas),) if revision else ()),
            service(env),
            disruption_budget(env),
        ),
        actions=(
            *leaf(env, observed, now, names.pooler_tls, "pooler", hosts(env, names.pooler)),
            *_users(env, observed, database),
            *_lost(observed),
        ),
        conditions=(_available(spec, ready, updated, commands.hibernate),),
        status={"pooler": {"instances": spec.instances, "readyInstances": ready}},
    ), Carried(login=database.certificates or current, all=current)


def _users(env: Env, observed: Observed, database: Database) -> tuple[Action, ...]:
    """The auth_file of a pooler that may not look logins up: made again whenever the credentials change."""
    credentials = observed.secrets.get(env.names.credentials)
    if database.certificates or credentials is None:
        return ()
    live = observed.secrets.get(env.names.pooler_users)
    if live and live.intact and live.source == credentials.version:
        return ()
    secret = env.object("v1", "Secret", env.names.pooler_users, COMPONENT, type="Opaque")
    secret["metadata"]["annotations"] = {SOURCE: credentials.version}
    return (PublishUsers(secret, OPERATORS, env.names.credentials),)


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


def _available(spec: Pooler, ready: int, updated: bool, hibernated: bool) -> Condition:
    if hibernated:
        return Condition(POOLER_AVAILABLE, Status.FALSE, "Hibernated", "Hibernated: no pods run")
    text = f"{min(ready, spec.instances)} of {spec.instances} pooler pods are ready"
    if ready == 0:
        return waiting(POOLER_AVAILABLE, "NoPoolerReady", text)
    return true(POOLER_AVAILABLE, "Available", text) if updated else changing(POOLER_AVAILABLE, "RollingOut", text)


def _revision(settings: Manifest, observed: Observed, names: Names, database: Database) -> str:
    """A digest of all that a pod reads at its start; "" while some of it is not there yet."""
    tls, users = observed.secrets.get(names.pooler_tls), observed.secrets.get(names.pooler_users)
    if not database.measured or tls is None or tls.certificate is None or not (database.certificates or users):
        return ""
    parts = (*settings["data"].values(), tls.certificate.fingerprint, users.source if users else "")
    return hashlib.sha256("".join((*parts, database.admin_version)).encode()).hexdigest()[:16]


def _revision_of(live: Manifest) -> str:
    return str(live["spec"]["template"]["metadata"].get("annotations", {}).get(REVISION, ""))


def server_connections(database: Database, instances: int) -> int:
    """Server connections of one pod, such that all pods of an old and a new revision together fit the server."""
    return max(1, (database.max_connections - database.reserved_connections) // (2 * instances))


def config(spec: Pooler, env: Env, database: Database) -> Manifest:
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
        "auth_file": f"{CONFIG}/userlist.txt" if database.certificates else f"{USERS}/userlist.txt",
        "admin_users": "console",
        "stats_users": "monitoring",
        "ignore_startup_parameters": "extra_float_digits",
        "client_tls_sslmode": "require",
        "client_tls_ca_file": f"{TLS}/ca.crt",
        "client_tls_cert_file": f"{TLS}/tls.crt",
        "client_tls_key_file": f"{TLS}/tls.key",
        "client_tls_protocols": "secure",
        "server_tls_protocols": "secure",
        # A dead primary is noticed in 3 s and its successor tried every second; clients wait meanwhile.
        "server_login_retry": 1,
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
    data = {
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
        "userlist.txt": "\n".join((*OPERATORS, "")),
    }
    return env.object("v1", "ConfigMap", env.names.pooler, COMPONENT, data=data)


def _primary_only(database: Database) -> str:
    """A new connection to a server that is no primary ends at once; else it would be kept for an hour."""
    return " connect_query='SELECT pooler.require_primary()'" if database.certificates else ""


def _server_login(database: Database) -> dict[str, str]:
    """How PgBouncer proves itself to the server, and how it knows the applications' logins."""
    if database.certificates:
        return {
            "auth_user": "pooler",
            "auth_dbname": database.database,
            "auth_query": "SELECT uname, phash FROM pooler.user_lookup($1)",
            "server_tls_sslmode": database.server_tls,
            "server_tls_ca_file": f"{TLS}/ca.crt",
            "server_tls_cert_file": f"{TLS}/tls.crt",
            "server_tls_key_file": f"{TLS}/tls.key",
        }
    authority = {"server_tls_ca_file": f"{SERVER}/ca.crt"} if database.server_tls.startswith("verify") else {}
    return {"server_tls_sslmode": database.server_tls, **authority}


def deployment(spec: Pooler, env: Env, database: Database, revision: str, replicas: int) -> Manifest:
    own = selector(env.name, COMPONENT)
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        # The pause in preStop, then the longest transaction that a client may still finish.
        "terminationGracePeriodSeconds": 60,
        "containers": [_pgbouncer(spec, env, database), _exporter(env)],
        "volumes": [
            config_volume("config", env.names.pooler),
            secret_volume("tls", env.names.pooler_tls),
            scratch("tmp"),
            *_external_volumes(env, database),
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
                "metadata": {
                    "labels": labels(env.name, COMPONENT),
                    "annotations": {REVISION: revision},
                },
                "spec": pod,
            },
        },
    )


def _external_volumes(env: Env, database: Database) -> list[dict[str, Any]]:
    if database.certificates:
        return []
    users = secret_volume("users", env.names.pooler_users)
    if not database.server_tls.startswith("verify"):
        return [users]
    # Only the authority: the admin's password in the same Secret is no business of the pooler's.
    server = secret_volume("server", database.admin)
    server["secret"]["items"] = [{"key": "ca.crt", "path": "ca.crt"}]
    return [users, server]


def _pgbouncer(spec: Pooler, env: Env, database: Database) -> dict[str, Any]:
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
            mount("tls", TLS, read_only=True),
            mount("tmp", SOCKET),
            *(
                mount(volume["name"], {"users": USERS, "server": SERVER}[volume["name"]], read_only=True)
                for volume in _external_volumes(env, database)
            ),
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
