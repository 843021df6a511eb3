"""Backups that people ask for, stores that have none or rest, and what becomes of the objects and of what they told."""

import pytest

from checkpointstore import reconcile
from checkpointstore.kernel.action import Apply, Delete, Ref
from tests.contract.world import PLATFORM, World
from tests.golden.backup import BACKUP, STORE
from tests.golden.case import EXTERNAL
from tests.unit.backup.story import (
    FIRST,
    FRIDAY,
    REFUSED,
    SOUND,
    at,
    backed_up,
    backing_up,
    events,
    jobs,
    later,
    level,
    made,
    names,
    pass_by,
    phases,
    request,
    stopped,
)


def test_objects_go_when_their_backup_has_left_this_repository() -> None:
    with World() as world:
        backed_up(world)
        at(world, "2026-01-02T03:00:00+00:00").settle()
        old = world.repository.labels[0]
        gone = {name: world.backups()[name] for name in (FIRST, FRIDAY)}
        world.ask("elsewhere").ask("running", store="other").ask("theirs", store="other")
        world.settle()
        later(world, hours=1)
        for name, change in (
            ("elsewhere", {"repository": "s3://elsewhere", "backupID": old, "phase": "Completed"}),
            ("theirs", {"repository": gone[FIRST]["repository"], "backupID": old, "phase": "Completed"}),
        ):
            world.server.patch("CheckpointBackup", "shop", name, {"status": change}, "them", "status")
        # The next full backup makes pgBackRest expire what is older.
        world.repository.labels.clear()
        at(world, "2026-01-04T03:00:00+00:00").settle()
        assert set(phases(world)) == {"agents-full-202601040300", "elsewhere", "running", "theirs"}
        assert set(gone) == {FIRST, FRIDAY}
        assert level(world) == SOUND


def test_what_goes_is_no_change_of_the_store() -> None:
    """Also a backup that somebody asked for, which has no label of ours."""
    with World() as world:
        world.bucket().make({"backup": BACKUP}).ask("by-hand").settle()
        assert phases(world) == {"by-hand": "Completed"}
        world.repository.labels.clear()
        at(world, "2026-01-04T03:00:00+00:00")
        world.settle_until(lambda: Delete(Ref("CheckpointBackup", "by-hand")) in world.plan().actions)
        world.look()
        assert "by-hand" not in phases(world)
        assert level(world) == SOUND


def test_backups_of_other_stores_are_not_touched() -> None:
    with World() as world:
        world.ask("theirs", store="other")
        before = world.need("CheckpointBackup", "theirs")
        world.bucket().make({"backup": BACKUP}).settle()
        world.change(backup=None).settle()
        world.delete("CheckpointStore", "agents").tick(3)
        assert world.need("CheckpointBackup", "theirs") == before


def test_backups_that_people_ask_for_are_made_in_turn() -> None:
    with World() as world:
        backed_up(world)
        for name, type_ in (("c", "Full"), ("b", "Incremental"), ("a", "Differential")):
            world.ask(name, type_).tick()
        order: list[str] = []
        for _ in range(16):
            world.look()
            world.tick()
            assert len(jobs(world, "backup")) <= 1
            over = [name for name in "abc" if phases(world)[name] == "Completed"]
            order += [name for name in over if name not in order]
        assert order == ["c", "b", "a"]
        assert [label[-1] for label in world.repository.labels[1:]] == ["F", "I", "D"]
        assert made(world) == 4
        assert [world.backups()[name]["type"] for name in "cba"] == ["Full", "Incremental", "Differential"]


def test_one_that_is_due_waits_for_one_that_is_made_and_then_follows() -> None:
    with World() as world:
        backed_up(world)
        at(world, "2026-01-02T02:59:50+00:00").settle()
        stopped(world).ask("by-hand")
        pass_by(world, 12)
        assert FRIDAY not in phases(world)
        assert len(jobs(world, "backup")) == 1
        world.repository.works = True
        world.settle()
        assert phases(world)["by-hand"] == phases(world)[FRIDAY] == "Completed"


