"""When a run is due, what it is asked, and what is told of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkpointstore.features.retention import slice as retention
from checkpointstore.features.retention.request import Outcome, Removed, Request
from checkpointstore.features.retention.spec import Retention
from checkpointstore.kernel.action import Emit, Manifest, Ref
from checkpointstore.kernel.condition import Condition, Status
from checkpointstore.kernel.contribution import Contribution, Database
from checkpointstore.kernel.env import Env, Images
from checkpointstore.kernel.naming import labels
from checkpointstore.kernel.observed import Observed

NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
DUE = "2026-01-01T00:10:00Z"
IMAGES = Images(postgres="postgres", pgbouncer="pgbouncer", operator="operator:1", pull_secrets=("pull",))
ENV = Env("agents", "shop", "uid", IMAGES, "cluster.local", "system")
SPEC = Retention.model_validate({"history": {"keepLast": 20, "keepFor": "30d"}, "deleteAfter": "400d"})
DATABASE = Database(
    provider="Patroni",
    host="agents-rw.shop.svc",
    port=5432,
    database="app",
    logins=("app_a", "app_b"),
    admin="agents-admin-tls",
    admin_version="",
    certificates=True,
    settled=True,
    server_tls="verify-full",
    primary="agents-0",
    serving=True,
    max_connections=100,
    measured=True,
    reserved_connections=10,
    spare=3 * 1024**3 + 1,
)
DONE = Outcome(
    threads=4321,
    removed=Removed(checkpoints=1234, writes=99, blobs=5, threads=1, bytes=3 * 1024**2 + 7),
    delta=2,
    complete=True,
    seconds=12.4,
)


class Story:
    """A store's status from pass to pass."""

    def __init__(self, spec: Retention = SPEC, database: Database = DATABASE) -> None:
        self.spec, self.database = spec, database
        self.status: dict[str, Any] = {}
        self.observed = Observed()
        self.now = NOW

    def look(self, rests: bool = False) -> Contribution:
        found = retention.contribute(
            self.spec, ENV, self.observed, self.database, self.status, self.now, rests, asked=""
        )
        told = {name: value for name, value in found.status["retention"].items() if value is not None}
        self.status = {"retention": told}
        return found

    def later(self, **time: float) -> "Story":
        self.now += timedelta(**time)
        return self

    def ends(self, job: Manifest, type_: str, said: str = "", reason: str = "") -> "Story":
        """The Job has ended so, and its pod said this."""
        name = job["metadata"]["name"]
        condition = {"type": type_, "status": "True", "lastTransitionTime": "2026-01-01T00:11:00Z", "reason": reason}
        pod = {
            "metadata": {
                "name": f"{name}-x",
                "labels": {**labels("agents", "retention"), "batch.kubernetes.io/job-name": name},
            },
            "status": {"containerStatuses": [{"state": {"terminated": {"message": said}}}]},
        }
        ended = {**job, "status": {"conditions": [condition]}}
        self.observed = Observed(objects={Ref("Job", name): ended, Ref("Pod", f"{name}-x"): pod})
        return self


def only(found: Contribution) -> Condition:
    [condition] = found.conditions
    return condition


def begun(story: Story) -> Manifest:
    [job] = story.later(minutes=6).look().desired
    return job


def test_nothing_runs_before_the_first_due_time() -> None:
    story = Story()
    found = story.look()
    assert (found.desired, found.again) == ((), timedelta(minutes=5))
    assert only(found) == Condition("RetentionSucceeded", Status.UNKNOWN, "Pending", "No run has ended yet")
    assert story.later(minutes=4).look().desired == ()
    assert story.status["retention"] == {"since": "2026-01-01T00:05:00Z"}


