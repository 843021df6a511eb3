"""Poolers take up what is published to them while they run, and nobody is told of it before they have."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from checkpointstore import reconcile
from checkpointstore.features.pooler import slice as pooler
from checkpointstore.features.pooler import workload
from checkpointstore.kernel.action import Apply, Manifest, Program, Reload
from checkpointstore.kernel.condition import Status
from checkpointstore.kernel.naming import REVISION
from checkpointstore.kernel.observed import Observed, Pooler
from tests.contract.world import PLATFORM, World
from tests.golden.case import EXTERNAL

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PODS = {"checkpointstore.dev/store": "agents", "app.kubernetes.io/component": "pooler"}


def lives(world: World) -> dict[str, str]:
    """The pooler pods and who they are."""
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in world.server.all("Pod", None, PODS)}


def seen(world: World, poolers: dict[str, Pooler]) -> Observed:
    """What there is, with poolers that answer so."""
    return replace(world.observed(), poolers=poolers)


def test_a_rotation_is_published_when_every_pooler_has_loaded_the_login() -> None:
    with World() as world:
        world.make().settle()
        before = lives(world)
        for command, login in (("1", "app_b"), ("2", "app_a")):
            old = world.secret("agents-app")["username"]
            world.command("rotate-credentials", command)
            revision = world.need("Secret", "agents-pooler")["metadata"]["annotations"]["checkpointstore.dev/source"]
            for _ in range(30):
                world.look()
                loaded = {console.revision for console in world.observed().poolers.values()}
                if world.secret("agents-app")["username"] == login:
                    break
                assert world.secret("agents-app")["username"] == old
                world.tick()
            assert len(loaded) == 1
            assert loaded != {revision}
            assert f'"{login}" "SCRAM' in world.secret("agents-pooler")["userlist.txt"]
            world.settle()
        assert lives(world) == before


def test_both_providers_reload_a_renewed_certificate_without_another_pod() -> None:
    for spec in ({}, EXTERNAL):
        with World() as world:
            world.rds()
            world.make(spec).settle()
            before, ini = lives(world), world.secret("agents-pooler")["pgbouncer.ini"]
            world.delete("Secret", "agents-pooler-tls").settle()
            now = world.secret("agents-pooler")
            assert now["tls.crt"] == world.secret("agents-pooler-tls")["tls.crt"]
            assert now["pgbouncer.ini"] != ini
            assert lives(world) == before
            assert world.status["phase"] == "Ready"


def test_what_runs_with_another_revision_is_told_to_reload_and_who_is_silent_is_not() -> None:
    with World() as world:
        world.make().settle()
        observed, env = world.observed(), reconcile._env(world.store(), PLATFORM)
        first, second = sorted(observed.poolers)
        revision = observed.poolers[first].revision
        reloads, loaded = pooler._reloads(env, seen(world, {first: Pooler("older")}), revision, NOW)
        assert [(item.program, item.pod, item.mark) for item in reloads if isinstance(item, Reload)] == [
            (Program.PGBOUNCER, first, (REVISION, f"{revision}.{int(NOW.timestamp()) // 10}"))
        ]
        assert not loaded
        assert pooler._reloads(env, seen(world, {second: Pooler(revision)}), revision, NOW) == ((), False)
        assert pooler._reloads(env, observed, revision, NOW) == ((), True)


def test_a_silent_pooler_keeps_the_binding_back_and_is_told() -> None:
    with World() as world:
        world.make().settle()
        world.command("rotate-credentials", "1")
        with world.deaf_consoles():
            for _ in range(10):
                world.look()
                world.tick()
            assert world.secret("agents-app")["username"] == "app_a"
            assert world.condition("PoolerAvailable")["reason"] == "Reloading"
            assert world.condition("Ready")["status"] == "True"
            assert world.again == timedelta(seconds=10)
        world.settle()
        assert world.secret("agents-app")["username"] == "app_b"


def test_a_kubelet_that_was_behind_is_asked_again() -> None:
    with World() as world:
        world.make().settle()
        before = lives(world)
        with world.kubelets_behind():
            world.command("rotate-credentials", "1")
            for _ in range(25):
                world.look()
                world.tick()
            assert world.condition("PoolerAvailable")["reason"] == "Reloading"
        world.settle_until(lambda: world.secret("agents-app")["username"] == "app_b")
        assert lives(world) == before


def test_another_image_waits_for_the_stores_turn() -> None:
    newer = replace(PLATFORM, images=replace(PLATFORM.images, pgbouncer="images/pgbouncer:2"))
    with World() as world:
        world.make().settle()
        waits, goes = (
            reconcile.plan(world.store(), replace(world.observed(), turn=turn), newer, world.server.now)
            for turn in (False, True)
        )
        assert (images(waits), images(goes)) == (set(), {"images/pgbouncer:2"})
        told = next(item for item in waits.conditions if item.type == "PoolerAvailable")
        assert (told.reason, told.status) == ("WaitingForTurn", Status.TRUE)
        assert [(plan.release, plan.settled) for plan in (waits, goes)] == [(True, False)] * 2
        world.command("paused", "true")
        paused = reconcile.plan(world.store(), world.observed(), newer, world.server.now)
        assert (paused.release, paused.settled) == (False, True)


def test_what_else_a_release_changes_waits_too_and_a_change_of_size_does_not() -> None:
    newer = replace(PLATFORM, images=replace(PLATFORM.images, pgbouncer="images/pgbouncer:2"))
    with World() as world:
        world.make().settle()
        # As another release would have made the pods.
        with patch.object(workload, "EXPORTER_PORT", 9999):
            waits, goes = (
                reconcile.plan(world.store(), replace(world.observed(), turn=turn), newer, world.server.now)
                for turn in (False, True)
            )
            assert deployed(waits) is None
            assert "9999" in str(deployed(goes))
            world.change(pooler={"instances": 1})
            smaller = reconcile.plan(world.store(), replace(world.observed(), turn=False), newer, world.server.now)
        made = deployed(smaller)
        assert made is not None
        assert made["spec"]["replicas"] == 1
        assert "9999" not in str(made)


def deployed(plan: reconcile.Plan) -> Manifest | None:
    """The Deployment that a plan applies."""
    found = (item.manifest for item in plan.actions if isinstance(item, Apply))
    return next((item for item in found if item["kind"] == "Deployment"), None)


def images(plan: reconcile.Plan) -> set[str]:
    """What the poolers that a plan applies are made from."""
    applied = (action.manifest for action in plan.actions if isinstance(action, Apply))
    deployments = (manifest for manifest in applied if manifest["kind"] == "Deployment")
    return {pod["image"] for found in deployments for pod in found["spec"]["template"]["spec"]["containers"]}


def test_poolers_that_know_only_a_lost_authority_are_replaced() -> None:
    with World() as world:
        world.make().settle()
        before = set(lives(world))
        world.delete("Secret", "agents-ca").settle()
        assert not before & set(lives(world))
        assert world.status["phase"] == "Ready"


def test_the_operators_own_key_without_a_part_is_no_reason_to_fail() -> None:
    with World() as world:
        world.make().settle()
        world.edit("Secret", "agents-admin-tls", {"data": {"tls.key": None}}).look()
        assert world.observed().poolers == {}
        assert world.condition("PoolerAvailable")["reason"] == "Reloading"