def test_nothing_of_it_is_a_change_of_the_store_at_any_moment() -> None:
    """Neither a backup nor a verification that begins, runs, fails or ends."""
    with World() as world:
        backed_up(world)
        at(world, "2026-01-04T05:00:00+00:00")
        world.repository.failures["verify"] = (1, REFUSED)
        for number in range(14):
            world.look()
            assert level(world) == SOUND, f"after {number} passes"
            world.tick()
        assert "VerificationFailed" in events(world)
        assert made(world) == 2


@pytest.mark.parametrize("name", ["by-hand", "before-202601020300", "before-999999999999"])
def test_a_backup_that_somebody_asked_for_does_not_stand_for_one_that_is_due(name: str) -> None:
    with World() as world:
        backed_up(world)
        at(world, "2026-01-02T03:00:05+00:00").ask(name).settle()
        assert phases(world)[FRIDAY] == phases(world)[name] == "Completed"


def test_a_backup_that_looks_like_ours_stops_nobody() -> None:
    """Whoever may ask for a backup may give it any name and any label."""
    with World() as world:
        backed_up(world).ask("copied-999999999999")
        ours = {"labels": {"app.kubernetes.io/managed-by": "checkpointstore-operator"}}
        world.edit("CheckpointBackup", "copied-999999999999", {"metadata": ours}).settle()
        assert phases(world)["copied-999999999999"] == "Completed"


def test_a_backup_that_is_taken_back_is_not_made() -> None:
    with World() as world:
        backed_up(world)
        stopped(world).ask("by-hand")
        pass_by(world, 4)
        assert jobs(world, "backup")
        world.delete("CheckpointBackup", "by-hand")
        pass_by(world, 3)
        assert jobs(world, "backup") == []


@pytest.mark.parametrize("spec", [{}, EXTERNAL], ids=["own", "external"])
def test_who_asks_for_a_backup_of_a_store_without_is_told(spec: dict[str, object]) -> None:
    with World() as world:
        world.rds().make(spec).settle()
        world.ask("by-hand").settle()
        status = world.backups()["by-hand"]
        assert status["phase"] == "Failed"
        assert status["error"]["reason"] == "NotConfigured"
        assert "spec.backup" in status["error"]["message"]
        assert [(item["status"], item["reason"]) for item in status["conditions"]] == [("False", "NotConfigured")]
        assert level(world) == SOUND
        assert "LastBackupSucceeded" not in world.states
        assert world.look() == 0


def test_an_answer_given_before_does_not_keep_the_first_backup_back() -> None:
    with World() as world:
        world.make().settle()
        world.ask("by-hand").settle()
        world.bucket().change(backup=BACKUP).settle()
        assert "Completed" in phases(world).values()


def test_backups_that_are_switched_off_leave_nothing_but_their_objects() -> None:
    with World() as world:
        backing_up(world)
        assert names(world, "backup")
        world.change(backup=None).settle()
        assert phases(world) == {FIRST: "Failed"}
        assert world.backups()[FIRST]["error"]["reason"] == "NotConfigured"
        assert "backup" not in world.status
        assert not {"ContinuousArchiving", "LastBackupSucceeded", "BackupVerified"} & set(world.states)
        assert not {("Secret", "agents-repository"), ("Secret", "agents-backup-tls")} & set(world.children())
        assert names(world, "backup") == []
        assert level(world) == SOUND
        world.need("Secret", "s3")


@pytest.mark.parametrize("command", ["paused", "hibernate"])
def test_who_rests_begins_nothing_and_forgets_nothing(command: str) -> None:
    with World() as world:
        backed_up(world)
        before = world.status["backup"]
        world.command(command, "true").settle()
        # Verification is due, too.
        at(world, "2026-01-04T06:00:00+00:00")
        world.ask("by-hand")
        pass_by(world, 2)
        assert phases(world) == {FIRST: "Completed", "by-hand": ""}
        assert jobs(world, "backup") == jobs(world, "verification") == []
        assert world.status["backup"] == before
        world.command(command, None).settle()
        assert set(phases(world)) == {FIRST, "by-hand", "agents-full-202601040300"}
        assert set(phases(world).values()) == {"Completed"}
        assert made(world) == 3
        assert events(world).count("BackupVerified") == 2


