"""`plan()` and `status()`: the program. The rooms' contributions in a fixed order, compared with what is there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from .api.store import ReclaimPolicy, Store
from .features.backup import farewell as backup_farewell
from .features.backup import repository
from .features.backup.spec import Backup
from .features.blobs import slice as blobs
from .features.monitoring.finding import Watch as Monitored
from .features.pooler.scaling import Watch
from .features.tiering import slice as tiering
from .kernel import erasure
from .kernel.action import (
    Action,
    Admit,
    Apply,
    Delete,
    Emit,
    Manifest,
    Mark,
    Program,
    PublishGiven,
    PublishPooler,
    Rebalance,
    Ref,
    Reload,
    Tell,
)
from .kernel.command import Commands
from .kernel.condition import (
    READY,
    RECONCILING,
    STALLED,
    Condition,
    Status,
    broken,
    changing,
    fold,
    written,
)
from .kernel.env import Env, Images, Platform
from .kernel.manifest import by_ref, covers, named, ref
from .kernel.naming import FINALIZER
from .kernel.news import states
from .kernel.observed import Observed, component_of
from .kernel.predecessor import terminating
from .rooms import asked, merged

# Deleted only by their own rules, never because nobody asks for them any more.
KEPT = frozenset({"CheckpointBackup", "PersistentVolumeClaim", "Secret", "Pod", "Endpoints", "EndpointSlice"})
# Never applied again once they exist: their specs are immutable. Jobs' names carry a digest of their inputs, and a
# volume belongs to its StatefulSet once that is there.
IMMUTABLE = frozenset({"Job", "PersistentVolumeClaim"})
# Components whose coming and going is no change of the store.
QUIET = frozenset({"backup", "verification"})
LOOK_AGAIN = timedelta(seconds=5)
"""While a deleted store waits for what goes with it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in order, and what to tell."""

    actions: tuple[Action, ...] = ()
    parts: tuple[Condition, ...] = ()
    """The rooms' own conditions."""
    serving: bool | None = False
    """None: nobody looked."""
    status: Mapping[str, Any] = field(default_factory=dict)
    release: bool = False
    """It rolls out, or waits to roll out, a new release: one store at a time may."""
    again: timedelta | None = None
    commands: Commands = field(default_factory=Commands)
    watch: Watch | None = None
    """The pooler that the autoscaler has to look after."""
    monitors: Monitored | None = None
    """What the monitor has to look after."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return fold(self.parts, self.serving, self.commands.paused)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way."""
        return not any(item.type == RECONCILING and item.status is Status.TRUE for item in self.conditions)


def plan(store: Store, observed: Observed, platform: Platform, now: datetime) -> Plan:
    """Fold the rooms in order; what is desired and not so becomes Apply, what is ours and not desired Delete."""
    env = _env(store, platform)
    if observed.foreign:
        return _name_taken(observed, store.status)
    commands = Commands.read(store.annotations)
    rooms = asked(store, env, platform, observed, commands, now)
    parts = rooms.parts
    quiet = QUIET.union(*(part.quiet for part in parts))
    desired = [manifest for part in parts for manifest in part.desired]
    again = [part.again for part in parts if part.again is not None]
    actions = (
        *(action for part in parts for action in part.actions),
        *_marked(store, env),
        *_applied(desired, observed),
        *_removed(desired, observed, bool(desired)),
    )
    # Last: what a room has to say of its change says more.
    applying = any(_is_change(action, observed, quiet) for action in actions)
    return Plan(
        actions=() if commands.paused else actions,
        parts=(
            *(condition for part in parts for condition in part.conditions),
            *((changing(RECONCILING, "Applying", "What differs from the spec is being applied"),) if applying else ()),
        ),
        serving=rooms.serving,
        status=merged(part.status for part in parts),
        # Whoever is paused lets the others pass.
        release=any(part.release for part in parts) and not commands.paused,
        again=min(again, default=None),
        commands=commands,
        # Whoever is paused stays as it is.
        watch=None if commands.paused else rooms.watch,
        monitors=rooms.monitors,
    )


def farewell(store: Store, observed: Observed, platform: Platform, deleted: datetime, now: datetime) -> Plan:
    """What a deleted store still waits for, as long as it has our finalizer."""
    env = _env(store, platform)
    parts = []
    if spec := _backups_that_go(store):
        base = repository.base(spec.object_store, store.namespace, store.name)
        parts.append(backup_farewell.contribute(base, env, observed, store.status, deleted, now))
    parts += [erasure.contribute(doomed, env, observed, deleted, now) for doomed in _cold_data_that_goes(store, env)]
    ends = [part.end for part in parts if part.end is not None]
    if len(ends) == len(parts):
        return Plan(actions=(*(action for end in ends for action in end), Mark(FINALIZER, present=False)))
    return Plan(actions=tuple(action for part in parts for action in part.actions), again=LOOK_AGAIN)


def _backups_that_go(store: Store) -> Backup | None:
    return store.spec.backup if store.spec.reclaim_policy.backups is ReclaimPolicy.DELETE else None


def _cold_data_that_goes(store: Store, env: Env) -> list[erasure.Doomed]:
    if store.spec.reclaim_policy.cold_data is not ReclaimPolicy.DELETE:
        return []
    tiered, outside = store.spec.tiering, store.spec.limits.externalize
    return [
        *([tiering.doomed(tiered, env)] if tiered else []),
        *([blobs.doomed(outside, env)] if outside else []),
    ]


