"""What Prometheus is asked about a store: PromQL over what the exporters of its instances tell."""

from dataclasses import dataclass

from ...kernel.lognormal import NORMAL_P99, WIDEST

# Operations that an agent waits for at each of its steps.
OPERATIONS = "put|put_writes|get"
TABLES = "checkpoints|checkpoint_blobs|checkpoint_writes"
WINDOW = "5m"
"""The exporter keeps what statements took for a minute."""
TRENDS, STEP = ("7d", "1d"), "10m"
HISTORY = 18
"""Readings, one each ten minutes, that a trend takes at least."""
MOST_DAYS = 3650
_DAY = 86400
_APP = ',datname="app"'


@dataclass(frozen=True, slots=True)
class Whose:
    """The instances of a store."""

    namespace: str
    pods: str
    """A regular expression for their names."""
    mountpoint: str
    room: int = 0
    """Bytes that each volume may still grow by itself."""

    def where(self, more: str = "") -> str:
        return f'{{namespace="{self.namespace}",pod=~"{self.pods}"{more}}}'


def over(expression: str, seconds: float, step: float) -> str:
    """Its values of the last seconds, one each step."""
    return f"({expression})[{seconds:.0f}s:{step:.0f}s]"


def writes(whose: Whose) -> str:
    """Rows a second that were inserted or updated."""
    where = whose.where(f',datname="app",relname=~"{TABLES}"')
    return " + ".join(f"sum(rate(pg_stat_user_tables_n_tup_{what}{where}[{WINDOW}]))" for what in ("ins", "upd"))


def p99(whose: Whose) -> str:
    """Seconds, as log-normal durations with the mean and the spread that were counted would have it; 0 without any."""
    where = whose.where(f',kind=~"{OPERATIONS}"')
    calls, seconds, squares = (
        f"sum by (kind) (rate(checkpointstore_statement_{what}_total{where}[{WINDOW}]))"
        for what in ("calls", "seconds", "square_seconds")
    )
    variance = f"clamp(ln({squares} * {calls} / {seconds} ^ 2), 0, {WIDEST:.4f})"
    estimated = f"{seconds} / {calls} * exp({NORMAL_P99} * sqrt({variance}) - {variance} / 2)"
    never = f"max(pg_up{whose.where()}) * 0 unless on () count(checkpointstore_statement_calls_total{where})"
    return f"max(({estimated}) and ({calls} > 0)) or max({calls}) == 0 or ({never})"


def days_left(whose: Whose) -> str:
    """Days until a volume is full, at the larger of the paces of the last week and the last day."""
    where = whose.where(f',mountpoint="{whose.mountpoint}"')
    free = f"min by (pod) (node_filesystem_avail_bytes{where})"
    used = f"(max by (pod) (node_filesystem_size_bytes{where}) - {free})"
    week, day = (
        f"(deriv({used}[{time}:{STEP}]) and count_over_time({used}[{time}:{STEP}]) >= {HISTORY})" for time in TRENDS
    )
    pace = f'max by (pod) ({week} or label_replace({day}, "trend", "day", "", ""))'
    return f"clamp_max(min(({free} + {whose.room}) / clamp_min({pace}, 1e-9)) / {_DAY}, {MOST_DAYS})"


def database(whose: Whose) -> str:
    """Bytes of the application's database."""
    return f"max(pg_database_size_bytes{whose.where(_APP)})"


def read_share(whose: Whose) -> str:
    """Which part of the blocks that were asked for in the last day was not in the server's own memory."""
    read, hit = (f"sum(increase(pg_stat_database_blks_{what}{whose.where(_APP)}[1d]))" for what in ("read", "hit"))
    return f"{read} / ({read} + {hit})"


def read_seconds(whose: Whose) -> str:
    """Seconds that reading such a block took on average."""
    where = whose.where(_APP)
    took = f"sum(increase(pg_stat_database_blk_read_time{where}[1d])) / 1000"
    return f"{took} / sum(increase(pg_stat_database_blks_read{where}[1d]))"


def connections(whose: Whose) -> str:
    """The most connections of clients that one instance had at once in the last day."""
    where = whose.where(',backend_type="client backend"')
    return f"max(max_over_time(sum by (pod) (pg_stat_activity_count{where})[1d:1m]))"
