"""When a run is due, what it and the recaller are asked, and what is told."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkpointstore.features.tiering import slice as tiering
from checkpointstore.features.tiering.request import Cold, Holding, Moved, Outcome, Place, Request
from checkpointstore.features.tiering.slice import Beside
from checkpointstore.features.tiering.spec import Tiering
from checkpointstore.kernel.action import Emit, Manifest, Ref
from checkpointstore.kernel.condition import Condition, Status
from checkpointstore.kernel.contribution import Contribution, Database
from checkpointstore.kernel.env import Env, Images
from checkpointstore.kernel.naming import labels
from checkpointstore.kernel.observed import Given, Observed

NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
DUE = "2026-01-01T00:10:00Z"
IMAGES = Images(postgres="postgres", pgbouncer="pgbouncer", operator="operator:1", pull_secrets=("pull",))
ENV = Env("agents", "shop", "uid", IMAGES, "cluster.local", "system")
STORE: dict[str, Any] = {
    "url": "s3://cold/agents",
    "endpoint": "https://s3.example:9000",
    "credentials": {"name": "bucket"},
    "ca": {"name": "s3-ca", "key": "ca.crt"},
}
TIERS = [{"name": "cold", "after": "90d", "storageClass": "STANDARD_IA"}, {"name": "frozen", "after": "52w"}]
SPEC = Tiering.model_validate({"objectStore": STORE, "tiers": TIERS})
GIVEN = {
    "bucket": Given("1", frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"})),
    "s3-ca": Given("1", frozenset({"ca.crt"})),
}
DATABASE = Database(
    provider="Patroni",
    host="agents-rw.shop.svc",
    port=5432,
    database="app",
    logins=("app_a", "app_b"),
    admin="agents-admin-tls",
    admin_version="",
    certificates=True,
    spare=0,
    settled=True,
    server_tls="verify-full",
    primary="agents-0",
    serving=True,
    max_connections=100,
    measured=True,
    reserved_connections=10,
)
DONE = Outcome(
    threads=4321,
    moved=Moved(threads=123, checkpoints=1234, writes=99, blobs=5, bytes=3 * 1024**2 + 7),
    cold=Cold(
        threads=888,
        objects=7,
        bytes=5 * 1024**2,
        tiers=(
            Holding(name="cold", storage_class="STANDARD_IA", objects=5, bytes=4 * 1024**2, threads=456),
            Holding(name="frozen", objects=2, bytes=1024**2, threads=432),
        ),
    ),
    complete=True,
    seconds=12.4,
    writes=9,
    reads=6,
)

ALONE = Beside(None, None, timedelta())


class Story:
    """A store's status from pass to pass."""

    def __init__(self, spec: Tiering = SPEC, database: Database = DATABASE, beside: Beside = ALONE) -> None:
        self.spec, self.database, self.beside = spec, database, beside
        self.status: dict[str, Any] = {}
        self.observed = Observed(given=GIVEN)
        self.now = NOW

    def look(self, rests: bool = False, sleeps: bool = False) -> Contribution:
        found = tiering.contribute(
            self.spec, ENV, self.observed, self.database, self.beside, self.status, self.now, rests, sleeps, asked=""
        )
        told = {name: value for name, value in found.status["tiering"].items() if value is not None}
        self.status = {"tiering": told}
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
                "labels": {**labels("agents", "tiering"), "batch.kubernetes.io/job-name": name},
            },
            "status": {"containerStatuses": [{"state": {"terminated": {"message": said}}}]},
        }
        ended = {**job, "status": {"conditions": [condition]}}
        self.observed = Observed(objects={Ref("Job", name): ended, Ref("Pod", f"{name}-x"): pod}, given=GIVEN)
        return self


def only(found: Contribution) -> Condition:
    [condition] = found.conditions
    return condition


def jobs(found: Contribution) -> list[Manifest]:
    return [manifest for manifest in found.desired if manifest["kind"] == "Job"]


def recallers(found: Contribution) -> list[Manifest]:
    return [manifest for manifest in found.desired if manifest["kind"] == "Deployment"]


def asked(manifest: Manifest) -> dict[str, Any]:
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    request: dict[str, Any] = json.loads(container["env"][0]["value"])
    return request


def begun(story: Story) -> Manifest:
    [job] = jobs(story.later(minutes=6).look())
    return job


WHERE = {
    "store": "shop/agents",
    "provider": "Patroni",
    "host": "agents-rw.shop.svc",
    "bucket": "cold",
    "endpoint": "https://s3.example:9000",
    "pathStyle": True,
    "authority": "/etc/checkpointstore/bucket-ca/ca.crt",
}


