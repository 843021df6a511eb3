"""A store that begins with a backup: first it is known that this can be done, then it is done, then instances start."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from checkpointstore import reconcile
from checkpointstore.kernel.observed import Progress
from checkpointstore.providers.patroni import archive
from tests.contract.repository import UID
from tests.contract.world import NAMESPACE, PLATFORM, World
from tests.golden.backup import BACKUP, RECOVERY
from tests.unit.backup.story import (
    SOUND,
    Moment,
    end,
    events,
    jobs,
    killed_anywhere,
    kinds,
    known,
    later,
    level,
    looking,
    pass_by,
    pods,
    request,
    restoring,
    stopped,
    uids,
)

GAP = {"reason": "TargetInGap", "message": "the archive has a hole"}


def recovers(world: World, **recovery: Any) -> World:
    return world.bucket().make({"bootstrap": {"recovery": {**RECOVERY, **recovery}}})


def restores(world: World) -> World:
    """A recovery whose restore runs, and does not end."""
    return stopped(known(world, "restores", restore_begins))


def restore_begins(world: World) -> None:
    recovers(world).settle_until(lambda: restoring(world) != [])
    pass_by(stopped(world), 2)


@pytest.mark.parametrize("recovery", [{}, {"bootstrap": {"recovery": RECOVERY}}])
def test_instances_archive_from_their_start(recovery: dict[str, Any]) -> None:
    """Patroni forgets what it is told while its server is starting, which takes long on a recovered volume."""
    with World() as world:
        world.bucket().make({"backup": BACKUP, **recovery})
        world.settle_until(lambda: world.server.get("StatefulSet", NAMESPACE, "agents") is not None)
        config = json.loads(world.need("Endpoints", "agents-rw-config")["metadata"]["annotations"]["config"])
        assert config["postgresql"]["parameters"]["archive_command"] == archive.COMMAND


def test_it_looks_then_restores_and_then_instances_start() -> None:
    order: list[str] = []
    with World() as world:
        recovers(world)

        def witness(item: Any) -> None:
            kind, name = item["kind"], item["metadata"]["name"]
            if kind in ("PersistentVolumeClaim", "StatefulSet", "Pod", "Job", "Secret"):
                order.append(f"{kind}/{name}")

        world.server.watchers.append(witness)
        world.settle()
        first = list(dict.fromkeys(item.rpartition("-")[0] if "Job" in item else item for item in order))
        wanted = (
            "Secret/agents-source",
            "Job/agents-look",
            "PersistentVolumeClaim/data-agents-0",
            "Job/agents-restore",
            "StatefulSet/agents",
            "Pod/agents-0",
        )
        assert sorted(wanted, key=first.index) == list(wanted)
        assert level(world) == SOUND
        assert world.status["recovery"] == {
            "phase": "Completed",
            "origin": f"lost/old/{UID}",
            "backupID": "20260101-000000F",
            "recoveredTo": "2026-01-01T00:00:00.5Z",
            "recoveredLSN": "0/3000100",
            "clamped": True,
            "bytes": 30_000_000,
            "duration": "5s",
        }
        assert events(world).count("Recovered") == 1
        assert jobs(world, "recovery") == []
        assert "Secret/agents-source" in order
        assert world.server.get("Secret", NAMESPACE, "agents-source") is None
        (told,) = [event["message"] for event in world.server.all("Event") if event["reason"] == "Recovered"]
        assert told == (
            "Backup 20260101-000000F was restored and recovered to 2026-01-01T00:00:00.5Z, the last commit that is "
            "archived, as the target is later"
        )


def test_nothing_is_made_before_the_look_has_ended_well() -> None:
    with World() as world:
        stopped(recovers(world))
        pass_by(world, 6)
        assert kinds(world) == {"Job", "Pod", "Secret"}
        assert len(looking(world)) == 1
        assert restoring(world) == []
        assert world.states["Initialized"] == ("False", "Recovering")
        assert world.states["Ready"] == ("False", "Recovering")
        assert world.states["Reconciling"] == ("True", "Recovering")
        assert request(looking(world)[0]) == {
            "base": "/agents/lost/old",
            "target": {"time": "2026-01-01T00:00:00Z"},
        }
        world.repository.failures["look"] = (64, GAP)
        world.repository.works = True
        pass_by(world, 4)
        assert kinds(world) == {"Job", "Pod", "Secret"}
        assert world.states["Initialized"] == world.states["Ready"] == ("False", "TargetInGap")
        assert world.states["Stalled"] == ("True", "TargetInGap")
        assert world.condition("Stalled")["message"] == "the archive has a hole"


def test_a_restore_fills_the_volume_of_the_first_instance() -> None:
    with World() as world:
        scheduling = {"nodeSelector": {"disk": "ssd"}}
        resources = {"requests": {"memory": "2Gi"}, "limits": {"memory": "4Gi"}}
        postgres = {"instances": 3, "scheduling": scheduling, "resources": resources, "storage": {"size": "20Gi"}}
        world.bucket().make({"postgres": postgres, "bootstrap": {"recovery": RECOVERY}})
        world.settle_until(lambda: restoring(world) != [])
        (job,) = restoring(world)
        pod = job["spec"]["template"]["spec"]
        (volume,) = (item for item in pod["volumes"] if item["name"] == "data")
        assert volume["persistentVolumeClaim"] == {"claimName": "data-agents-0"}
        assert pod["nodeSelector"] == {"disk": "ssd"}
        assert pod["containers"][0]["resources"]["limits"] == {"memory": "4Gi"}
        assert request(job) == {
            "base": "/agents/lost/old",
            "target": {"time": "2026-01-01T00:00:00Z"},
            "uid": UID,
            "backupId": "20260101-000000F",
            "databaseSize": 30_000_000,
            "dataDirectory": "/var/lib/postgresql/data/pgdata",
            "memory": 4096,
        }
        claim = world.need("PersistentVolumeClaim", "data-agents-0")
        assert claim["spec"]["resources"]["requests"] == {"storage": "20Gi"}
        assert world.status["recovery"].items() >= {"phase": "Recovering", "backupID": "20260101-000000F"}.items()
        world.settle()
        assert world.need("PersistentVolumeClaim", "data-agents-0")["metadata"]["uid"] == claim["metadata"]["uid"]
        assert level(world) == SOUND


def test_a_look_that_failed_is_tried_again_after_two_minutes() -> None:
    with World() as world:
        world.repository.failures["look"] = (64, GAP)
        recovers(world).settle_until(lambda: world.status != {} and world.states["Stalled"][0] == "True")
        (first,) = uids(looking(world))
        world.repository.failures.clear()
        later(world, seconds=100)
        pass_by(world, 4)
        assert uids(looking(world)) == [first]
        later(world, seconds=20).settle()
        assert level(world) == SOUND


def test_a_restore_that_failed_is_tried_again_after_two_minutes_on_the_same_volume() -> None:
    with World() as world:
        world.repository.failures["restore"] = (64, {"reason": "WrongKey", "message": "another passphrase"})
        recovers(world).settle_until(lambda: world.status != {} and world.states["Stalled"][0] == "True")
        assert world.states["Initialized"] == ("False", "WrongKey")
        assert world.again is not None
        assert world.again <= timedelta(minutes=2)
        (first,) = uids(restoring(world))
        volume = world.need("PersistentVolumeClaim", "data-agents-0")["metadata"]["uid"]
        world.repository.failures.clear()
        later(world, seconds=100)
        pass_by(world, 4)
        assert uids(restoring(world)) == [first]
        later(world, seconds=20).settle()
        assert level(world) == SOUND
        assert world.need("PersistentVolumeClaim", "data-agents-0")["metadata"]["uid"] == volume


def test_a_restore_that_ends_without_a_word_has_failed() -> None:
    with World() as world:
        restores(world)
        (job,) = restoring(world)
        end(world, job, "Failed", reason="BackoffLimitExceeded")
        world.look()
        assert world.states["Stalled"] == ("True", "JobFailed")
        assert f"Job {job['metadata']['name']} failed: see its pod's log" in world.condition("Stalled")["message"]


def test_the_last_try_is_told_while_the_job_goes_on() -> None:
    """Kubernetes tries again by itself what may go by."""
    with World() as world:
        restores(world)
        (pod,) = (item for item in pods(world, "recovery") if "restore" in item["metadata"]["name"])
        said = {"exitCode": 1, "message": '{"reason": "RepositoryUnreachable", "message": "no answer"}'}
        status = {"phase": "Failed", "containerStatuses": [{"name": "restore", "state": {"terminated": said}}]}
        world.server.patch("Pod", NAMESPACE, pod["metadata"]["name"], {"status": status}, "kubelet", "status")
        world.look()
        assert world.states["Initialized"] == ("False", "Recovering")
        assert world.condition("Initialized")["message"].endswith("; last try: no answer")


@pytest.mark.parametrize("gone", ["look", "restore"])
def test_a_recovery_goes_on_when_a_pod_that_has_said_its_word_is_gone(gone: str) -> None:
    """A node that is taken away takes its pods along, ended ones too."""
    with World() as world:
        recovers(world).settle_until(lambda: any(f"agents-{gone}-" in item for item in ended(world)))
        for name in ended(world):
            if f"agents-{gone}-" in name:
                world.server.delete("Pod", NAMESPACE, name, force=True)
        later(world, minutes=3).settle()
        assert level(world) == SOUND


def ended(world: World) -> list[str]:
    return [pod["metadata"]["name"] for pod in pods(world, "recovery") if pod["status"]["phase"] == "Succeeded"]


def test_a_restore_of_hours_outlives_the_pod_of_the_look() -> None:
    with World() as world:
        restores(world)
        before = uids(restoring(world))
        (name,) = (name for name in ended(world) if "look" in name)
        world.server.delete("Pod", NAMESPACE, name, force=True)
        pass_by(world, 6)
        assert uids(restoring(world)) == before
        world.repository.works = True
        world.settle()
        assert level(world) == SOUND


def test_what_is_told_of_a_restore_comes_in_tenths() -> None:
    with World() as world:
        restores(world)
        told: list[str] = []
        for progress in (
            None,
            Progress(0, 30_000_000),
            Progress(2_999_999, 30_000_000, "restoring"),
            Progress(3_000_000, 30_000_000, "restoring"),
            Progress(3_000_000, 30_000_000, "restoring", 90_000.0),
            Progress(17_100_000, 30_000_000, "restoring", 61.0),
            Progress(17_100_000, 30_000_000, "restoring", 120.0),
            Progress(30_000_000, 30_000_000, "restoring", 60.0),
            Progress(30_000_000, 30_000_000, "replaying"),
        ):
            world.repository.progress = progress
            world.look()
            told.append(world.condition("Initialized")["message"])
        begin = "Backup 20260101-000000F is being restored, 29Mi in all"
        assert told == [
            begin,
            f"{begin}, 0 % done",
            f"{begin}, 0 % done",
            f"{begin}, 10 % done",
            f"{begin}, 10 % done, the rest in more than a day",
            f"{begin}, 50 % done, the rest within 2 minutes",
            f"{begin}, 50 % done, the rest within 2 minutes",
            f"{begin}, 90 % done, the rest within a minute",
            "Backup 20260101-000000F is restored; what was written since is being replayed",
        ]
        assert world.states["Ready"] == ("False", "Recovering")
        assert world.again == timedelta(seconds=5)


def test_another_target_is_another_job() -> None:
    with World() as world:
        world.repository.failures["look"] = (64, GAP)
        recovers(world).settle_until(lambda: world.status != {} and world.states["Stalled"][0] == "True")
        (first,) = looking(world)
        world.repository.failures.clear()
        world.change(bootstrap={"recovery": {"recoveryTarget": {"targetTime": None, "targetImmediate": True}}})
        world.look()
        world.tick()
        (second,) = looking(world)
        assert second["metadata"]["name"] != first["metadata"]["name"]
        assert request(second)["target"] == {"immediate": True}
        world.settle()
        assert level(world) == SOUND


def test_other_credentials_are_another_job() -> None:
    """Whoever mends them does not wait for two minutes."""
    with World() as world:
        world.repository.failures["look"] = (64, GAP)
        recovers(world).settle_until(lambda: world.status != {} and world.states["Stalled"][0] == "True")
        (first,) = looking(world)
        world.repository.failures.clear()
        world.edit("Secret", "s3", {"data": {"AWS_SECRET_ACCESS_KEY": "YW5vdGhlcg=="}}).settle()
        assert level(world) == SOUND
        assert first["metadata"]["name"] in [item["metadata"]["name"] for item in world.server.deleted]


def test_credentials_that_change_do_not_begin_a_running_restore_anew() -> None:
    """They may change at any time, and a restore may take longer than a session lasts."""
    with World() as world:
        restores(world)
        before = uids(restoring(world))
        world.edit("Secret", "s3", {"data": {"AWS_SESSION_TOKEN": "YW5vdGhlcg=="}})
        pass_by(world, 5)
        assert "repo1-s3-token=another" in world.secret("agents-source")["repository.conf"]
        assert uids(restoring(world)) == before


def test_what_was_recovered_is_remembered_when_its_jobs_are_gone() -> None:
    with World() as world:
        recovers(world).settle()
        for _ in range(3):
            later(world, days=1).settle()
        assert jobs(world, "recovery") == []
        assert events(world).count("Recovered") == 1
        told = world.status["recovery"]
        # Whoever edits the way it began changes nothing any more, and nor does a Secret that is gone.
        world.delete("Secret", "s3").settle()
        world.delete("StatefulSet", "agents").settle()
        assert level(world) == SOUND
        assert world.status["recovery"] == told
        world.server.patch("CheckpointStore", NAMESPACE, "agents", {"status": {"recovery": None}}, "them", "status")
        world.settle()
        assert level(world) == SOUND, "it is initialized"
        assert events(world).count("Recovered") == 1


def test_a_lost_status_before_the_first_instance_begins_again_with_the_same_data() -> None:
    with World() as world:
        recovers(world).settle_until(lambda: recovered(world))
        assert world.states["Initialized"] == ("False", "Recovering")
        assert world.server.get("StatefulSet", NAMESPACE, "agents") is None
        world.settle()
        assert world.states["Initialized"] == ("True", "BootstrapCompleted")


def test_a_recovery_is_done_once_wherever_the_operator_is_killed() -> None:
    with World() as world:
        recovers(world).settle_until(lambda: looking(world) != [])
        restored = 0
        real = world.repository._restore

        def counted(asked: dict[str, Any]) -> dict[str, Any]:
            nonlocal restored
            restored += 1
            return real(asked)

        world.repository._restore = counted  # type: ignore[method-assign, assignment]
        tried = 0
        for life in killed_anywhere(world, lambda: world.settle_until(lambda: recovered(world))):
            assert restored == 2 + tried, f"killed after request {life}"
            assert len(restoring(world)) == 1
            tried += 1
        assert tried > 5
        world.settle()
        assert level(world) == SOUND


def recovered(world: World) -> bool:
    return bool(world.status.get("recovery", {}).get("phase") == "Completed")


def test_a_recovered_store_with_backups_begins_an_archive_of_its_own() -> None:
    with World() as world:
        world.bucket().make({"backup": BACKUP, "bootstrap": {"recovery": RECOVERY}}).settle()
        assert level(world) == SOUND
        uid = world.body["metadata"]["uid"]
        assert uid != UID
        assert world.status["backup"]["repository"].endswith(uid)
        assert len(world.backups()) == 1


def test_a_paused_recovery_begins_nothing() -> None:
    with World() as world:
        recovers(world).command("paused", "true")
        pass_by(world, 4)
        assert kinds(world) == set()
        world.command("paused", None).settle()
        assert level(world) == SOUND


def test_an_outcome_without_details_is_enough() -> None:
    with World() as world:
        world.repository.failures["restore"] = (0, {"backupId": "20260101-000000F"})
        recovers(world).settle()
        assert world.status["recovery"] == {
            "phase": "Completed",
            "origin": f"lost/old/{UID}",
            "backupID": "20260101-000000F",
            "recoveredTo": "",
            "recoveredLSN": "",
            "clamped": False,
            "bytes": 0,
            "duration": "0s",
        }
        (told,) = [event["message"] for event in world.server.all("Event") if event["reason"] == "Recovered"]
        assert told == "Backup 20260101-000000F was restored and recovered"


def test_a_restore_is_where_the_same_facts_lead() -> None:
    with World() as world:
        restores(world)
        before = Moment.of(world)
        seen = world.observed()
        plan = reconcile.plan(world.store(), seen, PLATFORM, world.server.now)
        backwards = replace(seen, objects=dict(reversed(list(seen.objects.items()))))
        assert reconcile.plan(world.store(), backwards, PLATFORM, world.server.now) == plan
        assert before == Moment.of(world)