def test_the_job_that_is_due() -> None:
    story = Story()
    story.look()
    job = begun(story)
    assert story.status["retention"] == {
        "since": "2026-01-01T00:05:00Z",
        "begun": DUE,
        "lastRun": DUE,
        "spareBytes": DATABASE.spare,
    }
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("operator:1", ["job", "retention"])
    assert job["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    asked = json.loads(container["env"][0]["value"])
    assert asked == {
        "store": "shop/agents",
        "provider": "Patroni",
        "host": "agents-rw.shop.svc",
        "keepLast": 20,
        "keepFor": 30 * 86400,
        "deleteAfter": 400 * 86400,
        "spare": DATABASE.spare,
    }
    assert (Request.model_validate(asked).owner, Request.model_validate(asked).group) == ("app_owner", "app")
    story.database = replace(DATABASE, spare=7)
    found = story.later(minutes=30).look()
    assert found.desired == (job,), "until it has ended"
    assert found.quiet == {"retention"}


def test_what_it_did_is_told_and_the_job_goes() -> None:
    story = Story()
    story.look()
    found = story.ends(begun(story), "Complete", DONE.text()).look()
    assert (found.desired, found.actions) == ((), ())
    assert only(found) == Condition(
        "RetentionSucceeded",
        Status.TRUE,
        "Succeeded",
        "Looked at 4300 threads and removed 1200 checkpoints (3.0Mi), 1 whole threads",
    )
    assert story.status["retention"] == {
        "since": "2026-01-01T00:05:00Z",
        "lastRun": DUE,
        "lastSuccessful": "2026-01-01T00:11:00Z",
        "threads": 4300,
        "deleted": {"checkpoints": 1200, "writes": 99, "blobs": 5, "threads": 1},
        "bytes": 3_100_000,
        "returnedBytes": 0,
        "deltaThreads": 2,
        "busyThreads": 0,
        "complete": True,
        "dryRun": False,
        "duration": "12s",
    }
    assert found.again == timedelta(minutes=9)
    assert story.later(minutes=8).look().desired == ()
    assert len(story.later(minutes=1).look().desired) == 1


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"complete": False}, "Behind", "goes on there"),
        ({"dry_run": True}, "DryRun", "Looked at 4300 threads and would remove 1200 checkpoints"),
        (
            {"dry_run": True, "complete": False},
            "DryRun",
            "threads, as there was no time for all, and would remove 1200",
        ),
        (
            {"reusable": 12345, "returned": 5 * 1024**3},
            "Succeeded",
            "1 whole threads, and gave 5.0Gi back to the volume",
        ),
        (
            {"reusable": 2 * 1024**3, "kept": "a standby is behind", "busy": 3, "busy_reason": "corrupted"},
            "Succeeded",
            "whole threads; 2.0Gi are free inside the tables and stay there: a standby is behind; 3 are left",
        ),
        ({"kept": "pg_squeeze is not loaded in this server"}, "Succeeded", "1 whole threads"),
        (
            {"dry_run": True, "returned": 1024**3, "reusable": 2 * 1024**3, "kept": "a standby is behind"},
            "DryRun",
            "and give 1.0Gi back to the volume: spec.retention.dryRun is set; 2.0Gi are free inside the tables",
        ),
        ({"busy": 3, "busy_reason": "corrupted"}, "Succeeded", "; 3 are left for the next run: corrupted"),
        (
            {"busy": 3, "busy_reason": "corrupted", "complete": False},
            "Behind",
            "; 3 are left for the next run: corrupted",
        ),
        (
            {"busy": 3, "busy_reason": "corrupted", "dry_run": True},
            "DryRun",
            "; 3 are left for the next run: corrupted",
        ),
    ],
)
def test_what_else_a_run_may_have_come_to(change: dict[str, Any], reason: str, words: str) -> None:
    story = Story()
    story.look()
    condition = only(story.ends(begun(story), "Complete", DONE.model_copy(update=change).text()).look())
    assert (condition.status, condition.reason) == (Status.TRUE, reason)
    assert words in condition.message


FAILURES = [
    ("Failed", '{"reason": "InsufficientPrivilege", "message": "no"}', "", Status.FALSE, "InsufficientPrivilege", "no"),
    ("Failed", '{"reason": "Unavailable", "message": "gone"}', "", Status.UNKNOWN, "Unavailable", "gone"),
    ("Failed", "", "", Status.UNKNOWN, "JobFailed", "ended without a word"),
    ("Failed", "", "DeadlineExceeded", Status.UNKNOWN, "TookTooLong", "ended after 90 minutes"),
]


@pytest.mark.parametrize(("type_", "said", "why", "status", "reason", "words"), FAILURES)
def test_a_run_that_failed(type_: str, said: str, why: str, status: Status, reason: str, words: str) -> None:
    story = Story()
    story.look()
    found = story.ends(begun(story), type_, said, why).look()
    assert (only(found).status, only(found).reason) == (status, reason)
    assert words in only(found).message
    assert found.actions == (Emit("Warning", "RetentionFailed", only(found).message),)
    again = story.look()
    assert (again.actions, only(again).reason) == ((), reason), "told once, and true until a run succeeds"
    job = story.later(minutes=10).look().desired[0]
    assert only(story.ends(job, "Complete", DONE.text()).look()).reason == "Succeeded"


