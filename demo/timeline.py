"""A store whose pooler follows its load, watched second by second while a crowd of stock savers comes and goes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from checkpointstore.features.pooler.load import TRANSACTIONS, WAITED
from demo import prometheus, store
from demo.kubectl import CommandFailed, Kubectl

# A server that takes its time, without the processors of this machine: what a slow disk or a far standby would do.
SLOW = """
create or replace function public.slow() returns trigger language plpgsql as
$$ begin perform pg_sleep({seconds}); return null; end $$;
create or replace trigger slow after insert on public.checkpoints for each statement execute function public.slow();
"""
USED = "select count(*) from pg_stat_activity where usename in ('app_a', 'app_b')"
PSQL = ("psql", "-h", "/run/postgresql", "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", "app")


@dataclass(frozen=True)
class Place:
    """A store with one instance."""

    kubectl: Kubectl
    namespace: str
    name: str

    def psql(self, text: str) -> str:
        """Ask its server as the superuser."""
        where = ["exec", "-i", f"{self.name}-0", "-n", self.namespace, "-c", "postgres", "--"]
        return self.kubectl(*where, *PSQL, text=text).strip()

    def slow(self, seconds: float) -> None:
        """From now on each put keeps its server connection for so long."""
        self.psql(SLOW.format(seconds=seconds))

    def wait(self) -> str:
        """The PromQL for how long a transaction waits for a server connection, in seconds."""
        pods = f'{{namespace="{self.namespace}",pod=~"{self.name}-pooler-.+",database="app"}}'
        return f"sum(irate({WAITED}{pods}[1m])) / sum(irate({TRANSACTIONS}{pods}[1m]))"


@dataclass(frozen=True)
class Moment:
    """What was seen once."""

    at: float
    pods: int
    """Ready ones."""
    desired: int
    pool: int
    """Server connections that each pod may have."""
    wait: float
    limit: str
    used: int
    """Server connections that the application has open, as PostgreSQL counts them."""
    ready: str
    reconciling: str


@dataclass
class Timeline:
    """Looks once a second, as a context manager; every change of size or limit is told."""

    place: Place
    say: Callable[[str], None]
    moments: list[Moment] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Timeline":
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(30)

    def _keep(self) -> None:
        while not self._stop.wait(1.0):
            try:
                moment = self._look()
            except (CommandFailed, KeyError, ValueError):
                continue
            before = self.moments[-1] if self.moments else None
            self.moments.append(moment)
            if before is None or _shape(before) != _shape(moment):
                self.say(f"  {time.strftime('%T', time.gmtime(moment.at))} {_told(moment)}")

    def _look(self) -> Moment:
        kubectl, place = self.place.kubectl, self.place
        seen = kubectl.get("cps", place.name, "-n", place.namespace)
        conditions = store.conditions(seen)
        pooler: dict[str, Any] = seen["status"]["pooler"]
        found = prometheus.number(kubectl, place.wait())
        return Moment(
            at=time.time(),
            pods=pooler["readyInstances"],
            desired=pooler["desiredInstances"],
            pool=pooler["poolSize"],
            wait=found if found is not None and found == found else 0.0,
            limit=conditions.get("AutoscalingLimited", {"reason": ""})["reason"],
            used=int(place.psql(USED)),
            ready=conditions["Ready"]["status"],
            reconciling=conditions["Reconciling"]["status"],
        )

    def since(self, moment: float) -> list[Moment]:
        return [item for item in self.moments if item.at >= moment]

    def first(self, since: float, wanted: Callable[[Moment], bool]) -> float | None:
        """Seconds from then until it was first so and stayed so for three looks, None for never."""
        later = self.since(since)
        for index in range(len(later) - 2):
            if all(wanted(item) for item in later[index : index + 3]):
                return later[index].at - since
        return None


def _shape(moment: Moment) -> tuple[object, ...]:
    return moment.pods, moment.desired, moment.pool, moment.limit


def _told(moment: Moment) -> str:
    return (
        f"{moment.pods} of {moment.desired} pods, {moment.pool} connections each, {moment.used} in use, "
        f"wait {1000 * moment.wait:.0f} ms, {moment.limit}"
    )
