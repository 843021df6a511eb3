"""How many instances and how large, where that cannot change at once: scaling past the primary, growing volumes."""

from ...kernel.action import Action, Emit, Grow, Manifest
from ...kernel.command import Commands
from ...kernel.env import Env
from ...kernel.observed import Observed
from ...kernel.values import quantity
from ..spec import Postgres
from . import growth
from .member import Member
from .rolling import hand_over, successor
from .workload import Shape


def shape(
    spec: Postgres, env: Env, observed: Observed, commands: Commands, found: tuple[Member, ...], primary: str
) -> tuple[Shape, tuple[Action, ...]]:
    """The StatefulSet's shape for now, and what leads on to the wanted one."""
    live = observed.get("StatefulSet", env.names.postgres)
    size, grow = _size(spec, env, observed, live)
    if commands.hibernate:
        return Shape(0, size), grow
    kept = {env.names.instance(ordinal) for ordinal in range(spec.instances)}
    have = int((live or {}).get("spec", {}).get("replicas", 0))
    if not primary or primary in kept or have <= spec.instances or all(member.name != primary for member in found):
        return Shape(spec.instances, size), grow
    # A StatefulSet takes the highest instances away first: one that stays must lead before that.
    target = successor(spec, env, observed, tuple(member for member in found if member.name in kept), primary)
    lead = hand_over(env, observed, found, primary, target, "before it is scaled away") if target else ()
    return Shape(have, size), (*grow, *lead)


def _size(spec: Postgres, env: Env, observed: Observed, live: Manifest | None) -> tuple[str, tuple[Action, ...]]:
    have = made(env, observed)
    wanted = growth.wanted(spec.storage, env, observed, have)
    if live is None:
        return wanted, ()
    if quantity(have) >= quantity(wanted) or "deletionTimestamp" in live["metadata"]:
        return have, ()
    claims = tuple(claim["metadata"]["name"] for claim in observed.all("PersistentVolumeClaim"))
    told = Emit("Normal", "VolumesGrow", f"Volumes grow from {have} to {wanted}")
    return have, (Grow(claims, wanted, env.names.postgres, told),)


def made(env: Env, observed: Observed) -> str:
    """The size that volumes were made with or grown to, "" while there is no StatefulSet."""
    live = observed.get("StatefulSet", env.names.postgres)
    return str(live["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]) if live else ""
