"""Instances load parameters that change without a person: Patroni is told anew until they are seen to have done so."""

import json
from collections.abc import Mapping
from datetime import datetime
from math import inf
from typing import Any

from ...kernel.env import Env
from ...kernel.naming import Names
from ...kernel.observed import Observed
from ...kernel.values import digest
from ..spec import Postgres
from .config import COMPONENT
from .parameter import REVISION

# Seconds. Patroni looks every 2, and an object that is applied 15 times in 5 minutes is not contested yet.
PATIENCE = 20
# An exporter that nobody can reach is not asked every few seconds for ever.
ATTENTION = 600


def in_force(names: Names, observed: Observed) -> str:
    """The revision in Patroni's configuration; "" where there is none."""
    record = observed.get("Endpoints", f"{names.rw}-config") or {"metadata": {}}
    try:
        return str(json.loads(record["metadata"]["annotations"]["config"])["postgresql"]["parameters"][REVISION])
    except (KeyError, TypeError, ValueError):
        return ""


def due(names: Names, observed: Observed, status: Mapping[str, Any]) -> bool:
    """Whether instances are asked for theirs: not all were seen to have the one in force."""
    return in_force(names, observed) != str(status.get("postgres", {}).get("revision", ""))


def wanted(values: Mapping[str, str], env: Env, observed: Observed, now: datetime) -> str:
    """The revision of parameters: DIGEST.SECONDS, the latter since 1970 when instances were last told to load them.

    A server that was starting when its parameters changed keeps the old ones. Patroni believes that it has the new
    ones, so a reload need not make it write them; that this one changes once more does.
    """
    live = in_force(env.names, observed)
    own = digest(json.dumps(dict(values), sort_keys=True))
    missed = any(said not in (None, "", live) for said in _ready(observed))
    if live.partition(".")[0] == own and not (missed and not 0 <= _age(live, now) < PATIENCE):
        return live
    return f"{own}.{int(now.timestamp())}"


def told(spec: Postgres, env: Env, observed: Observed) -> dict[str, str]:
    """What the status says: the revision in force, once every instance is there and tells it, or cannot tell any."""
    live = in_force(env.names, observed)
    said = {observed.revisions.get(env.names.instance(ordinal)) for ordinal in range(spec.instances)}
    return {"revision": live} if said <= {"", live} else {}


def awaited(env: Env, observed: Observed, status: Mapping[str, Any], now: datetime) -> bool:
    """Whether a ready instance has yet to tell the revision in force; of one that does not answer, for a while."""
    if not due(env.names, observed, status):
        return False
    live = in_force(env.names, observed)
    fresh = _age(live, now) < ATTENTION
    return any(fresh if said is None else said not in ("", live) for said in _ready(observed))


def _ready(observed: Observed) -> list[str | None]:
    """What each ready instance tells."""
    return [observed.revisions.get(pod["metadata"]["name"]) for pod in observed.ready(COMPONENT)]


def _age(revision: str, now: datetime) -> float:
    """Seconds since instances were told of it; none that was made by hand is young."""
    seconds = revision.partition(".")[2]
    return now.timestamp() - int(seconds) if seconds.isdecimal() and len(seconds) < 16 else inf
