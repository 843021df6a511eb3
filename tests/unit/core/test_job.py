"""Jobs as the plan sees them: when they ended, what they said, and which of their ends is final."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from checkpointstore.kernel import job
from checkpointstore.kernel.action import Manifest, Ref
from checkpointstore.kernel.observed import Observed
from checkpointstore.kernel.scheduled import Report

THEN = "2026-01-01T00:00:07Z"


def ended(type_: str, status: str = "True") -> Manifest:
    return {"status": {"conditions": [{"type": type_, "status": status, "lastTransitionTime": THEN}]}}


@pytest.mark.parametrize("live", [None, {}, {"status": {}}, ended("Suspended"), ended("Complete", "False")])
def test_what_goes_on_has_not_ended(live: Manifest | None) -> None:
    assert job.finished(live, "Complete") is None
    assert job.finished(live, "Failed") is None


def test_an_end_is_of_one_kind() -> None:
    assert job.finished(ended("Failed"), "Failed") == datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
    assert job.finished(ended("Failed"), "Complete") is None


def pod(name: str, made: str, *messages: str | None, of: str = "work", component: str = "backup") -> Manifest:
    labels = {"app.kubernetes.io/component": component, "batch.kubernetes.io/job-name": of}
    ends: list[dict[str, Any]] = [
        {"state": {"running": {}}} if message is None else {"state": {"terminated": {"message": message}}}
        for message in messages
    ]
    meta = {"name": name, "labels": labels, "creationTimestamp": f"2026-01-01T00:00:{made}Z"}
    return {"kind": "Pod", "metadata": meta, "status": {"containerStatuses": ends}}


def seen(*pods: Manifest) -> Observed:
    return Observed(objects={Ref("Pod", item["metadata"]["name"]): item for item in pods})


def said(text: str) -> str:
    return json.dumps({"said": text})


def test_the_newest_pod_that_said_something_counts() -> None:
    observed = seen(
        pod("c", "01", said("first")),
        pod("b", "03", said("third")),
        pod("a", "02", said("second")),
        pod("d", "04", None),
        pod("e", "05", said("another's"), of="other"),
        pod("f", "06", said("another room's"), component="verification"),
    )
    assert job.outcome(observed, "backup", "work") == {"said": "third"}
    assert [item["metadata"]["name"] for item in job.pods(observed, "backup", "work")] == ["d", "b", "a", "c"]
    assert job.outcome(observed, "backup", "none") == {}


@pytest.mark.parametrize("message", ["", "Kil", "[1]", '"text"', "{}", "null"])
def test_what_is_no_outcome_says_nothing(message: str) -> None:
    assert job.outcome(seen(pod("a", "01", message)), "backup", "work") == {}
    assert job.outcome(seen(pod("a", "01", message, said("the second container"))), "backup", "work") == {
        "said": "the second container"
    }
    older = pod("b", "00", said("older"))
    assert job.outcome(seen(pod("a", "01", message), older), "backup", "work") == {"said": "older"}


def test_a_pod_without_a_status_says_nothing() -> None:
    bare = pod("a", "01")
    del bare["status"], bare["metadata"]["creationTimestamp"]
    assert job.outcome(seen(bare), "backup", "work") == {}


def test_a_refusal_ends_a_job_and_anything_else_is_tried_again() -> None:
    found = job.spec({"containers": []}, {"a": "label"}, 3)
    assert found["backoffLimit"] == 3
    assert found["podFailurePolicy"]["rules"] == [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [64]}}
    ]
    assert found["template"] == {"metadata": {"labels": {"a": "label"}}, "spec": {"containers": []}}


def test_a_failure_fits_into_a_termination_message() -> None:
    """Kubernetes cuts one at 4,096 bytes."""
    said = Report.failure("Unavailable", "ü" * 5000)
    assert len(said.text().encode()) < 4096
    assert (said.reason, said.message[:1], Report.read(json.loads(said.text()))) == ("Unavailable", "ü", None)
