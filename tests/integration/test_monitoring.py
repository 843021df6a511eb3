"""What Prometheus is asked about a store has the meaning that is told: its own tool reckons it from given samples."""

import asyncio
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checkpointstore.features.monitoring import question
from checkpointstore.features.monitoring.advice import Server
from checkpointstore.features.monitoring.finding import Watch
from checkpointstore.features.monitoring.question import Whose
from checkpointstore.features.monitoring.spec import Thresholds
from checkpointstore.kernel.prometheus import PrometheusServer
from checkpointstore.runtime import monitor
from tests.integration.prometheus import Page, exporter, running
from tests.integration.test_alerts import promtool

DATA = "/var/lib/postgresql"
WHOSE = Whose("shop", "agents-[0-9]+", DATA)
GIB = 1024**3
DAY = 144
"""Intervals of ten minutes."""


def evaluate(folder: Path, interval: str, at: str, told: dict[str, str], asked: Mapping[str, float | None]) -> None:
    """Ask `at` a time after the series began; None: nothing is told."""
    test = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in told.items()],
        "promql_expr_test": [
            {"expr": expression, "eval_time": at, "exp_samples": [] if value is None else [{"value": value}]}
            for expression, value in asked.items()
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(file))


def of(pod: str, name: str, **labels: str) -> str:
    given = {"namespace": "shop", "pod": pod, **labels}
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in given.items()) + "}"


def table(name: str, what: str, namespace: str = "shop") -> str:
    labels = f'namespace="{namespace}",pod="agents-0",datname="app",relname="{name}"'
    return f"pg_stat_user_tables_n_tup_{what}{{{labels}}}"


def test_writes_are_rows_of_the_three_tables_and_of_this_store(tmp_path: Path) -> None:
    told = {
        table("checkpoints", "ins"): "0+60x30",
        table("checkpoint_blobs", "ins"): "0+120x30",
        table("checkpoints", "upd"): "0+60x30",
        table("others", "ins"): "0+6000x30",
        table("checkpoints", "ins", "elsewhere"): "0+6000x30",
    }
    evaluate(tmp_path, "1m", "20m", told, {question.writes(WHOSE): 4.0})


def statements(kind: str, each: list[float]) -> dict[str, str]:
    """Counters that grow by all of `each`, seconds, in a minute."""
    sums = {"calls": len(each), "seconds": sum(each), "square_seconds": sum(value**2 for value in each)}
    return {
        of("agents-0", f"checkpointstore_statement_{what}_total", kind=kind, queryid="1"): f"0+{value!r}x30"
        for what, value in sums.items()
    }


def reckoned(each: list[float]) -> float:
    """The 99th percentile of the log-normal distribution with the mean and variance of `each`."""
    mean = statistics.fmean(each)
    variance = math.log(statistics.fmean(value**2 for value in each) / mean**2)
    return mean * math.exp(2.3263 * math.sqrt(variance) - variance / 2)


DRAWS: dict[str, Callable[[], float]] = {
    "log-normal": lambda: random.lognormvariate(-6, 0.8),
    "exponential": lambda: random.expovariate(500),
    "even": lambda: random.uniform(0.001, 0.003),
    "steady with a tail": lambda: 0.001 if random.random() < 0.95 else random.uniform(0.001, 0.01),
}


@pytest.mark.parametrize("shape", DRAWS)
def test_p99_is_near_what_it_would_be_counted(shape: str, tmp_path: Path) -> None:
    """Within two fifths of it for distributions as skewed as durations are; of the operation that is slowest."""
    random.seed(shape)
    each = [DRAWS[shape]() for _ in range(2000)]
    estimated = reckoned(each)
    counted = statistics.quantiles(each, n=100)[98]
    assert estimated == pytest.approx(counted, rel=0.4), (estimated, counted)
    told = statements("put", each) | statements("get", [0.0001] * 10) | statements("list", [9.0] * 10)
    up = {of("agents-0", "pg_up"): "1x30"}
    # promtool compares as numbers of one precision: a ratio is close enough.
    close = f"abs(({question.p99(WHOSE)}) / {estimated!r} - 1) < bool 1e-6"
    evaluate(tmp_path, "1m", "20m", told | up, {close: 1.0})


