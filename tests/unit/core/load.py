"""A pooler under load as a model: what the autoscaler would see of it, and pods that take up what they are given."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from checkpointstore.features.pooler.decision import Rules, State, decide
from checkpointstore.features.pooler.load import Load
from checkpointstore.features.pooler.size import Size, step
from checkpointstore.kernel.prometheus import Gap

SCRAPE = 15.0
GAP = Gap("SamplesStale", "nobody reads")
RULES = Rules(least=Size(2, 5), most=8, capacity=40, wait=0.05, patience=600, core=1.0, slots=2000)


@dataclass(frozen=True)
class Offer:
    """What clients would do if nothing kept them."""

    clients: int
    rate: float
    """Transactions a second."""
    seconds: float = 0.01
    """How long one has a server connection."""
    processor: float = 0.0002
    """PgBouncer's seconds for one."""
    server: float | None = 0.5


def seen(offer: Offer, size: Size, rules: Rules, now: float, noise: float = 0.0) -> Load:
    """What the last interval shows; the one before had as much less as this one's noise makes it more."""
    most = min(size.total / offer.seconds, size.instances * rules.core / offer.processor)
    done = min(offer.rate, most) * (1 + noise)
    busy = min(size.total, done * offer.seconds)
    waits = offer.rate > most
    waiting = max(0.0, offer.clients - busy) if waits else 0.0
    processor = min(size.instances * rules.core, done * offer.processor)
    return Load(
        since=now - SCRAPE,
        wait=waiting / done if waits and done else 0.0,
        waiting=waiting,
        clients=offer.clients,
        busy=busy,
        busiest=busy / size.instances,
        sustained=busy / size.instances,
        average=busy,
        processor=processor,
        rise=2 * noise * processor,
        present=busy,
        server=offer.server,
    )


FULL = seen(Offer(clients=200, rate=5000.0), RULES.least, RULES, 1000.0)
"""All connections of the least size are at work, and clients wait."""


def at(load: Load, size: Size = RULES.least, law: Rules = RULES) -> State:
    """What is decided of a size that nothing else is known of."""
    return decide(load, State(size), law, 1000.0)


def histories(soak: bool) -> Iterator[random.Random]:
    for seed in range(10_000 if soak else 200):
        yield random.Random(seed)


@dataclass
class Pod:
    loaded: int
    """Server connections that it goes by."""
    leaves: float = math.inf
    """When it is gone."""


@dataclass
class Fleet:
    """Pods that reload late and leave slowly."""

    given: Size
    capacity: int
    chance: random.Random
    pods: list[Pod] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pods = [Pod(self.given.connections) for _ in range(self.given.instances)]

    @property
    def connections(self) -> int:
        """The most that the server may see."""
        return sum(pod.loaded for pod in self.pods)

    def tick(self, asked: Size, now: float) -> None:
        """One pass of the operator, and what the cluster makes of it."""
        self.pods = [pod for pod in self.pods if pod.leaves > now]
        staying = [pod for pod in self.pods if pod.leaves == math.inf]
        self.given = step(asked, self.given, [pod.loaded for pod in staying], len(self.pods), self.capacity)
        for pod in staying[self.given.instances :]:
            pod.leaves = now + self.chance.choice((1, 20, 63))
        for pod in staying[: self.given.instances]:
            if self.chance.random() < 0.5:
                pod.loaded = self.given.connections
        self.pods += [Pod(self.given.connections) for _ in range(self.given.instances - len(staying))]
