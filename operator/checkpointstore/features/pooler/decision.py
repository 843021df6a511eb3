"""`decide()`: what the load asks of the pooler. First which part of it is full, then what helps, then whether it may.

| full | asks for | held back by |
|---|---|---|
| PgBouncer's one thread, or its slots for clients | another pod | maxInstances; server connections, all at work |
| server connections: on average, or so that clients wait | more for each pod | the server's budget; a busy server |
| one pod, while others have room | that idle clients of it connect anew | nothing |
| nothing, for as long as scaleDownAfter | what the highest demand of that time needs | nothing |

It grows at once and shrinks late, grows at four fifths of what there is and shrinks to three: at constant load it
rests. A thread that fills is given pods for what it will need if it fills on, twice as many at most. Whoever had to
grow soon after it shrank waits twice as long the next time. What cannot be told is never taken for little.
"""

import math
from dataclasses import dataclass, replace

from ...kernel.prometheus import Gap
from .balance import Balance, balance
from .load import MISSING, Load
from .size import Size

CROWDED, ROOMY = 0.8, 0.6
GROWTH = 2
"""Times as many pods at once, at most."""
FULL, SPARE = 0.9, 2.0
"""Server connections are full from that share on, where clients wait a little for them already, and twice the highest
demand is kept when they become fewer."""
SATURATED = 0.95
# Who waits now and then is not calm, and who waits for half as long as is allowed needs more.
CALM, EARLY = 0.25, 0.5
# Growth within so many times its patience after a shrink shows that it had none; that is doubled so often at most.
REGRET, RESTLESS = 10, 4
RETURN = 10.0
"""Seconds after clients were let go until an interval may begin that is judged: what moving them costs is no load."""
LINGER = 120.0
"""For so many seconds a limit is told after it was last met, and samples that new pods do not have yet are no news."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What stands in the way of a larger size, or that nothing does."""

    reason: str
    message: str


WITHIN = Limit("WithinLimits", "The pooler is as large as its load needs")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the spec and the server's budget allow."""

    least: Size
    """Without load."""
    most: int
    """Pods."""
    capacity: int
    """Server connections of all pods together."""
    wait: float
    """Seconds that a transaction may wait on average."""
    patience: float
    """Seconds for which less must have sufficed."""
    core: float
    """Cores that one pod can use."""
    slots: int
    """Clients that one pod takes."""


@dataclass(frozen=True, slots=True)
class Demand:
    processor: float
    clients: float
    connections: float

    def __or__(self, other: "Demand") -> "Demand":
        return Demand(
            max(self.processor, other.processor),
            max(self.clients, other.clients),
            max(self.connections, other.connections),
        )


@dataclass(frozen=True, slots=True)
class Calm:
    """A time in which less would have sufficed: since when, and the most that was asked for. The look that begins it is
    not counted: part of what it saw was before."""

    since: float
    peak: Demand = Demand(0.0, 0.0, 0.0)
    looks: int = 0
    busy: float = 0.0
    """Server connections at work or waited for, summed up over the looks: a moment's peak is chance, a long transaction
    is not."""

    def and_then(self, demand: Demand, busy: float) -> "Calm":
        return Calm(self.since, self.peak | demand, self.looks + 1, self.busy + busy)

    @property
    def demand(self) -> Demand:
        return replace(self.peak, connections=max(self.peak.connections, self.busy / self.looks))


@dataclass(frozen=True, slots=True)
class State:
    size: Size
    changed: float = 0.0
    """When the size was last another one."""
    why: str = "Nothing has asked for more yet"
    """Why the pooler has this size."""
    calm: Calm | None = None
    reason: str = WITHIN.reason
    message: str = WITHIN.message
    limited: float = 0.0
    """When a limit was last met."""
    shrunk: float = -math.inf
    """When it was last made smaller."""
    restless: int = 0
    """How often its patience is doubled."""
    balance: Balance | None = None
    """What makes the load even, where it has to be made so."""
    balanced: float = -math.inf
    """When clients were last let go."""


def decide(load: Load | Gap, state: State, rules: Rules, now: float) -> State:
    """The next state. Times are seconds since 1970."""
    if isinstance(load, Gap):
        if load.reason == MISSING and now - max(state.changed, state.balanced) <= LINGER:
            return replace(state, calm=None)
        return replace(state, calm=None, balance=None, reason=load.reason, message=load.message, limited=0.0)
    if load.since <= state.changed or load.since < state.balanced + RETURN:
        return state
    state = replace(state, balance=None)
    asked = _growth(load, state.size, rules)
    even = balance(load.parts, state.size.instances, CROWDED, rules.core, rules.slots, load.since)
    if isinstance(asked, Limit):
        return replace(state, calm=None, reason=asked.reason, message=asked.message, limited=now, balance=even)
    if now - state.limited > LINGER:
        state = replace(state, reason=WITHIN.reason, message=WITHIN.message)
    if asked is not None:
        size, why = asked
        # Pods that are added have no clients: nothing has to be seen of them for that.
        more = size.instances > state.size.instances
        even = balance(load.parts, size.instances, 0.0, rules.core, rules.slots, load.since) if more else None
        restless = _restless(state, rules, now)
        return replace(state, size=size, changed=now, why=why, calm=None, restless=restless, balance=even)
    after = _calmed(load, state, rules, now)
    return after if after.size != state.size else replace(after, balance=even)