def test_nothing_that_was_done_took_no_time_and_nobody_who_tells_is_nothing(tmp_path: Path) -> None:
    idle = {name: values.split("+")[0] + "x30" for name, values in statements("put", [0.001]).items()}
    up = {of("agents-0", "pg_up"): "1x30"}
    evaluate(tmp_path, "1m", "20m", idle | up, {question.p99(WHOSE): 0.0})
    evaluate(tmp_path, "1m", "20m", up, {question.p99(WHOSE): 0.0})
    evaluate(tmp_path, "1m", "20m", {}, {question.p99(WHOSE): None})


def test_an_exporter_that_does_not_tell_of_the_spread_is_not_taken_for_fast(tmp_path: Path) -> None:
    """As one of the release before, whose pod was not replaced."""
    each = {name: values for name, values in statements("put", [0.5]).items() if "square" not in name}
    up = {of("agents-0", "pg_up"): "1x30"}
    evaluate(tmp_path, "1m", "20m", each | up, {question.p99(WHOSE): None})


def volume(pod: str, size: int, values: str) -> dict[str, str]:
    length = values.count("x") and sum(int(part.rpartition("x")[2]) + 1 for part in values.split())
    labels = {"mountpoint": DATA, "device": "/dev/sda"}
    return {
        of(pod, "node_filesystem_size_bytes", **labels): f"{size}x{length}",
        of(pod, "node_filesystem_avail_bytes", **labels): values,
    }


@pytest.mark.parametrize(
    ("free", "hours", "expected"),
    [
        # A GiB a day of the 100 that are free at the end.
        (f"{103 * GIB}-{GIB // DAY}x{3 * DAY}", 72, 100.0),
        # Quiet for a week, then ten a day: the last day counts.
        (f"{110 * GIB}x{6 * DAY - 1} {110 * GIB}-{10 * GIB // DAY}x{DAY}", 7 * 24, 10.0),
        # A day without growth does not hide the week's.
        (f"{106 * GIB}-{GIB // DAY}x{6 * DAY - 1} {100 * GIB}x{DAY}", 7 * 24, 105.9),
        (f"{100 * GIB}x{3 * DAY}", 72, 3650.0),
        (f"{100 * GIB}+{GIB // DAY}x{3 * DAY}", 72, 3650.0),
        (f"{103 * GIB}-{GIB // DAY}x{3 * DAY}", 2, None),
    ],
    ids=["steady", "faster of late", "quiet of late", "still", "shrinking", "too young"],
)
def test_days_by_the_faster_of_the_last_week_and_day(
    free: str, hours: int, expected: float | None, tmp_path: Path
) -> None:
    told = volume("agents-0", 500 * GIB, free) | volume("agents-1", 500 * GIB, f"{400 * GIB}x{8 * DAY}")
    asked = question.days_left(WHOSE)
    close = asked if expected is None else f"abs({asked} / {expected} - 1) < bool 0.02"
    evaluate(tmp_path, "10m", f"{hours}h", told, {close: None if expected is None else 1.0})


def test_what_volumes_may_grow_by_counts_as_free(tmp_path: Path) -> None:
    told = volume("agents-0", 500 * GIB, f"{103 * GIB}-{GIB // DAY}x{3 * DAY}")
    asked = question.days_left(replace(WHOSE, room=50 * GIB))
    evaluate(tmp_path, "10m", "72h", told, {f"abs({asked} / 150 - 1) < bool 0.02": 1.0})


def test_a_volume_that_grew_is_no_shrinking_of_what_is_used(tmp_path: Path) -> None:
    """By half after a day: what is free jumps, what is used does not."""
    labels = {"mountpoint": DATA}
    pace = GIB // DAY
    told = {
        of("agents-0", "node_filesystem_size_bytes", **labels): f"{10 * GIB}x{DAY - 1} {15 * GIB}x{2 * DAY}",
        of("agents-0", "node_filesystem_avail_bytes", **labels): (
            f"{5 * GIB}-{pace}x{DAY - 1} {9 * GIB}-{pace}x{2 * DAY}"
        ),
    }
    close = f"abs({question.days_left(WHOSE)} / 7 - 1) < bool 0.02"
    evaluate(tmp_path, "10m", "72h", told, {close: 1.0})


