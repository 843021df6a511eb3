"""Which poolers keep their clients waiting while the primary changes: all that take orders."""

from .action import Hold, Manifest, Peer
from .env import Env
from .observed import Observed

COMPONENT = "pooler"


def peer(env: Env, pod: Manifest) -> Peer:
    """A pooler's console."""
    return Peer(env.host(env.names.pooler), str(pod["status"]["podIP"]))


def hold(env: Env, observed: Observed, database: str) -> Hold:
    pods = (pod for pod in observed.ready(COMPONENT) if pod["metadata"]["name"] in observed.poolers)
    return Hold(tuple(peer(env, pod) for pod in pods), database)
