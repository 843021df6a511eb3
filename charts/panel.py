"""What dashboards are made of: queries, panels and rows as plain data, and the expressions that many panels share."""

from dataclasses import dataclass
from enum import Enum, auto

HEALTH = "health"
"""A unit of ours: 2 for what should be so, 1 for what is open, 0 for what should not be so."""
RATE = "[$__rate_interval]"
DAY = 86400
Steps = tuple[tuple[float | None, str], ...]
"""Colours from a value on, the first from minus infinity on."""


class Kind(Enum):
    """How a panel shows its numbers."""

    LINES = auto()
    STACKED = auto()
    STAT = auto()
    STATES = auto()
    TABLE = auto()


@dataclass(frozen=True, slots=True)
class Query:
    """One expression and the name of its series; in a table, of its column, "" for none."""

    expr: str
    legend: str = ""
    unit: str = ""
    """Of a table's column."""
    steps: Steps = ()


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    description: str
    queries: tuple[Query, ...]
    width: int = 8
    """Of 24."""
    kind: Kind = Kind.LINES
    steps: Steps = ()
    height: int = 7


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def over(red: float, yellow: float | None = None) -> Steps:
    """More is worse."""
    return ((None, "green"), *(((yellow, "yellow"),) if yellow is not None else ()), (red, "red"))


def under(red: float, yellow: float) -> Steps:
    """Less is worse."""
    return ((None, "red"), (red, "yellow"), (yellow, "green"))


OF_STORE = 'namespace="$namespace",name="$store"'
INSTANCES = 'namespace="$namespace",pod=~"$store-[0-9]+"'
POOLERS = 'namespace="$namespace",pod=~"$store-pooler-[a-z0-9]+-[a-z0-9]+",database!="pgbouncer"'
TABLES = 'datname="app",relname=~"checkpoints|checkpoint_blobs|checkpoint_writes"'
TOTALS = "pgbouncer_stats"
# The rest should be True.
FALSE = "Stalled|Reconciling|AutoscalingLimited|ThresholdsExceeded"
# Series are joined over the operator's pods, as in the alerts: another one tells after each change of the leader.
EACH = "max by (namespace, name)"
TOO_OLD, UNPROVEN = 8 * DAY, 15 * DAY
"""As in the alerts."""


def health(selector: str, by: str) -> str:
    """HEALTH of the conditions that a selector finds."""

    def found(*matchers: str) -> str:
        each = (f"checkpointstore_condition{{{','.join(filter(None, (selector, more)))}}}" for more in matchers)
        return f"max by ({by}) ({' or '.join(each)})"

    good = found(f'type!~"{FALSE}",status="True"', f'type=~"{FALSE}",status="False"')
    is_open = found('status="Unknown"', 'reason=~"Hibernated|Recovering"', 'type="Reconciling"')
    return f"{good} * 2 or {is_open} or {found('')} * 0"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""


def rate(metric: str, selector: str, by: str = "") -> str:
    """Growth a second, summed up."""
    return f"sum{_by(by)}(rate({metric}{{{selector}}}{RATE}))"


def mean(seconds: str, count: str, selector: str, by: str = "") -> str:
    """How long one of them took."""
    return f"{rate(seconds, selector, by)} / {rate(count, selector, by)}"


def largest(metric: str, by: str = "") -> str:
    """Of what instances tell; where only the primary does, the former one may repeat it for minutes."""
    return f"max{_by(by)}({metric}{{{INSTANCES}}})"


def status(metric: str) -> str:
    """A number of the store's status."""
    return f"max(checkpointstore_{metric}{{{OF_STORE}}})"


def age(metric: str, by: str = EACH, selector: str = "") -> str:
    return f"time() - {by} (checkpointstore_backup_{metric}_timestamp_seconds{selector})"