def test_the_last_day_of_a_server(tmp_path: Path) -> None:
    blocks = {
        of("agents-0", f"pg_stat_database_{what}", datname="app"): f"0+{step}x{2 * DAY}"
        for what, step in (("blks_hit", 990), ("blks_read", 10), ("blk_read_time", 5))
    }
    clients = {
        of("agents-0", "pg_stat_activity_count", backend_type="client backend", state=state): values
        for state, values in (("idle", f"30x{DAY} 20x{DAY}"), ("active", f"60x{DAY} 70x20 30x{DAY}"))
    }
    size = {
        of("agents-0", "pg_database_size_bytes", datname="app"): f"{7 * GIB}x{2 * DAY}",
        of("agents-0", "pg_database_size_bytes", datname="postgres"): f"{9 * GIB}x{2 * DAY}",
    }
    asked = {
        question.read_share(WHOSE): 0.01,
        question.read_seconds(WHOSE): 0.0005,
        question.database(WHOSE): 7.0 * GIB,
        question.connections(WHOSE): 90.0,
    }
    evaluate(tmp_path, "10m", "47h", blocks | clients | size, asked)


def test_the_monitor_finds_it_in_a_real_prometheus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows come than one a second; a store that nobody reads says so."""
    monkeypatch.setattr(monitor, "SOON", 0.0)
    page = Growing()
    labels = {"namespace": "shop", "pod": "agents-0"}
    with exporter(page) as where, running(tmp_path, {where: labels}) as url:
        told: list[str] = []
        kube: Any = None
        subject = monitor.Monitor(kube, told.append)
        thresholds = Thresholds(writes_per_second=1, p99="10ms", sustained_for="1m")
        server = Server(1024, 256, 8, 128, False)
        order = Watch(WHOSE, PrometheusServer(url=url), thresholds, frozenset(), server)
        other = Watch(Whose("shop", "other-[0-9]+", DATA), PrometheusServer(url=url), thresholds, frozenset(), server)
        subject.watch("shop/agents", order)
        subject.watch("shop/other", other)
        deadline = time.monotonic() + 120
        while True:
            asyncio.run(subject._look("shop/agents", order))
            found = subject.findings("shop/agents")
            assert found
            if not found.reason and found.memory:
                break
            # A scrape, or an answer, may come late.
            assert found.reason in ("", "SamplesMissing", "PrometheusUnreachable"), found
            assert time.monotonic() < deadline, found
            time.sleep(2)
        assert found.exceeded == {"writesPerSecond"}
        assert (found.memory, found.connections, found.days) == (512, 128, None)
        asyncio.run(subject._look("shop/other", other))
        unknown = subject.findings("shop/other")
        assert unknown
        assert (unknown.exceeded, unknown.reason) == (frozenset(), "SamplesMissing")
        news = len(told)
        asyncio.run(subject._look("shop/agents", order))
        assert len(told) == news, "nothing new is no news"


class Growing(Page):
    """Each put takes a millisecond.

    A reading a second after the first scrape already tells of more than one row a second: the rate over five minutes
    of what grew in one.
    """

    def grow(self, by: float) -> None: ...

    def text(self) -> str:
        rows = 100_000 * time.time()
        where = 'datname="app"'
        return f"""\
pg_up 1
pg_stat_user_tables_n_tup_ins{{{where},relname="checkpoints"}} {rows}
pg_stat_user_tables_n_tup_upd{{{where},relname="checkpoints"}} 0
checkpointstore_statement_calls_total{{kind="put",queryid="1"}} {rows}
checkpointstore_statement_seconds_total{{kind="put",queryid="1"}} {rows / 1000}
checkpointstore_statement_square_seconds_total{{kind="put",queryid="1"}} {rows / 1e6}
pg_database_size_bytes{{{where}}} 1000
pg_stat_database_blks_hit{{{where}}} {rows}
pg_stat_database_blks_read{{{where}}} 0
pg_stat_activity_count{{backend_type="client backend"}} 5
"""
