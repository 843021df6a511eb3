"""PostgreSQL that somebody else runs: no pods, no failover, the same schema, pooler and binding."""

import hashlib
import re
from datetime import timedelta

from ..kernel.condition import INITIALIZED, POSTGRES_AVAILABLE, broken, true
from ..kernel.contribution import Contribution, Database
from ..kernel.env import Env
from ..kernel.observed import Observed, Server
from .spec import External

NEEDED = ("host", "port", "database", "username", "password")
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# Left to the server's other users and its own upkeep.
RESERVED_CONNECTIONS = 10
DEFAULT_CONNECTIONS = 100


def contribute(
    spec: External, env: Env, observed: Observed, max_connections: int
) -> tuple[Contribution, Database | None]:
    """`max_connections` is what the schema Job last read from the server, 0 when it has not yet."""
    server, name = observed.server, spec.secret_ref.name
    if server is None:
        told = f"Secret {name} is not in this namespace: create it with the keys {', '.join(NEEDED)}"
        return _waiting("SecretMissing", told), None
    if what := _unusable(server):
        return _waiting("SecretIncomplete", f"Secret {name} {what}"), None
    database = Database(
        provider="External",
        host=server.host,
        port=int(server.port),
        database=server.database,
        logins=logins(env),
        admin=name,
        admin_version=server.version,
        certificates=False,
        settled=True,
        server_tls=_server_tls(server),
        primary="",
        serving=True,
        max_connections=max_connections or DEFAULT_CONNECTIONS,
        measured=max_connections > 0,
        reserved_connections=RESERVED_CONNECTIONS,
        spare=0,
    )
    return Contribution(
        conditions=(
            true(INITIALIZED, "External", "The server is somebody else's"),
            true(POSTGRES_AVAILABLE, "External", "Somebody else runs it; SchemaApplied says whether it answers"),
        ),
        status={"postgres": {"provider": "External"}},
    ), database


def _unusable(server: Server) -> str:
    """What the Secret must not say, as it goes into PgBouncer's configuration and the binding's URI; "" if it may."""
    if missing := [key for key in NEEDED if key not in server.keys]:
        return f"lacks {', '.join(missing)}"
    if not re.fullmatch(r"[0-9]{1,5}", server.port):
        return "has a port that is not a number"
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", server.host):
        return "has a host that is neither a name nor an address"
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", server.database):
        return "has a database with other characters than letters, digits, _, . and -"
    if server.sslmode not in ("", *SSLMODES):
        return f"has an sslmode that is none of {', '.join(SSLMODES)}"
    return ""


def _waiting(reason: str, message: str) -> Contribution:
    """Secrets cannot be watched without the right to read all of them, so this one is looked at again."""
    return Contribution(conditions=(broken(POSTGRES_AVAILABLE, reason, message),), again=timedelta(seconds=5))


def prefix(env: Env) -> str:
    """What the store's roles begin with, as several stores may share the server."""
    digest = hashlib.sha256(f"{env.namespace}/{env.name}".encode()).hexdigest()[:8]
    return f"cps_{env.name.replace('-', '_').replace('.', '_')}_{digest}"


def logins(env: Env) -> tuple[str, str]:
    return f"{prefix(env)}_a", f"{prefix(env)}_b"


def _server_tls(server: Server) -> str:
    if server.sslmode:
        return server.sslmode
    return "verify-full" if "ca.crt" in server.keys else "require"