def _marked(store: Store, env: Env) -> tuple[Action, ...]:
    """Our finalizer is there exactly while something outside the cluster is to go with the store."""
    wanted = bool(_backups_that_go(store) or _cold_data_that_goes(store, env))
    has = FINALIZER in store.body["metadata"].get("finalizers", ())
    return (Mark(FINALIZER, present=wanted),) if wanted != has else ()


def _env(store: Store, platform: Platform) -> Env:
    pinned = platform.images
    own = store.spec.postgres.images
    return Env(
        name=store.name,
        namespace=store.namespace,
        uid=store.uid,
        images=Images(
            postgres=own.postgres or pinned.postgres,
            pgbouncer=pinned.pgbouncer,
            operator=pinned.operator,
            pull_secrets=(*pinned.pull_secrets, *own.pull_secrets),
        ),
        cluster_domain=platform.cluster_domain,
        operator_namespace=platform.namespace,
    )


def _is_change(action: Action, observed: Observed, quiet: frozenset[str]) -> bool:
    """Whether an action changes the store: what backs it up, or follows its load, leaves it as it is."""
    match action:
        case Admit() | Emit() | Tell() | Rebalance():
            return False
        case Apply(manifest) | PublishPooler(manifest) | PublishGiven(manifest):
            return component_of(manifest) not in quiet
        case Reload(program=Program.PGBOUNCER):
            return "pooler" not in quiet
        case Delete(target):
            live = observed.objects.get(target, {"metadata": {}})
            return target.kind != "CheckpointBackup" and component_of(live) not in quiet
    return True


def _applied(desired: Iterable[Manifest], observed: Observed) -> Iterable[Action]:
    for target, manifest in by_ref(desired).items():
        live = observed.objects.get(target)
        if live is None:
            yield Apply(manifest, new=True)
        elif target.kind not in IMMUTABLE and not covers(live, manifest):
            yield Apply(manifest, new=False)


def _removed(desired: Iterable[Manifest], observed: Observed, settled: bool) -> Iterable[Action]:
    """What is ours and nobody asks for; nothing at all when the rooms asked for nothing, as they then do not know."""
    wanted = by_ref(desired)
    for target in sorted(observed.objects, key=lambda target: (target.kind, target.name)):
        live = observed.objects[target]
        if settled and target.kind not in KEPT and target not in wanted and "deletionTimestamp" not in live["metadata"]:
            yield Delete(target)


def _name_taken(observed: Observed, previous: Mapping[str, Any]) -> Plan:
    if stay := observed.foreign - observed.leaving:
        message = f"Not this store's, and in its way: {named(stay)}. Delete or rename it; the store goes on by itself"
        return replace(rejected("NameTaken", message, previous), again=timedelta(seconds=30))
    return replace(_unseen(terminating(READY, observed.leaving), previous), again=timedelta(seconds=1))


def rejected(reason: str, message: str, previous: Mapping[str, Any]) -> Plan:
    """The plan for a store that cannot be looked at: say so, touch nothing, and leave what `previous` says of it."""
    return _unseen(broken(READY, reason, message), previous)


def _unseen(cause: Condition, previous: Mapping[str, Any]) -> Plan:
    known = [item for item in previous.get("conditions", ()) if item["type"] not in (READY, RECONCILING, STALLED)]
    stands = (Condition(item["type"], Status(item["status"]), item["reason"], item["message"]) for item in known)
    # Databases and poolers run on without the operator, but nobody sees whether they do.
    served = states(previous).get(READY, "False") != "False"
    return Plan(parts=(cause, *stands), serving=None if served else False)


def refused(intended: Plan, reason: str, message: str) -> Plan:
    """A plan that the API server would not carry out: what was seen stays true, and a person is told."""
    return replace(
        intended,
        actions=(),
        parts=(broken(READY, reason, message), *intended.parts),
        again=timedelta(seconds=30),
    )


def contested(intended: Plan, fought: frozenset[Ref]) -> Plan:
    """A plan that leaves objects alone for a while which somebody else changes back each time they are applied."""
    if not fought:
        return intended
    message = f"Applied again and again, and somebody changes it back: {named(fought)}"
    told = changing(RECONCILING, "FieldContested", message)
    kept = (item for item in intended.actions if not (isinstance(item, Apply) and ref(item.manifest) in fought))
    return replace(intended, actions=tuple(kept), parts=(told, *intended.parts), again=timedelta(seconds=30))


def status(previous: Mapping[str, Any], generation: int, outcome: Plan, now: datetime) -> dict[str, Any]:
    """The whole new `.status`; equal to the previous one when nothing changed."""
    conditions = written(outcome.conditions, previous.get("conditions", ()), generation, now)
    return {
        **_told(merged((previous, outcome.status))),
        "observedGeneration": generation,
        "phase": _phase(outcome),
        "conditions": conditions,
    }


def _told(part: Mapping[str, Any]) -> dict[str, Any]:
    """A status without what the rooms take back, which they tell as None."""
    return {
        key: _told(value) if isinstance(value, Mapping) else value for key, value in part.items() if value is not None
    }


def _phase(outcome: Plan) -> str:
    if outcome.commands.paused:
        return "Paused"
    on = {condition.type for condition in outcome.conditions if condition.status is Status.TRUE}
    if outcome.commands.hibernate and "Stalled" not in on:
        return "Hibernated"
    for type_, phase in (("Stalled", "Stalled"), ("Reconciling", "Progressing"), ("Ready", "Ready")):
        if type_ in on:
            return phase
    return "Pending"
