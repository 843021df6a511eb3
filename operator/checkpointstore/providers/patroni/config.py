"""Patroni's two configurations: the file each pod mounts, and the dynamic one that all members share."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

from ...kernel.action import Manifest
from ...kernel.env import Env
from ...kernel.naming import DOMAIN, STORE_LABEL
from ...kernel.observed import Observed
from ..spec import DataDurability, Postgres, storage_bytes
from . import archive, departure, exporter
from .parameter import REVISION, TLS, parameters
from .place import PGDATA

COMPONENT = "postgres"
SCOPE_LABEL = f"{DOMAIN}/patroni"
ROLE_LABEL = f"{DOMAIN}/role"
BINARIES = "/usr/lib/postgresql/17/bin"
REST_PORT = 8008
PORT = 5432
DATABASE = "app"
# loop_wait + 2 * retry_timeout must stay under ttl, or Patroni refuses; 20 s is the least ttl it accepts. A standby
# notices a lost leader within ttl + loop_wait, so loop_wait is short.
TIMING = {"ttl": 20, "loop_wait": 2, "retry_timeout": 5}


def file(spec: Postgres, env: Env, observed: Observed, archives: bool, bootstraps: bool) -> Manifest:
    """The ConfigMap with all files that the containers read; what differs between pods comes from their environment.

    `bootstraps` says that an instance without data may make the database: there is no other with data to wait for.
    """
    return env.object(
        "v1",
        "ConfigMap",
        env.names.postgres_config,
        COMPONENT,
        data={
            "patroni.yml": _text(env, bootstraps),
            archive.FILE: archive.file(env, observed, storage_bytes(spec.storage), archives),
            archive.GUARD_FILE: archive.guard(),
            departure.FILE: departure.script(REST_PORT),
            exporter.FILE: exporter.QUERIES,
        },
    )


@lru_cache(maxsize=1024)
def _text(env: Env, bootstraps: bool) -> str:
    """Kept, as writing YAML takes longer than all the rest of a plan."""
    return yaml.safe_dump(_local(env, bootstraps), sort_keys=False)


def _local(env: Env, bootstraps: bool) -> dict[str, Any]:
    initdb = [
        "data-checksums",
        {"encoding": "UTF8"},
        {"locale-provider": "builtin"},
        {"builtin-locale": "C.UTF-8"},
        {"auth-local": "peer"},
    ]
    tls = {
        "sslmode": "verify-ca",
        "sslcert": f"{TLS}/tls.crt",
        "sslkey": f"{TLS}/tls.key",
        "sslrootcert": f"{TLS}/ca.crt",
    }
    certificate = {"certfile": f"{TLS}/tls.crt", "keyfile": f"{TLS}/tls.key", "cafile": f"{TLS}/ca.crt"}
    return {
        "scope": env.names.rw,
        "kubernetes": {
            "use_endpoints": True,
            "labels": {STORE_LABEL: env.name, "app.kubernetes.io/component": COMPONENT},
            "scope_label": SCOPE_LABEL,
            "role_label": ROLE_LABEL,
            "leader_label_value": "primary",
            "follower_label_value": "replica",
            "ports": [{"name": "postgresql", "port": PORT}],
        },
        # Health checks stay open to the kubelet; everything that changes something needs a certificate of our CA.
        "restapi": {"listen": f"0.0.0.0:{REST_PORT}", **certificate, "verify_client": "optional"},
        "ctl": certificate,
        # Without it Patroni waits for a leader where it finds no data, instead of racing for the right to make some.
        **({"bootstrap": {"initdb": initdb}} if bootstraps else {}),
        "postgresql": {
            "listen": f"0.0.0.0:{PORT}",
            "data_dir": PGDATA,
            "bin_dir": BINARIES,
            "pgpass": "/tmp/pgpass",
            "use_unix_socket": True,
            "use_unix_socket_repl": True,
            # A spread checkpoint would keep a new standby waiting for minutes before the first byte.
            "basebackup": [{"checkpoint": "fast"}],
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "authentication": {
                "superuser": {"username": "postgres"},
                "replication": {"username": "standby", **tls},
                "rewind": {"username": "standby", **tls},
            },
            "pg_hba": HBA,
            "pg_ident": [f"local postgres {role}" for role in ("postgres", "standby", "monitoring")],
        },
    }


# Certificates for the roles of our own making, SCRAM for applications, nothing without TLS.
HBA = [
    "local all all peer map=local",
    "local replication standby peer map=local",
    *(
        f"hostssl {database} {role} all cert"
        for database, role in (
            ("replication", "standby"),
            ("all", "standby"),
            ("all", "postgres"),
            ("all", "pooler"),
        )
    ),
    "hostssl all all all scram-sha-256",
]


def server(spec: Postgres, archives: bool) -> dict[str, str]:
    """PostgreSQL's parameters."""
    return {
        **parameters(spec.resources.memory(), storage_bytes(spec.storage), spec.parameters),
        **archive.parameters(archives),
    }


def dynamic(spec: Postgres, env: Env, values: Mapping[str, str], revision: str) -> Manifest:
    """The Endpoints object in which Patroni keeps the configuration of all members; `values` are PostgreSQL's own."""
    config: dict[str, Any] = {
        **TIMING,
        "failsafe_mode": True,
        "maximum_lag_on_failover": 16 * 1024 * 1024,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {**values, REVISION: revision},
        },
    }
    if spec.synchronous:
        config["synchronous_mode"] = True
        config["synchronous_mode_strict"] = spec.synchronous.data_durability is DataDurability.REQUIRED
        config["synchronous_node_count"] = spec.synchronous.number
    manifest = env.object("v1", "Endpoints", f"{env.names.rw}-config", COMPONENT)
    manifest["metadata"]["labels"][SCOPE_LABEL] = env.names.rw
    # Patroni writes this annotation back as it loaded it, in exactly this form.
    manifest["metadata"]["annotations"] = {"config": json.dumps(config, separators=(",", ":"))}
    return manifest
