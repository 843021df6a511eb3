"""Values outside: applications get a Secret, a Job removes what nothing refers to, and what is lost is told."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from checkpointstore.features.blobs.request import Outcome
from checkpointstore.kernel.naming import FINALIZER
from tests.contract import database
from tests.contract.world import AUTHORITY, World
from tests.golden.backup import BACKUP, OUTSIDE, RECOVERY, STORE, TIERED
from tests.golden.case import EXTERNAL
from tests.unit.backup.story import deleted, events, finalizers, jobs, later, level, names, request, stopped
from tests.unit.core.bill import FREE

SECRET = "agents-blobs"
DELETE: dict[str, Any] = {**OUTSIDE, **TIERED, "reclaimPolicy": {"coldData": "Delete"}}


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


def outside(**more: Any) -> dict[str, Any]:
    return {"limits": {"externalize": {**OUTSIDE["limits"]["externalize"], **more}}}


def test_applications_get_what_they_need_and_nothing_of_the_operator_s(world: World) -> None:
    world.buckets().make(OUTSIDE).settle()
    uid = world.body["metadata"]["uid"]
    assert world.secret(SECRET) == {
        "type": "s3",
        "provider": "checkpointstore",
        "bucket": "backups",
        "endpoint": "https://s3.example:9000",
        "region": "us-east-1",
        "uri-style": "Path",
        "root": "agents/blobs",
        "folder": f"shop/agents/{uid}",
        "above": "65536",
        "grace": "604800",
        "AWS_ACCESS_KEY_ID": "an agent's id",
        "AWS_SECRET_ACCESS_KEY": "an agent's key",
        "ca.crt": AUTHORITY,
    }
    assert world.status["blobs"]["secret"] == SECRET
    assert world.look() == 0


def test_other_credentials_are_passed_on(world: World) -> None:
    world.buckets().make(OUTSIDE).settle()
    world.edit("Secret", "agents-s3", {"data": {"AWS_SECRET_ACCESS_KEY": "bmV3", "AWS_SESSION_TOKEN": "bmV3"}}).settle()
    told = world.secret(SECRET)
    assert (told["AWS_SECRET_ACCESS_KEY"], told["AWS_SESSION_TOKEN"]) == ("new", "new")
    world.edit("Secret", "agents-s3", {"data": {"AWS_SESSION_TOKEN": None}}).settle()
    assert "AWS_SESSION_TOKEN" not in world.secret(SECRET)


@pytest.mark.parametrize("more", ["", AUTHORITY], ids=["nothing", "a certificate"])
def test_of_the_secret_of_the_authority_nothing_but_certificates_reaches_applications(world: World, more: str) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    world.buckets().make(OUTSIDE)
    encoded = base64.b64encode(f"a password\n{more}{key}{more}".encode()).decode()
    world.edit("Secret", "s3-ca", {"data": {"ca.crt": encoded}}).settle()
    assert world.secret(SECRET).get("ca.crt", "") == more * 2


def test_what_somebody_changes_in_it_is_put_right(world: World) -> None:
    world.buckets().make(OUTSIDE).settle()
    before = world.secret(SECRET)
    world.edit("Secret", SECRET, {"data": {"bucket": "ZWxzZXdoZXJl"}}).settle()
    assert world.secret(SECRET) == before


def test_a_secret_that_is_missing_is_told_and_nothing_else_suffers(world: World) -> None:
    world.bucket().make(OUTSIDE).settle()
    assert world.states["BlobCollectionSucceeded"] == ("False", "SecretMissing")
    assert world.states["Ready"] == ("True", "Serving")
    assert "secret" not in world.status["blobs"]
    world.give("agents-s3", {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}).settle()
    assert world.states["BlobCollectionSucceeded"] == ("Unknown", "Pending")
    assert world.secret(SECRET)


@pytest.mark.parametrize("spec", [{}, EXTERNAL], ids=["Patroni", "External"])
def test_the_job_comes_by_the_schedule_and_goes(world: World, spec: dict[str, Any]) -> None:
    world.rds().buckets().make({**spec, **OUTSIDE}).settle()
    sound = level(world)
    stopped(later(world, hours=1)).settle_until(lambda: jobs(world, "blobs") != [])
    [job] = jobs(world, "blobs")
    assert request(job)["folder"] == f"shop/agents/{world.body['metadata']['uid']}"
    assert request(job)["keep"] == request(job)["grace"] == timedelta(days=7).total_seconds()
    assert level(world) == sound, "a store is Ready and at rest whatever its Job does"


def test_what_it_did_is_in_the_status(world: World) -> None:
    world.buckets().make(OUTSIDE).settle()
    later(world, hours=1).settle()
    assert jobs(world, "blobs") == []
    assert world.states["BlobCollectionSucceeded"] == ("True", "Succeeded")
    told = world.condition("BlobCollectionSucceeded")["message"]
    assert told == ("12 values (40Mi) are outside, 1 of them unused; removed 3 (9.0Mi) that nothing refers to")
    assert "BlobsMissing" not in events(world)


def test_a_dry_run_says_what_would_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Outcome(objects=12, removed=3, removed_bytes=9 * 1024**2, dry_run=True)
    monkeypatch.setitem(database.OVER_THREADS, "blobs", said.text())
    world.buckets().make(outside(dryRun=True)).settle()
    later(world, hours=1).settle()
    assert world.states["BlobCollectionSucceeded"] == ("True", "DryRun")
    assert "would remove 3 (9.0Mi)" in world.condition("BlobCollectionSucceeded")["message"]


def test_a_value_that_is_lost_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Outcome(objects=12, missing=2, example="shop/agents/u/t/abc")
    monkeypatch.setitem(database.OVER_THREADS, "blobs", said.text())
    world.buckets().make(OUTSIDE).settle()
    later(world, hours=1).settle()
    assert world.states["BlobCollectionSucceeded"] == ("False", "BlobsMissing")
    assert "2 values that rows refer to" in world.condition("BlobCollectionSucceeded")["message"]
    assert world.states["Ready"] == ("True", "Serving")
    assert events(world).count("BlobsMissing") == 1


def test_a_run_that_fails_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.buckets().make(OUTSIDE).settle()
    ended = database._end
    monkeypatch.setattr(database, "_end", lambda server, job, *rest: _refused(job) or ended(server, job, *rest))
    later(world, hours=1).settle()
    assert world.states["BlobCollectionSucceeded"] == ("False", "AccessDenied")
    assert "BlobCollectionFailed" in events(world)


def _refused(job: dict[str, Any]) -> tuple[int, str] | None:
    ours = job["metadata"]["labels"]["app.kubernetes.io/component"] == "blobs"
    return (64, json.dumps({"reason": "AccessDenied", "message": "no"})) if ours else None


def test_what_a_recovery_may_need_stays(world: World) -> None:
    backed = {"backup": {**BACKUP, "retentionPolicy": "14d"}}
    world.buckets().make({**OUTSIDE, **backed}).settle()
    later(world, hours=1).settle_until(lambda: jobs(world, "blobs") != [])
    [job] = jobs(world, "blobs")
    assert request(job)["keep"] == timedelta(days=14).total_seconds()


def test_when_a_deleted_thread_is_gone_everywhere_counts_its_values(world: World) -> None:
    world.buckets().make(TIERED).settle()
    later(world, hours=1).settle()
    before = world.status["tiering"]["erasedBy"]
    world.change(limits=OUTSIDE["limits"]).settle()
    later(world, hours=1).settle()
    assert world.status["tiering"]["erasedBy"] == "2026-01-25T14:00:00Z" > before


def test_without_it_the_secret_stays_as_rows_need_what_is_there(world: World) -> None:
    world.buckets().make(OUTSIDE).settle()
    world.change(limits=None).settle()
    assert world.secret(SECRET)
    assert world.status["blobs"] == {"secret": SECRET}
    assert "BlobCollectionSucceeded" not in world.states
    assert world.look() == 0


@pytest.mark.parametrize("change", [{"dryRun": True}, None])
def test_no_day_is_named_while_nobody_collects(world: World, change: dict[str, Any] | None) -> None:
    world.buckets().make({**OUTSIDE, **TIERED}).settle()
    later(world, hours=1).settle()
    assert "erasedBy" in world.status["tiering"]
    world.change(limits=outside(**change)["limits"] if change else {"externalize": None}).settle()
    later(world, hours=1).settle()
    assert "erasedBy" not in world.status["tiering"]


def test_somebody_s_secret_is_in_nobody_s_way_without_it(world: World) -> None:
    world.buckets().give(SECRET, {"mine": "all mine"}).make().settle()
    assert world.states["Ready"] == ("True", "Serving")
    world.change(limits=OUTSIDE["limits"]).settle()
    assert world.states["Stalled"] == ("True", "NameTaken")
    assert world.secret(SECRET) == {"mine": "all mine"}


def test_it_is_not_made_of_itself(world: World) -> None:
    world.buckets().make(outside(applicationCredentials={"name": SECRET})).look()
    assert world.states["Stalled"] == ("True", "InvalidSpec")
    assert "Secret agents-blobs is the store's own" in world.condition("Stalled")["message"]


def test_other_credentials_are_no_change_of_the_store(world: World) -> None:
    world.buckets().make(OUTSIDE).settle()
    sound = level(world)
    world.edit("Secret", "agents-s3", {"data": {"AWS_SECRET_ACCESS_KEY": "bmV3"}}).look()
    assert world.secret(SECRET)["AWS_SECRET_ACCESS_KEY"] == "new"
    assert level(world) == sound


def test_both_go_with_a_store(world: World) -> None:
    world.buckets().make(DELETE).settle()
    deleted(world)
    world.settle_until(lambda: len(jobs(world, "erasure")) == 2)
    assert names(world, "erasure") == ["agents-blobs-erase", "agents-tiering-erase"]
    world.settle_until(lambda: finalizers(world) == [])
    assert events(world).count("ColdDataDeleted") == 2


def test_values_go_with_a_store_whose_cold_data_does(world: World) -> None:
    world.buckets().make(DELETE).settle()
    assert finalizers(world) == [FINALIZER]
    world.change(tiering=None).settle()
    assert finalizers(world) == [FINALIZER]
    uid = world.body["metadata"]["uid"]
    deleted(world)
    world.settle_until(lambda: jobs(world, "erasure") != [])
    assert names(world, "erasure") == ["agents-blobs-erase"]
    [job] = jobs(world, "erasure")
    assert request(job)["folder"] == f"agents/blobs/shop/agents/{uid}"
    assert request(job)["bucket"] == STORE["url"].split("/")[2]
    world.settle_until(lambda: finalizers(world) == [])


def test_what_is_outside_is_in_the_cost(world: World) -> None:
    world.buckets().make({**OUTSIDE, "monitoring": {"cost": {"prices": {**FREE, "objectGiBMonth": "0.5"}}}}).settle()
    assert "blobs" in world.status["cost"]["unknown"]
    assert "blobs" not in world.status["cost"]
    later(world, hours=1).settle()
    # 40 MiB.
    assert world.status["cost"]["blobs"] == world.status["cost"]["monthly"] == "0.02"
    assert "0.04 GiB of values outside" in world.status["cost"]["why"]
    assert "blobs" not in world.status["cost"].get("unknown", ())


def test_of_a_recovered_store_nobody_knows_when_values_of_the_lost_one_are_gone(world: World) -> None:
    world.buckets().make({**OUTSIDE, **TIERED, "bootstrap": {"recovery": RECOVERY}}).settle()
    later(world, hours=1).settle()
    assert world.status["tiering"]["lastDeletion"]
    assert "erasedBy" not in world.status["tiering"]