def test_a_backup_that_is_made_while_its_store_is_paused_is_told_afterwards() -> None:
    with World() as world:
        backing_up(world)
        world.command("paused", "true").look()
        world.repository.works = True
        world.tick(3)
        pass_by(world, 3)
        assert phases(world) == {FIRST: "Running"}
        world.command("paused", None).settle()
        assert phases(world) == {FIRST: "Completed"}
        assert made(world) == 1


@pytest.mark.parametrize("component", ["backup", "verification"])
def test_a_moment_without_a_primary_does_not_begin_again_what_runs(component: str) -> None:
    """A restore of hours must survive each failover."""
    with World() as world:
        if component == "verification":
            backed_up(world)
            later(world, days=7).settle_until(lambda: not jobs(world, "backup") and bool(jobs(world, component)))
        else:
            backing_up(world)
        stopped(world).settle()
        (before,) = jobs(world, component)
        world.edit("Endpoints", "agents-rw", {"metadata": {"annotations": {"leader": None}}})
        world.look()
        assert world.states["PostgresAvailable"][1] == "NoPrimary"
        pass_by(world, 5)
        assert [job["metadata"]["uid"] for job in jobs(world, component)] == [before["metadata"]["uid"]]


@pytest.mark.parametrize("rests", [False, True])
def test_another_bucket_begins_anew(rests: bool) -> None:
    """Also where the first backup cannot begin with the first look."""
    with World() as world:
        backed_up(world)
        old = world.status["backup"]
        later(world, minutes=5)
        if rests:
            world.command("paused", "true").settle()
        world.change(backup={"objectStore": {**STORE, "url": "s3://other"}})
        world.look()
        now = world.status["backup"]
        assert now["repository"].startswith("s3://other/shop/agents/")
        assert now["scheduled"] == {}
        assert not now.keys() & {"lastSuccessful", "lastFull", "lastVerified", "verification", "firstBackup"}
        assert world.states["ContinuousArchiving"] == ("Unknown", "Pending")
        assert world.states["BackupVerified"] == world.states["LastBackupSucceeded"] == ("Unknown", "Pending")
        world.command("paused", None).settle()
        assert [label[-1] for label in world.repository.labels] == ["F", "F"]
        assert set(phases(world)) == {FIRST, "agents-full-202601010005"}, "the old bucket's is still there"
        assert world.status["backup"]["since"] > old["since"]
        assert world.states["BackupVerified"] == ("True", "Restored")


def test_a_backup_that_runs_while_the_bucket_changes_tells_where_it_is() -> None:
    with World() as world:
        backing_up(world)
        world.change(backup={"objectStore": {**STORE, "url": "s3://other"}}).look()
        world.repository.works = True
        world.settle()
        assert world.backups()[FIRST]["repository"].startswith("s3://backups/")
        assert world.backups()[FIRST]["source"]["objectStore"]["url"] == STORE["url"]
        assert world.status["backup"]["repository"].startswith("s3://other/")


def test_what_is_known_survives_the_objects_that_told_it() -> None:
    with World() as world:
        backed_up(world)
        before = world.status["backup"]
        for name in phases(world):
            world.delete("CheckpointBackup", name)
        world.settle()
        later(world, hours=1).settle()
        assert world.status["backup"] == before
        assert made(world) == 1
        assert world.states["ContinuousArchiving"] == ("True", "Archiving")
        assert world.states["LastBackupSucceeded"] == ("Unknown", "Pending")


def test_an_older_backup_tells_nothing_of_the_repository_now() -> None:
    """Objects come in the order they were made in; a clock that was set back may end a later one before."""
    with World() as world:
        backed_up(world)
        before = world.status["backup"]
        world.ask("by-hand").settle()
        old = {"completedAt": "2025-12-31T00:00:00Z", "firstBackup": "20250101-000000F", "repositoryBytes": 1}
        world.server.patch("CheckpointBackup", "shop", "by-hand", {"status": old}, "them", "status")
        world.server.patch("CheckpointStore", "shop", "agents", {"status": {"backup": before}}, "them", "status")
        world.look()
        told = world.status["backup"]
        assert (told["firstBackup"], told["repositoryBytes"]) == (before["firstBackup"], before["repositoryBytes"])