def _growth(load: Load, size: Size, rules: Rules) -> tuple[Size, str] | Limit | None:
    """A larger size and why, what stands in its way, or None where nothing is full."""
    cores, slots = size.instances * rules.core, size.instances * rules.slots
    fullness = {
        "PgBouncer's one thread is": (load.processor / cores, max(0.0, load.rise) / cores),
        "Its slots for clients are": (load.clients / slots, 0.0),
    }
    what, (share, rise) = max(fullness.items(), key=lambda item: item[1])
    if share >= CROWDED:
        # On average over an interval in which it rose it was less than it is now.
        return _more_pods(load, size, rules, what, share + rise)
    waits = load.busiest >= FULL * size.connections and load.wait > EARLY * rules.wait
    if waits or load.sustained >= CROWDED * size.connections:
        larger = _larger_pools(load, size, rules)
        # Nobody is limited who does not wait.
        return larger if load.wait > rules.wait or not isinstance(larger, Limit) else None
    return None


def _more_pods(load: Load, size: Size, rules: Rules, what: str, share: float) -> tuple[Size, str] | Limit:
    if size.instances >= rules.most:
        return Limit("MaxInstancesReached", f"{what} full in all {size.instances} pods: raise maxInstances")
    if _spent(load, size, rules) or size.instances >= rules.capacity:
        return _exhausted(rules)
    asked = min(GROWTH * size.instances, math.ceil(size.instances * share / ROOMY))
    instances = min(rules.most, rules.capacity, asked)
    connections = min(size.connections, rules.capacity // instances)
    return Size(instances, connections), f"{what} nearly full in {size.instances} pods"


def _larger_pools(load: Load, size: Size, rules: Rules) -> tuple[Size, str] | Limit:
    room = rules.capacity // size.instances
    if room <= size.connections:
        return _exhausted(rules)
    if load.server is not None and load.server >= SATURATED:
        return Limit(
            "PostgresSaturated",
            "Clients wait, and the processors of the primary's node are busy: more server connections would only make "
            "each slower. Give PostgreSQL more",
        )
    asked = max(2 * size.connections, math.ceil((load.busy + load.waiting) / size.instances))
    return Size(size.instances, min(room, asked)), f"All {size.connections} server connections of a pod were at work"


def _spent(load: Load, size: Size, rules: Rules) -> bool:
    """Every server connection that there may be is at work."""
    # A thread that is late counts long transactions all at once: more connections than there are.
    busy = load.busy if load.average <= size.total else load.present
    return size.total + size.instances > rules.capacity and busy >= FULL * size.total


def _exhausted(rules: Rules) -> Limit:
    return Limit(
        "ServerConnectionsExhausted",
        f"Clients wait, and the poolers have all {rules.capacity} server connections that they may have, half of what "
        "the server leaves them: raise its max_connections, which needs memory and a restart",
    )


def _calmed(load: Load, state: State, rules: Rules, now: float) -> State:
    """Smaller, once less has sufficed for long enough."""
    if load.wait > CALM * rules.wait:
        return replace(state, calm=None)
    demand = Demand(load.processor, load.clients, load.average)
    calm = state.calm.and_then(demand, load.busy + load.waiting) if state.calm else Calm(now)
    size = needed(calm.demand if calm.looks else demand, rules)
    if size == state.size or size.instances > state.size.instances or size.total > state.size.total:
        return replace(state, calm=None)
    if not calm.looks or now - calm.since < rules.patience * 2**state.restless:
        return replace(state, calm=calm)
    why = "Less has sufficed for as long as scaleDownAfter says"
    return State(size, changed=now, why=why, shrunk=now, restless=state.restless)


def _restless(state: State, rules: Rules, now: float) -> int:
    """After a growth: more where it had shrunk too soon, else not at all."""
    soon = now - state.shrunk <= REGRET * rules.patience * 2**state.restless
    return min(RESTLESS, state.restless + 1) if soon else 0


def needed(demand: Demand, rules: Rules) -> Size:
    """The size that a demand needs, with room."""
    shares = demand.processor / (ROOMY * rules.core), demand.clients / (ROOMY * rules.slots)
    instances = max(rules.least.instances, min(rules.most, math.ceil(max(shares))))
    connections = math.ceil(SPARE * demand.connections / instances)
    most = max(1, rules.capacity // instances)
    return Size(instances, min(most, max(rules.least.connections, connections)))
