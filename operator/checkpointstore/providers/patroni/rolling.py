"""Which instance to replace next, and who shall lead: standbys first, one at a time, the primary last."""

from dataclasses import dataclass

from ...kernel.action import Acknowledge, Action, Delete, Emit, Hold, Peer, Ref, Restart, Switchover
from ...kernel.command import SWITCHOVER, Commands
from ...kernel.env import Env
from ...kernel.hold import hold
from ...kernel.naming import SHAPE
from ...kernel.observed import Observed
from ..spec import Postgres, UpdateStrategy
from .config import DATABASE
from .member import Member, synchronous
from .workload import digest


@dataclass(frozen=True, slots=True)
class Step:
    """The next step of a rolling change, and how far it is."""

    actions: tuple[Action, ...] = ()
    rolling: bool = False
    release: bool = False
    """It is an operator's new release that is rolled out, for which stores take turns."""
    waits: tuple[str, ...] = ()
    """Instances that a supervised store restarts only when told."""


def roll(
    spec: Postgres, env: Env, observed: Observed, commands: Commands, found: tuple[Member, ...], primary: str
) -> Step:
    wanted = digest(spec, env, commands)
    outdated = [member for member in found if member.pending_restart or member.shape != wanted]
    due = [member for member in outdated if _may(spec, commands, member)]
    if not due:
        return Step(waits=tuple(member.name for member in outdated))
    if not _template_stands(env, observed, wanted):
        return Step(rolling=True)
    release = spec.images.postgres is None and any(member.image != env.images.postgres for member in due)
    if release and not observed.turn:
        return Step(release=True)
    unready = next((member for member in due if not member.ready and member.shape != wanted), None)
    if unready:
        # It is not serving anyway, and the change may be what mends it.
        going = () if unready.leaving else (Delete(Ref("Pod", unready.name)),)
        return Step(going, rolling=True, release=release)
    if not primary or not all(member.ready for member in found) or len(found) < spec.instances:
        return Step(rolling=True, release=release)
    return Step(_next(spec, env, observed, found, due, primary, wanted), rolling=True, release=release)


def _next(
    spec: Postgres,
    env: Env,
    observed: Observed,
    found: tuple[Member, ...],
    due: list[Member],
    primary: str,
    wanted: str,
) -> tuple[Action, ...]:
    """One instance's turn: its pod is replaced where the pod changes, else its server is restarted in place."""
    lead = next((member for member in due if member.name == primary), None)
    if lead and lead.lowers:
        # A new pod starts as a standby, with the old value: only a restart in place lowers it.
        return _in_place(env, lead, hold(env, observed, DATABASE))
    standby = next((member for member in due if member.name != primary), None)
    if standby:
        replaced = (Delete(Ref("Pod", standby.name)),)
        return replaced if standby.shape != wanted else _in_place(env, standby, Hold())
    if lead and lead.shape == wanted and len(found) == 1:
        return _in_place(env, lead, hold(env, observed, DATABASE))
    return _primary(spec, env, observed, found, primary)


def _in_place(env: Env, member: Member, held: Hold) -> tuple[Action, ...]:
    """`held` are the poolers of a primary's clients; a standby has none."""
    pauses = ": writes paused meanwhile" if held.database else ""
    told = Emit("Normal", "InstanceRestarted", f"Restarted the server of {member.name} for its parameters{pauses}")
    return (Restart(_peer(env, member), env.names.admin_tls, held, told),)


def _peer(env: Env, member: Member) -> Peer:
    """Its REST API."""
    return Peer(f"{member.name}.{env.host(env.names.pods)}", member.address)


def _template_stands(env: Env, observed: Observed, wanted: str) -> bool:
    """Whether a pod that goes now comes back as wanted: the StatefulSet's controller has seen the new template."""
    live = observed.get("StatefulSet", env.names.postgres)
    if live is None:
        return False
    shape = live["spec"]["template"]["metadata"].get("annotations", {}).get(SHAPE)
    return bool(shape == wanted and live.get("status", {}).get("observedGeneration") == live["metadata"]["generation"])


def _may(spec: Postgres, commands: Commands, member: Member) -> bool:
    if spec.update_strategy is UpdateStrategy.UNSUPERVISED:
        return True
    return bool(commands.restart) and commands.restart != member.restarted


def _primary(
    spec: Postgres, env: Env, observed: Observed, found: tuple[Member, ...], primary: str
) -> tuple[Action, ...]:
    if len(found) == 1:
        return (
            Emit("Normal", "InstanceReplaced", f"Replacing the only instance {primary}: writes pause meanwhile"),
            Delete(Ref("Pod", primary)),
        )
    target = successor(spec, env, observed, found, primary)
    return hand_over(env, observed, found, primary, target, "for a rolling change") if target else ()


def successor(spec: Postgres, env: Env, observed: Observed, found: tuple[Member, ...], primary: str) -> Member | None:
    """A ready standby that Patroni lets lead: with synchronous replication one that has all that was acknowledged."""
    held = synchronous(env, observed)
    standbys = (member for member in found if member.name != primary and member.ready)
    return next((member for member in standbys if not spec.synchronous or member.name in held), None)


def evacuate(
    spec: Postgres, env: Env, observed: Observed, found: tuple[Member, ...], primary: str
) -> tuple[Action, ...]:
    """Hand over from a primary whose pod is on its way out, as from a drained node: its last hook waits for that."""
    going = any(member.name == primary and member.leaving for member in found)
    target = successor(spec, env, observed, found, primary) if going else None
    return hand_over(env, observed, found, primary, target, "as its pod is told to go") if target else ()


def hand_over(
    env: Env, observed: Observed, found: tuple[Member, ...], primary: str, target: Member, why: str
) -> tuple[Action, ...]:
    """Ask for a switchover, unless one is under way: Patroni clears its record when it is done or refused."""
    record = observed.get("Endpoints", f"{env.names.rw}-failover")
    asked = (record or {"metadata": {}})["metadata"].get("annotations", {}).get("member")
    lead = next((member for member in found if member.name == primary), None)
    if asked or lead is None:
        return ()
    return (
        Switchover(
            leader=primary,
            target=target.name,
            at=_peer(env, lead),
            address=target.address,
            admin=env.names.admin_tls,
            hold=hold(env, observed, DATABASE),
            told=Emit("Normal", "Switchover", f"Handed the primary over from {primary} to {target.name} {why}"),
        ),
    )


def switchover(
    spec: Postgres, env: Env, observed: Observed, commands: Commands, found: tuple[Member, ...], primary: str
) -> tuple[Action, ...]:
    """Carry out a person's switchover command."""
    target = commands.switchover
    if not target or not primary:
        return ()
    if target == primary:
        return (Acknowledge(SWITCHOVER),)
    ready = next((member for member in found if member.name == target and member.ready), None)
    if ready is None or successor(spec, env, observed, (ready,), primary) is None:
        what = "synchronous: it may lack what was acknowledged" if ready else "a ready standby of this store"
        return (
            Emit("Warning", "SwitchoverRefused", f"{target} is not {what}"),
            Acknowledge(SWITCHOVER),
        )
    return hand_over(env, observed, found, primary, ready, "as commanded")