@pytest.mark.parametrize("said", ["", '{"seconds": 1, "threads": "many"}', '{"reason": "Unavailable"}'])
@pytest.mark.parametrize(("dry", "reason"), [(False, "Succeeded"), (True, "DryRun")])
def test_a_success_without_figures_is_one(said: str, dry: bool, reason: str) -> None:
    story = Story(Retention.model_validate({"deleteAfter": "2w", "dryRun": dry}))
    story.look()
    story.ends(begun(story), "Complete", DONE.text()).look()
    [job] = story.later(minutes=10).look().desired
    found = story.ends(job, "Complete", said).look()
    assert (only(found).status, only(found).reason, found.actions) == (Status.TRUE, reason, ())
    assert "its pod was gone" in only(found).message
    assert story.status["retention"] == {
        "since": "2026-01-01T00:05:00Z",
        "lastRun": "2026-01-01T00:20:00Z",
        "lastSuccessful": "2026-01-01T00:21:00Z",
        "dryRun": dry,
    }
    assert only(story.look()).reason == reason


def test_a_store_that_rests_or_has_no_primary_begins_nothing() -> None:
    story = Story()
    story.look()
    assert story.later(minutes=6).look(rests=True).desired == ()
    story.database = replace(DATABASE, serving=False)
    assert story.look().desired == ()
    story.database = DATABASE
    job = story.look().desired
    assert story.look(rests=True).desired == ()
    assert story.look().desired == job, "and goes on with what it had begun"
    story.database = replace(DATABASE, serving=False)
    assert story.look().desired == job, "which tries again by itself"


def test_another_policy_begins_the_run_anew() -> None:
    story = Story()
    story.look()
    first = begun(story)
    story.spec = Retention.model_validate({"deleteAfter": "2w", "dryRun": True})
    [second] = story.look().desired
    assert second["metadata"]["name"] != first["metadata"]["name"]
    asked = json.loads(second["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    assert (asked.get("keepLast"), asked["deleteAfter"], asked["dryRun"]) == (None, 14 * 86400, True)


def test_by_age_alone_the_newest_stays() -> None:
    story = Story(Retention.model_validate({"history": {"keepFor": "1h"}}))
    story.look()
    asked = json.loads(begun(story)["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    assert (asked["keepLast"], asked["keepFor"]) == (1, 3600)


def test_an_external_server_is_reached_by_its_own_secret() -> None:
    database = replace(DATABASE, provider="External", admin="rds", logins=("shop_agents_a", "shop_agents_b"))
    story = Story(database=database)
    story.look()
    job = begun(story)
    asked = json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    assert (asked["provider"], asked["owner"], asked["group"]) == ("External", "shop_agents_owner", "shop_agents")
    assert "host" not in asked
    assert job["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"] == "rds"


def test_without_retention_nothing_is_told_any_more() -> None:
    assert retention.without({}) == Contribution()
    assert retention.without({"retention": {"since": DUE}}).status == {"retention": None}


def test_what_became_of_the_room_inside_the_tables_is_told() -> None:
    story = Story()
    story.look()
    said = {"reusable": 1_234_567, "returned": 7_654_321, "kept": "a standby is behind"}
    story.ends(begun(story), "Complete", DONE.model_copy(update=said).text()).look()
    told = story.status["retention"]
    assert (told["reusableBytes"], told["returnedBytes"]) == (1_200_000, 7_700_000)
    assert told["keptReason"] == "a standby is behind"
    assert "spareBytes" not in told
    [job] = story.later(minutes=10).look().desired
    story.ends(job, "Complete", DONE.model_copy(update={"kept": "pg_squeeze is not loaded"}).text()).look()
    assert "reusableBytes" not in story.status["retention"]


def test_what_was_removed_adds_up() -> None:
    one = Removed(checkpoints=1, writes=2, blobs=3, threads=4, bytes=5)
    assert one + one == Removed(checkpoints=2, writes=4, blobs=6, threads=8, bytes=10)
