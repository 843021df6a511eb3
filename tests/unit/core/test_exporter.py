"""The postgres exporter's questions, as its own file says them."""

import re

import pytest
import yaml

from checkpointstore.providers.patroni import exporter
from checkpointstore.providers.patroni.exporter import ASKED, Query

FILE = yaml.safe_load(exporter.QUERIES)
each = pytest.mark.parametrize("name", ASKED)


def test_the_file_asks_what_is_asked() -> None:
    assert list(FILE) == list(ASKED)
    for name, query in ASKED.items():
        told = FILE[name]
        assert told["query"].split() == query.sql.split()
        assert told.get("cache_seconds", 0) == query.keep
        columns = [(column, said["usage"]) for metric in told["metrics"] for column, said in metric.items()]
        assert columns == [(column, use) for column, (use, _) in query.columns.items()]


@each
def test_a_metric_is_called_as_prometheus_wants(name: str) -> None:
    for column, (use, what) in ASKED[name].columns.items():
        assert use in {"LABEL", "GAUGE", "COUNTER"}
        assert column.endswith("_total") == (use == "COUNTER")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column)
        assert what


def test_no_thread_is_a_label() -> None:
    labels = {column for query in ASKED.values() for column, (use, _) in query.columns.items() if use == "LABEL"}
    assert labels == {"cause", "relname", "part", "indexrelname", "queryid", "kind", "standby", "revision"}


def test_what_reads_threads_is_not_asked_in_each_scrape() -> None:
    costly = [query for query in ASKED.values() if "threads()" in query.sql]
    assert [query.keep for query in costly] == [60]


@each
def test_what_an_older_schema_job_has_not_made_is_asked_for_behind_a_question(name: str) -> None:
    called = re.findall(r"FROM (checkpointstore\.\w+\(\))", ASKED[name].sql)
    for function in set(called) - {"checkpointstore.archiving()"}:
        assert f"to_regprocedure('{function}') IS NOT NULL" in ASKED[name].sql


def test_an_answer_that_is_not_kept_says_nothing_of_it() -> None:
    assert Query("SELECT 1 AS n", {"n": ("GAUGE", "A number")}).manifest() == {
        "query": "SELECT 1 AS n",
        "metrics": [{"n": {"usage": "GAUGE", "description": "A number"}}],
    }
