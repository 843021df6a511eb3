"""The binding: the one Secret that an application needs, published once the schema stands."""

import hashlib
import json
from urllib.parse import urlencode

from ..kernel.action import Publish
from ..kernel.condition import READY, waiting
from ..kernel.contribution import Contribution, Database
from ..kernel.env import Env
from ..kernel.naming import SOURCE
from ..kernel.observed import Observed

COMPONENT = "binding"
# libpq's own: a dead peer is noticed in 2 s; without these a stock client hung 54 s on a node that was cut off.
TIMEOUTS = {
    "connect_timeout": "2",
    "tcp_user_timeout": "2000",
    "keepalives_idle": "1",
    "keepalives_interval": "1",
    "keepalives_count": "2",
}


def contribute(env: Env, observed: Observed, database: Database, admitted: bool) -> tuple[Contribution, bool]:
    """The contribution, and whether the binding is there for applications to read.

    `admitted` says that database and pooler let the present login in.
    """
    live = observed.secrets.get(env.names.binding)
    if not admitted:
        return Contribution(status={"binding": {"name": env.names.binding}} if live else {}), live is not None
    template = _template(env, database)
    credentials = observed.secrets[env.names.credentials]
    authority = observed.secrets.get(env.names.authority)
    source = hashlib.sha256(
        json.dumps([template, credentials.version, authority.version if authority else ""], sort_keys=True).encode()
    ).hexdigest()[:16]
    secret = env.object("v1", "Secret", env.names.binding, COMPONENT, type="servicebinding.io/postgresql")
    secret["metadata"]["annotations"] = {SOURCE: source}
    fresh = live is not None and live.intact and live.source == source
    if fresh:
        return Contribution(status={"binding": {"name": env.names.binding}}), True
    return Contribution(
        actions=(Publish(secret, template, env.names.credentials, env.names.authority),),
        conditions=(waiting(READY, "PublishingBinding", f"Secret {env.names.binding} is being written"),),
        status={"binding": {"name": env.names.binding}},
    ), live is not None


def _template(env: Env, database: Database) -> dict[str, str]:
    pooler = env.host(env.names.pooler)
    query = urlencode({"sslmode": "require", **TIMEOUTS})
    user = "{username}:{password}"
    return {
        "type": "postgresql",
        "provider": "checkpointstore",
        "host": pooler,
        "port": "5432",
        "database": database.database,
        "username": "{username}",
        "password": "{password}",
        "uri": f"postgresql://{user}@{pooler}:5432/{database.database}?{query}",
        "plain-uri": f"postgresql://{user}@{pooler}:5432/{database.database}?sslmode=require",
        "direct-host": database.host,
        "direct-uri": f"postgresql://{user}@{database.host}:{database.port}/{database.database}?{query}",
        "ca.crt": "{ca}",
    }
