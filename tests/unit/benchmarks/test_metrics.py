"""What is counted as the operator's work: requests, writes without the Lease's, and nothing across a restart."""

import dataclasses
import json

import pytest

from benchmarks.metrics import Operator, count, parse
from benchmarks.stage import Wrong

TEXT = """
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
process_resident_memory_bytes 1.048576e+08
process_start_time_seconds 1.7e+09
process_cpu_seconds_total 12.5
checkpointstore_reconcile_duration_seconds_count 9.0
checkpointstore_api_requests_total{code="200",kind="Pod",verb="GET"} 30.0
checkpointstore_api_requests_total{code="200",kind="Lease",verb="PUT"} 4.0
checkpointstore_api_requests_total{code="201",kind="Pod",verb="PATCH"} 2.0
checkpointstore_api_requests_total{code="201",kind="Event",verb="POST"} 1.0
"""


def test_the_operators_numbers_are_read_from_its_metrics() -> None:
    assert parse(TEXT.splitlines()) == Operator(1.7e9, 2**20 * 100, 12.5, 9, 37, 3)


def test_a_difference_keeps_the_memory_and_refuses_a_restart() -> None:
    before = parse(TEXT.splitlines())
    after = dataclasses.replace(before, resident_bytes=5, cpu_seconds=13.0, requests=40)
    spent = after - before
    assert (spent.resident_bytes, spent.cpu_seconds, spent.requests, spent.writes) == (5, 0.5, 3, 0)
    with pytest.raises(Wrong, match="started again"):
        dataclasses.replace(after, started=1.8e9) - before


def event(verb: str, resource: str, stage: str = "ResponseComplete", **user: str) -> str:
    target = {"resource": resource, "namespace": "bench"}
    return json.dumps({"stage": stage, "verb": verb, "user": user, "objectRef": target}) + "\n"


def test_finished_requests_are_counted_by_user_and_namespace() -> None:
    lines = [
        event("patch", "pods", username="operator"),
        event("get", "pods", username="operator"),
        event("watch", "pods", username="operator"),
        event("update", "leases", username="operator"),
        event("patch", "pods", stage="RequestReceived", username="operator"),
        event("create", "events"),
        event("patch", "endpoints", username="patroni")[:-20],
    ]
    found = count(lines)
    assert found.all == {("operator", "bench"): 2, ("", "bench"): 1}
    assert found.writes == {("operator", "bench"): 1, ("", "bench"): 1}
