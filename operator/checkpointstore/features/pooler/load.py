"""What the pooler's pods did between their last two scrapes, or why that cannot be told from Prometheus' samples."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from ...kernel.prometheus import Gap, Series

WAITING = "pgbouncer_pools_client_waiting_connections"
CLIENTS = "pgbouncer_pools_client_active_connections"
BUSY = "pgbouncer_pools_server_active_connections"
WAITED = "pgbouncer_stats_client_wait_seconds_total"
TRANSACTIONS = "pgbouncer_stats_sql_transactions_pooled_total"
LENT = "pgbouncer_stats_server_in_transaction_seconds_total"
PROCESSOR = "pgbouncer_process_cpu_seconds_total"
GAUGES = frozenset({WAITING, CLIENTS, BUSY})
COUNTERS = frozenset({WAITED, TRANSACTIONS, LENT, PROCESSOR})
MISSING = "SamplesMissing"
WINDOW = "5m"
"""How far back samples are asked for: two of them, up to two minutes apart, are needed."""
CONSOLE = "pgbouncer"
"""PgBouncer's own database, which is no load."""
Pool = tuple[str, str]
"""Database and user."""
# Scrapes may be missed, and clocks may differ by so much.
MISSED, LATE, AHEAD = 2.5, 45.0, 15.0
# Who has not been read for so long while others of its page were has nothing more to tell.
GONE = 2 * LATE
# What two Prometheis read at different moments of the same pod is the same.
ALIKE, ABOUT = 0.2, 10.0


@dataclass(frozen=True, slots=True)
class Part:
    """What one pod has of a load."""

    clients: float
    """That are connected."""
    processor: float
    """Cores used."""