def test_the_recaller_stands_before_the_first_run() -> None:
    story = Story()
    found = story.look()
    assert (jobs(found), found.again) == ([], timedelta(minutes=5))
    [recaller] = recallers(found)
    assert recaller["metadata"]["name"] == "agents-recaller"
    pod = recaller["spec"]["template"]["spec"]
    assert (pod["containers"][0]["image"], pod["containers"][0]["args"]) == ("operator:1", ["recall"])
    assert asked(recaller) == WHERE
    assert Place.model_validate(asked(recaller)).group == "app"
    assert {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume} == {
        "admin": "agents-admin-tls",
        "bucket": "bucket",
        "bucket-ca": "s3-ca",
    }
    assert found.quiet == {"tiering", "recaller"}
    assert only(found) == Condition("TieringSucceeded", Status.UNKNOWN, "Pending", "No run has ended yet")


def test_the_job_that_is_due() -> None:
    story = Story()
    story.look()
    job = begun(story)
    assert story.status["tiering"] == {"since": "2026-01-01T00:05:00Z", "begun": DUE, "lastRun": DUE}
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("operator:1", ["job", "tiering"])
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert asked(job) == {
        **WHERE,
        "prefix": "agents/cold-data/shop/agents/uid",
        "tiers": [
            {"name": "cold", "after": 90 * 86400, "storageClass": "STANDARD_IA"},
            {"name": "frozen", "after": 364 * 86400},
        ],
    }
    assert Request.model_validate(asked(job)).keep_latest_hot
    assert jobs(story.later(minutes=30).look()) == [job], "until it has ended"


@pytest.mark.parametrize(("window", "grace"), [(timedelta(days=30), 30 * 86400), (timedelta(hours=2), 86400)])
def test_what_else_the_spec_says_bears_on_it(window: timedelta, grace: float) -> None:
    spec = Tiering.model_validate(
        {
            "objectStore": {"url": "s3://cold", "credentials": {"name": "bucket"}},
            "tiers": [{"name": "cold", "after": "1h"}],
            "keepLatestHot": False,
            "dryRun": True,
        }
    )
    story = Story(spec, beside=Beside("400d", window, timedelta()))
    story.look()
    request = Request.model_validate(asked(begun(story)))
    assert (request.grace, request.delete_after, request.keep_latest_hot) == (grace, 400 * 86400, False)
    assert (request.prefix, request.dry_run) == ("cold-data/shop/agents/uid", True)
    assert (request.endpoint, request.path_style, request.authority) == (None, False, "")


def test_what_it_did_is_told_and_the_job_goes() -> None:
    story = Story()
    story.look()
    found = story.ends(begun(story), "Complete", DONE.text()).look()
    assert (jobs(found), found.actions) == ([], ())
    assert only(found) == Condition(
        "TieringSucceeded",
        Status.TRUE,
        "Succeeded",
        "Looked at 4300 threads and moved 120 threads (3.0Mi); 890 are cold (5.0Mi)",
    )
    assert story.status["tiering"] == {
        "since": "2026-01-01T00:05:00Z",
        "lastRun": DUE,
        "lastSuccessful": "2026-01-01T00:11:00Z",
        "threads": 4300,
        "moved": {"threads": 120, "checkpoints": 1200, "writes": 99, "blobs": 5, "bytes": 3 * 1024**2 + 7},
        "cold": {"threads": 890, "objects": 7, "bytes": 5 * 1024**2, "waiting": 0, "deleted": 0, "deletedElsewhere": 0},
        "tiers": [
            {"name": "cold", "storageClass": "STANDARD_IA", "objects": 5, "bytes": 4 * 1024**2, "threads": 460},
            {"name": "frozen", "objects": 2, "bytes": 1024**2, "threads": 430},
        ],
        "requests": {"since": "2026-01-01T00:05:00Z", "writes": 9, "reads": 6},
        "rewritten": 0,
        "collected": 0,
        "busyThreads": 0,
        "complete": True,
        "dryRun": False,
        "duration": "12s",
    }
    assert len(jobs(story.later(minutes=9).look())) == 1


FIRST = DONE.model_copy(update={"cold": DONE.cold.model_copy(update={"threads": 123})})


def grown(by: int) -> Outcome:
    """A run after which there is so much more in objects than after DONE."""
    return DONE.model_copy(update={"cold": DONE.cold.model_copy(update={"bytes": DONE.cold.bytes + by})})


def test_what_moved_and_what_it_takes_in_objects_add_up() -> None:
    story = Story()
    story.look()
    story.ends(begun(story), "Complete", FIRST.text()).look()
    once = {"movedBytes": 3 * 1024**2 + 7, "objectBytes": 5 * 1024**2}
    assert story.status["tiering"]["totals"] == once
    story.ends(begun(story.later(minutes=4)), "Complete", grown(1024).text()).look()
    twice = {"movedBytes": 6 * 1024**2 + 14, "objectBytes": 5 * 1024**2 + 1024}
    assert story.status["tiering"]["totals"] == twice
    job = begun(story.later(minutes=4))
    story.ends({**job, "status": {}}, "Complete", grown(4096).text())
    live = story.observed.objects[Ref("Job", job["metadata"]["name"])]
    live["status"]["failed"] = 1
    story.look()
    assert story.status["tiering"]["totals"] == twice, "a pod before had moved too, and nobody knows how much"
    story.ends(begun(story.later(minutes=4)), "Failed").look()
    assert story.status["tiering"]["totals"] == twice


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"complete": False}, "Behind", "the next run goes on there"),
        ({"dry_run": True}, "DryRun", "Looked at 4300 threads and would move 120 threads"),
        ({"dry_run": True, "complete": False}, "DryRun", "threads, as there was no time for all, and would move"),
        ({"busy": 3, "busy_reason": "changed"}, "Succeeded", "; 3 are left for the next run: changed"),
    ],
)
def test_what_else_a_run_may_have_come_to(change: dict[str, Any], reason: str, words: str) -> None:
    story = Story()
    story.look()
    condition = only(story.ends(begun(story), "Complete", DONE.model_copy(update=change).text()).look())
    assert (condition.status, condition.reason) == (Status.TRUE, reason)
    assert words in condition.message


