"""`find()`: from what Prometheus said of a store to what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...kernel.observed import Findings
from ...kernel.prometheus import Gap, PrometheusServer
from . import advice, question
from .advice import Day, Server
from .question import Whose
from .spec import Thresholds
from .threshold import Side, Threshold, covered, judge

Points = tuple[tuple[float, float], ...]
WRITES, P99, DAYS = "writesPerSecond", "p99", "storageDaysLeft"
MISSING = "SamplesMissing"
# So many readings tell of the time that counts, and none is closer to the next than a scrape.
READINGS, CLOSEST = 40, 15.0


def limits(wanted: Thresholds | None) -> tuple[Threshold, ...]:
    """Those that the spec sets."""
    if wanted is None:
        return ()
    given = (
        (WRITES, wanted.writes_per_second, Side.ABOVE),
        (P99, wanted.slow, Side.ABOVE),
        (DAYS, wanted.storage_days_left, Side.BELOW),
    )
    return tuple(Threshold(name, limit, side) for name, limit, side in given if limit is not None)


@dataclass(frozen=True, slots=True)
class Watch:
    """A store to be looked after."""

    whose: Whose
    prometheus: PrometheusServer
    thresholds: Thresholds | None
    exceeded: frozenset[str]
    """What the status says of it, for who has just begun to look."""
    server: Server

    @property
    def step(self) -> float:
        """Seconds from one reading to the next."""
        return max(CLOSEST, self.thresholds.sustained / READINGS) if self.thresholds else CLOSEST

    def series(self) -> dict[str, str]:
        """What to ask for each threshold: its readings of the time that counts."""
        if self.thresholds is None:
            return {}
        asked = {WRITES: question.writes, P99: question.p99, DAYS: question.days_left}
        seconds = self.thresholds.sustained
        return {
            item.name: question.over(asked[item.name](self.whose), seconds, self.step)
            for item in limits(self.thresholds)
        }


@dataclass(frozen=True, slots=True)
class Told:
    """What Prometheus said."""

    series: Mapping[str, Points]
    """Readings by threshold."""
    days: float | None
    day: Day


def find(watch: Watch, told: Told | Gap, before: Findings | None, now: float) -> Findings:
    """What is to be told; `now` in seconds since 1970. What cannot be told stays as it was."""
    exceeded = before.exceeded if before else watch.exceeded
    exceeded &= {item.name for item in limits(watch.thresholds)}
    if isinstance(told, Gap):
        kept = before or Findings()
        return replace(kept, exceeded=exceeded, reason=told.reason, message=told.message)
    missing = [item.name for item in limits(watch.thresholds) if not _covers(watch, told.series[item.name], now)]
    judged = frozenset(
        item.name
        for item in limits(watch.thresholds)
        if (item.name in exceeded if item.name in missing else _judged(item, told.series[item.name], exceeded))
    )
    return Findings(
        exceeded=judged,
        reason=MISSING if missing else "",
        message=_unknown(missing, watch) if missing else "",
        looked=True,
        days=told.days,
        memory=advice.memory(watch.server, told.day),
        connections=advice.connections(watch.server, told.day),
    )


def _covers(watch: Watch, points: Points, now: float) -> bool:
    return watch.thresholds is not None and covered(points, watch.thresholds.sustained, watch.step, now)


def _judged(item: Threshold, points: Points, exceeded: frozenset[str]) -> bool:
    return judge(item, [value for _, value in points], item.name in exceeded)


def _unknown(missing: list[str], watch: Watch) -> str:
    time = watch.thresholds.sustained_for if watch.thresholds else ""
    return (
        f"Prometheus does not tell enough of the last {time} to judge {', '.join(missing)}: it must scrape the ports "
        "`metrics` and `filesystem` of the instances, with labels namespace and pod, and a trend takes three hours"
    )