@dataclass(frozen=True, slots=True)
class Load:
    """All pods together, unless it says otherwise."""

    since: float
    """When the interval began that it speaks of, seconds since 1970."""
    wait: float
    """How long a transaction waited for a server connection, on average, in seconds."""
    waiting: float
    """Clients that wait now."""
    clients: float
    """Clients that are connected."""
    busy: float
    """Server connections at work."""
    busiest: float
    """Server connections at work in the pod that has most."""
    sustained: float
    """The same on average over the interval, by what transactions have ended in it."""
    average: float
    """The same of all pods together."""
    processor: float
    """Cores used."""
    rise: float = 0.0
    """Cores used more than in the interval before, as far as that one is told; negative where fewer were."""
    present: float = 0.0
    """Server connections at work as the last scrape saw them. In `sustained` and `average`, and so in `busy`, a
    transaction that took longer than the interval is whole, once it has ended."""
    server: float | None = None
    """How busy the processors of the primary's node are, from 0 to 1; None where nobody tells."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """By pod."""


def selector(namespace: str, pods: Iterable[str]) -> str:
    """The PromQL that gives every sample of `read`."""
    names = "|".join(sorted(GAUGES | COUNTERS))
    return f'{{__name__=~"{names}",namespace="{namespace}",pod=~"{"|".join(sorted(pods))}"}}[{WINDOW}]'


def read(series: Iterable[Series], pods: Collection[str], now: float) -> Load | Gap:
    """The load of these pods; `now` is the clock of who decides."""
    found: dict[tuple[str, str], dict[Pool, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for item in series:
        if item.points:
            pool = item.labels.get("database", ""), item.labels.get("user", "")
            found[item.labels.get("pod", ""), item.name][pool].append(item)
    told: dict[str, list[float]] = defaultdict(list)
    starts: list[float] = []
    rise = 0.0
    for pod in pods:
        for name in sorted(GAUGES | COUNTERS):
            pools = _going(found.get((pod, name), {}), name)
            if not pools:
                return _missing(pod)
            total = 0.0
            for (database, _), copies in pools.items():
                if (fault := _fault(copies, now, name in COUNTERS)) is not None:
                    return fault
                start, value = _value(_newest(copies), name in COUNTERS)
                starts.append(start)
                rise += _rise(_newest(copies)) if name == PROCESSOR else 0.0
                # A pooler that nobody has used yet has no other pool.
                total += 0 if database == CONSOLE else value
            told[name].append(total)
    if not starts:
        return Gap(MISSING, "No pooler pod is ready")
    clients = map(sum, zip(told[CLIENTS], told[WAITING], strict=True))
    parts = dict(zip(pods, map(Part, clients, told[PROCESSOR]), strict=True))
    return _load(told, min(starts), parts, rise)


def _going(pools: Mapping[Pool, Sequence[Series]], name: str) -> dict[Pool, list[Series]]:
    """Those that have been there for an interval and still are: one page has them all, so what stopped is gone."""
    times = [item.points[-1][0] for copies in pools.values() for item in copies]
    going = {
        pool: [item for item in copies if item.points[-1][0] >= max(times) - GONE] for pool, copies in pools.items()
    }
    return {
        pool: copies
        for pool, copies in going.items()
        # A pool begins with its first client.
        if copies and (name in GAUGES or all(len(item.points) > 1 for item in copies))
    }


def _load(told: Mapping[str, Sequence[float]], since: float, parts: Mapping[str, Part], rise: float) -> Load:
    transactions, waiting = sum(told[TRANSACTIONS]), sum(told[WAITING])
    waited = sum(told[WAITED])
    # Clients that all wait end no transaction: they have waited all the same.
    wait = waited / transactions if transactions else (waiting and math.inf)
    busy = [max(pair) for pair in zip(told[BUSY], told[LENT], strict=True)]
    return Load(
        since=since,
        wait=wait,
        waiting=waiting,
        clients=sum(part.clients for part in parts.values()),
        busy=sum(busy),
        busiest=max(busy),
        sustained=max(told[LENT]),
        average=sum(told[LENT]),
        processor=sum(told[PROCESSOR]),
        rise=rise,
        present=sum(told[BUSY]),
        parts=parts,
    )


def _value(item: Series, counter: bool) -> tuple[float, float]:
    """When it began to be so, and a gauge's last value or a counter's growth a second."""
    if not counter:
        return item.points[-1]
    (before, first), (after, last) = item.points[-2:]
    return before, (last - first) / (after - before)


def _rise(item: Series) -> float:
    """How much faster a counter grew than in the interval before; 0 where it began anew then, or was not there."""
    if len(item.points) < 3 or item.points[-3][1] > item.points[-2][1] or item.points[-3][0] >= item.points[-2][0]:
        return 0.0
    earlier = replace(item, points=item.points[:-1])
    return _value(item, counter=True)[1] - _value(earlier, counter=True)[1]


def _newest(copies: Iterable[Series]) -> Series:
    return max(copies, key=lambda item: item.points[-1])


def _missing(pod: str) -> Gap:
    return Gap(
        MISSING,
        f"Prometheus has no two samples of pod {pod} within {WINDOW}: it must scrape the port `metrics` of the "
        "pooler's pods, with labels namespace and pod",
    )


def _fault(copies: Sequence[Series], now: float, counter: bool) -> Gap | None:
    """Why what is told of one thing, once or several times, is not believed."""
    for item in copies:
        what = f"{item.name} of pod {item.labels.get('pod', '')}"
        points = item.points[-2:]
        if any(not math.isfinite(value) or value < 0 for _, value in points):
            return Gap("SamplesContradictory", f"{what} is not a number that it can be")
        pace = max([after - before for (before, _), (after, _) in pairwise(points)], default=0)
        age = now - points[-1][0]
        if age > max(LATE, MISSED * pace):
            return Gap("SamplesStale", f"{what} was last read long ago: Prometheus does not scrape it any more")
        if age < -AHEAD:
            return Gap("SamplesContradictory", f"{what} was read in the future: a clock is wrong")
        if counter and (points[1][0] <= points[0][0] or points[1][1] < points[0][1]):
            return Gap("SamplesContradictory", f"{what} began anew")
    values = [item.points[-1][1] for item in copies]
    if max(values) - min(values) > max(ABOUT, ALIKE * max(values)):
        told = f"{copies[0].name} of pod {copies[0].labels.get('pod', '')}"
        return Gap("SamplesContradictory", f"{told} has several series that disagree: it is scraped more than once")
    return None