FAILURES = [
    ("Failed", '{"reason": "AccessDenied", "message": "no"}', "", Status.FALSE, "AccessDenied", "no"),
    ("Failed", '{"reason": "Unavailable", "message": "gone"}', "", Status.UNKNOWN, "Unavailable", "gone"),
    ("Failed", "", "", Status.UNKNOWN, "JobFailed", "ended without a word"),
    ("Failed", "", "DeadlineExceeded", Status.UNKNOWN, "TookTooLong", "ended after 30 minutes"),
]


@pytest.mark.parametrize(("type_", "said", "why", "status", "reason", "words"), FAILURES)
def test_a_run_that_failed(type_: str, said: str, why: str, status: Status, reason: str, words: str) -> None:
    story = Story()
    story.look()
    found = story.ends(begun(story), type_, said, why).look()
    assert (only(found).status, only(found).reason) == (status, reason)
    assert words in only(found).message
    assert found.actions == (Emit("Warning", "TieringFailed", only(found).message),)
    assert (story.look().actions, only(story.look()).reason) == ((), reason), "told once, true until a run succeeds"


@pytest.mark.parametrize("said", ["", '{"seconds": 1, "threads": "many"}', '{"reason": "Unavailable"}'])
@pytest.mark.parametrize(("dry", "reason"), [(False, "Succeeded"), (True, "DryRun")])
def test_a_success_without_figures_is_one(said: str, dry: bool, reason: str) -> None:
    story = Story(SPEC.model_copy(update={"dry_run": dry}))
    story.look()
    found = story.ends(begun(story), "Complete", said).look()
    assert (only(found).status, only(found).reason) == (Status.TRUE, reason)
    assert "its pod was gone" in only(found).message


def test_a_secret_that_is_missing_is_told_and_nothing_begins() -> None:
    story = Story()
    story.look()
    story.observed = Observed(given={"bucket": GIVEN["bucket"]})
    found = story.later(minutes=6).look()
    assert (found.desired, found.again) == ((), timedelta(seconds=5))
    assert (only(found).status, only(found).reason) == (Status.FALSE, "SecretMissing")
    story.observed = Observed(given={**GIVEN, "bucket": Given("1", frozenset({"AWS_ACCESS_KEY_ID"}))})
    assert only(story.look()).message == "Secret bucket lacks AWS_SECRET_ACCESS_KEY"


def test_a_store_that_rests_begins_nothing_and_one_that_sleeps_has_no_pods() -> None:
    story = Story()
    story.look()
    found = story.later(minutes=6).look(rests=True)
    assert (jobs(found), len(recallers(found))) == ([], 1)
    assert story.look(rests=True, sleeps=True).desired == ()
    story.database = replace(DATABASE, serving=False)
    assert jobs(story.look()) == []


def test_an_external_server_is_reached_by_its_own_secret() -> None:
    database = replace(DATABASE, provider="External", admin="rds", logins=("shop_agents_a", "shop_agents_b"))
    story = Story(database=database)
    story.look()
    request = asked(begun(story))
    assert (request["provider"], request["owner"], request["group"]) == ("External", "shop_agents_owner", "shop_agents")
    assert "host" not in request


def test_without_tiering_nothing_is_told_any_more() -> None:
    assert tiering.without({}) == Contribution()
    assert tiering.without({"tiering": {"since": DUE}}).status == {"tiering": None}


def test_what_was_moved_adds_up() -> None:
    one = Moved(threads=1, checkpoints=2, writes=3, blobs=4, bytes=5)
    assert one + one == Moved(threads=2, checkpoints=4, writes=6, blobs=8, bytes=10)


@pytest.mark.parametrize(("elsewhere", "stray", "told"), [(0, False, True), (1, False, False), (0, True, False)])
def test_no_day_is_named_while_another_store_s_folder_may_have_what_was_deleted(
    elsewhere: int, stray: bool, told: bool
) -> None:
    story = Story(beside=replace(ALONE, stray=stray))
    story.look()
    cold = Cold(threads=8, deleted=2, deleted_elsewhere=elsewhere, last_deletion=NOW)
    found = story.ends(begun(story), "Complete", Outcome(threads=9, cold=cold, complete=True).text()).look()
    assert (found.status["tiering"].get("erasedBy") is not None) is told
