"""Which instance to replace next, and who shall lead: standbys first, one at a time, the primary last."""

from dataclasses import dataclass

from ...kernel.action import Acknowledge, Action, Delete, Emit, Ref, Restart, Switchover
from ...kernel.command import SWITCHOVER, Commands
from ...kernel.env import Env
from ...kernel.naming import SHAPE
from ...kernel.observed import Observed
from ..spec import Postgres, UpdateStrategy
from .config import COMPONENT, SCOPE_LABEL
from .member import Member
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
    return Step(_next(env, observed, found, due, primary, wanted), rolling=True, release=release)


def _next(
    env: Env, observed: Observed, found: tuple[Member, ...], due: list[Member], primary: str, wanted: str
) -> tuple[Action, ...]:
    """One instance's turn: its pod is replaced where the pod changes, else its server is restarted in place."""
    lead = next((member for member in due if member.name == primary), None)
    if lead and lead.lowers:
        # A new pod starts as a standby, with the old value: only a restart in place lowers it.
        return _in_place(env, lead, primary)
    standby = next((member for member in due if member.name != primary), None)
    if standby:
        replaced = (Delete(Ref("Pod", standby.name)),)
        return replaced if standby.shape != wanted else _in_place(env, standby, primary)
    if lead and lead.shape == wanted and len(found) == 1:
        return _in_place(env, lead, primary)
    return _primary(env, observed, found, primary)


def _in_place(env: Env, member: Member, primary: str) -> tuple[Action, ...]:
    pauses = ": writes paused meanwhile" if member.name == primary else ""
    told = Emit("Normal", "InstanceRestarted", f"Restarted the server of {member.name} for its parameters{pauses}")
    return (Restart(f"{member.name}.{env.host(env.names.pods)}", member.address, env.names.admin_tls, told),)


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


def _primary(env: Env, observed: Observed, found: tuple[Member, ...], primary: str) -> tuple[Action, ...]:
    target = next((member.name for member in found if member.name != primary), "")
    if not target:
        return (
            Emit("Normal", "InstanceReplaced", f"Replacing the only instance {primary}: writes pause meanwhile"),
            Delete(Ref("Pod", primary)),
        )
    return hand_over(env, observed, primary, target, "for a rolling change")


def hand_over(env: Env, observed: Observed, primary: str, target: str, why: str) -> tuple[Action, ...]:
    """Ask for a switchover, once: Patroni clears its record when it is done or refused."""
    name = f"{env.names.rw}-failover"
    asked = (observed.get("Endpoints", name) or {"metadata": {}})["metadata"].get("annotations", {}).get("member")
    if asked:
        return ()
    record = env.object("v1", "Endpoints", name, COMPONENT)
    record["metadata"]["labels"][SCOPE_LABEL] = env.names.rw
    record["metadata"]["annotations"] = {"leader": primary, "member": target}
    return (
        Emit("Normal", "Switchover", f"Handing the primary over from {primary} to {target} {why}"),
        Switchover(record),
    )


def switchover(
    env: Env, observed: Observed, commands: Commands, found: tuple[Member, ...], primary: str
) -> tuple[Action, ...]:
    """Carry out a person's switchover command."""
    target = commands.switchover
    if not target or not primary:
        return ()
    if target == primary:
        return (Acknowledge(SWITCHOVER),)
    if not any(member.name == target and member.ready for member in found):
        return (
            Emit("Warning", "SwitchoverRefused", f"{target} is not a ready standby of this store"),
            Acknowledge(SWITCHOVER),
        )
    return hand_over(env, observed, primary, target, "as commanded")