@pytest.mark.parametrize("missing", ["s3", "s3-ca"])
def test_a_secret_that_is_missing_stalls_a_store_that_goes_on_serving(missing: str) -> None:
    with World() as world:
        backed_up(world)
        memory = world.status["backup"]
        secret = world.secret(missing)
        world.delete("Secret", missing).settle()
        assert world.states["ContinuousArchiving"] == ("False", "SecretMissing")
        assert world.states["Stalled"] == ("True", "SecretMissing")
        assert world.states["Ready"] == SOUND["Ready"]
        assert missing in world.condition("Stalled")["message"]
        assert world.status["backup"] == memory
        assert ("Secret", "agents-repository") in world.children(), "what is archived still is"
        at(world, "2026-01-02T03:00:00+00:00").settle()
        assert made(world) == 1
        world.give(missing, secret).settle()
        assert level(world) == SOUND
        assert made(world) == 2


def test_a_secret_that_is_missing_for_a_moment_takes_nothing_back() -> None:
    """Whoever brings Secrets from elsewhere may delete one and make it again."""
    with World() as world:
        backing_up(world)
        (before,) = jobs(world, "backup")
        known = set(world.states)
        secret = world.secret("s3")
        world.delete("Secret", "s3").look()
        assert world.states["Stalled"] == ("True", "SecretMissing")
        assert known <= set(world.states), "what is known of backups is told on"
        world.give("s3", secret).look()
        assert [job["metadata"]["uid"] for job in jobs(world, "backup")] == [before["metadata"]["uid"]]


@pytest.mark.parametrize("value", [None, ""])
def test_a_secret_that_lacks_a_key_stalls(value: str | None) -> None:
    with World() as world:
        world.bucket().edit("Secret", "s3", {"data": {"AWS_SECRET_ACCESS_KEY": value}}).make({"backup": BACKUP})
        world.settle()
        assert world.states["ContinuousArchiving"] == ("False", "SecretIncomplete")
        assert world.states["Ready"] == SOUND["Ready"]
        assert world.condition("Stalled")["message"] == "Secret s3 lacks AWS_SECRET_ACCESS_KEY"


def test_a_backup_is_made_by_the_instances_own_image_and_with_what_pulls_it() -> None:
    """pgBackRest talks to no other version of itself than its own."""
    with World() as world:
        spec = {"postgres": {"instances": 2, "images": {"pullSecrets": ["registry"]}}, "backup": BACKUP}
        world.bucket().make(spec)
        world.settle_until(lambda: jobs(world, "backup") != [])
        (job,) = jobs(world, "backup")
        pod = job["spec"]["template"]["spec"]
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        assert pod["containers"][0]["image"] == PLATFORM.images.postgres
        assert pod["automountServiceAccountToken"] is False
        assert job["spec"]["activeDeadlineSeconds"] == 24 * 3600
        secrets = {item["secret"]["secretName"] for item in pod["volumes"] if "secret" in item}
        assert secrets == {"agents-repository", "agents-backup-tls", "agents-admin-tls"}
        asked = request(job)
        assert asked["hosts"] == [f"agents-{number}.agents-pods.shop.svc" for number in (0, 1)]
        assert (asked["type"], asked["primary"], asked["database"]) == ("full", "agents-rw.shop.svc", "app")
        world.edit("Pod", "agents-0", {"spec": {"containers": [{"name": "postgres", "image": "images/postgres:0"}]}})
        world.delete("Job", job["metadata"]["name"])
        plan = reconcile.plan(world.store(), world.observed(), PLATFORM, world.server.now)
        (other,) = (
            item.manifest
            for item in plan.actions
            if isinstance(item, Apply) and item.manifest["metadata"]["name"] == job["metadata"]["name"]
        )
        assert other["spec"]["template"]["spec"]["containers"][0]["image"] == "images/postgres:0"
