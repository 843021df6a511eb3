"""Parameters that change: each instance is seen to have loaded them, however it was when they did."""

import json
from dataclasses import replace

import pytest

from checkpointstore import reconcile
from checkpointstore.kernel.action import Ref
from checkpointstore.kernel.env import Env
from checkpointstore.kernel.naming import Names
from checkpointstore.kernel.observed import Observed
from checkpointstore.providers.patroni import revision
from checkpointstore.providers.patroni.parameter import REVISION
from checkpointstore.providers.patroni.renewal import AGAIN
from tests.contract.database import LOADED
from tests.contract.world import NAMESPACE, PLATFORM, World
from tests.golden.backup import BACKUP
from tests.unit.backup.story import later

TWO = {"postgres": {"instances": 2}}
SLOWER = {"parameters": {"work_mem": "8MB"}}


def in_force(world: World) -> str:
    return revision.in_force(Names(world.name), world.observed())


def loaded(world: World) -> dict[str, str]:
    """By instance."""
    pods = world.server.all("Pod", NAMESPACE, {"app.kubernetes.io/component": "postgres"})
    return {pod["metadata"]["name"]: pod["metadata"]["annotations"][LOADED] for pod in pods}


def told(world: World) -> object:
    return world.status["postgres"].get("revision")


def parameters(world: World) -> dict[str, str]:
    config = json.loads(world.need("Endpoints", "agents-rw-config")["metadata"]["annotations"]["config"])
    found: dict[str, str] = config["postgresql"]["parameters"]
    return found


def become(world: World, name: str, state: str) -> None:
    """An instance's server is ready, or starts within its pod."""
    condition = {"type": "Ready", "status": state, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    world.server.patch("Pod", NAMESPACE, name, {"status": {"conditions": [condition]}}, "kubelet", "status")


def missed(world: World, name: str = "agents-1") -> str:
    """Parameters change while an instance is starting; the revision that it keeps."""
    before = loaded(world)[name]
    become(world, name, "False")
    world.change(postgres=SLOWER)
    for _ in range(3):
        world.look()
        world.tick()
    become(world, name, "True")
    assert in_force(world) != before == loaded(world)[name]
    return before


def test_a_running_store_loads_what_changes_and_says_so() -> None:
    with World() as world:
        world.make(TWO).settle()
        before = in_force(world)
        assert told(world) == before != ""
        world.change(postgres=SLOWER).settle()
        after = in_force(world)
        assert parameters(world)["work_mem"] == "8MB"
        assert after.split(".")[0] != before.split(".")[0]
        assert set(loaded(world).values()) == {after}
        assert told(world) == after
        assert list(parameters(world))[-1] == REVISION


def test_an_instance_that_was_starting_is_made_to_load_it() -> None:
    with World() as world:
        world.make(TWO).settle()
        before = missed(world)
        world.look()
        assert told(world) == before, "not before all have it"
        assert world.again == AGAIN
        later(world, seconds=20).settle()
        assert told(world) == in_force(world)
        assert set(loaded(world).values()) == {in_force(world)}
        assert world.again is None


def test_backups_that_are_switched_on_meanwhile_are_mended() -> None:
    with World() as world:
        world.bucket().make().settle()
        become(world, "agents-0", "False")
        world.change(backup=BACKUP)
        world.settle_until(lambda: "archive_timeout" in parameters(world))
        world.tick(2)
        become(world, "agents-0", "True")
        assert loaded(world)["agents-0"] != in_force(world)
        world.settle_until(lambda: told(world) == in_force(world) == loaded(world)["agents-0"])


def test_running_instances_have_a_moment_before_they_are_told_again() -> None:
    with World() as world:
        world.make(TWO).settle()
        missed(world)
        first = in_force(world)
        since = int(first.split(".")[1])
        while world.server.now.timestamp() < since + revision.PATIENCE:
            world.look()
            assert in_force(world) == first
            world.tick()
        world.look()
        assert in_force(world) == f"{first.split('.')[0]}.{since + revision.PATIENCE}"


def test_at_rest_no_page_is_asked_for() -> None:
    with World() as world:
        world.make(TWO).settle()
        asked = world.exporter.asked
        assert asked > 0
        for _ in range(5):
            later(world, minutes=5).look()
        assert world.exporter.asked == asked
        assert world.again is None


@pytest.mark.parametrize("life", range(30, 90, 3))
def test_an_operator_that_is_killed_on_the_way_is_followed_by_one_that_goes_on(life: int) -> None:
    with World() as world:
        world.make(TWO).settle()
        missed(world)
        later(world, seconds=20).start_anew(life=life)
        for _ in range(3):
            world.look()
            world.tick()
        world.start_anew().settle()
        assert told(world) == in_force(world)
        assert set(loaded(world).values()) == {in_force(world)}


def test_exporters_that_cannot_tell_are_not_waited_for() -> None:
    """As they are after an upgrade of the operator alone, until their pods are replaced."""
    with World() as world:
        world.make(TWO).settle()
        world.exporter.old = True
        world.change(postgres=SLOWER).settle()
        assert told(world) == in_force(world)
        assert world.again is None


def test_exporters_that_do_not_answer_are_asked_for_ten_minutes() -> None:
    with World() as world:
        world.make(TWO).settle()
        before = in_force(world)
        world.exporter.deaf = True
        world.change(postgres=SLOWER).settle()
        assert told(world) == before
        assert world.again == AGAIN
        after = in_force(world)
        later(world, minutes=10).settle()
        assert in_force(world) == after
        assert world.again is None
        world.exporter.deaf = False
        world.settle()
        assert told(world) == after


def test_a_store_of_a_release_before_takes_it_up_without_another_pod() -> None:
    with World() as world:
        world.make(TWO).settle()
        pods = {pod["metadata"]["uid"] for pod in world.server.all("Pod")}
        config = json.loads(world.need("Endpoints", "agents-rw-config")["metadata"]["annotations"]["config"])
        del config["postgresql"]["parameters"][REVISION]
        world.edit("Endpoints", "agents-rw-config", {"metadata": {"annotations": {"config": json.dumps(config)}}})
        status = {"postgres": {"revision": None}}
        world.server.patch("CheckpointStore", NAMESPACE, "agents", {"status": status}, "kubectl", "status")
        world.tick()
        assert set(loaded(world).values()) == {"none"}
        world.settle()
        assert told(world) == in_force(world) != ""
        assert {pod["metadata"]["uid"] for pod in world.server.all("Pod")} == pods


def test_a_hibernated_store_tells_it_when_it_is_awake() -> None:
    with World() as world:
        world.make(TWO).settle()
        before = told(world)
        world.command("hibernate", "true").settle()
        world.change(postgres=SLOWER).settle()
        assert told(world) == before
        assert world.again is None
        world.command("hibernate", None).settle()
        assert told(world) == in_force(world) != before


def test_an_external_store_has_none() -> None:
    with World() as world:
        world.rds().make({"postgres": {"provider": "External", "external": {"secretRef": {"name": "rds"}}}}).settle()
        assert told(world) is None
        assert world.exporter.asked == 0


@pytest.mark.parametrize(
    "config", [None, "", "no JSON", "[]", '{"postgresql":null}', '{"postgresql":{"parameters":{}}}']
)
def test_a_configuration_that_somebody_spoiled_has_no_revision(config: str | None) -> None:
    with World() as world:
        world.make().settle()
        world.edit("Endpoints", "agents-rw-config", {"metadata": {"annotations": {"config": config}}})
        assert in_force(world) == ""
        world.settle()
        assert told(world) == in_force(world) != ""


def with_revision(world: World, mark: str, said: str) -> tuple[str, str]:
    """What is in force and what is wanted, where parameters were told with that mark and the instance says that."""
    env, now = Env("agents", NAMESPACE, "uid", PLATFORM.images, "cluster.local", "system"), world.server.now
    live = f"{revision.wanted({}, env, Observed(), now).split('.')[0]}.{mark}"
    config = json.dumps({"postgresql": {"parameters": {REVISION: live}}})
    record = {"metadata": {"annotations": {"config": config}}}
    seen = world.observed()
    objects = {**seen.objects, Ref("Endpoints", "agents-rw-config"): record}
    return live, revision.wanted({}, env, replace(seen, objects=objects, revisions={"agents-0": said}), now)


@pytest.mark.parametrize("mark", ["", "soon", "9" * 400, "99999999999"])
def test_a_revision_of_anothers_making_is_no_reason_to_wait(mark: str) -> None:
    with World() as world:
        world.make().settle()
        live, wanted = with_revision(world, mark, "another")
        assert wanted == f"{live.split('.')[0]}.{int(world.server.now.timestamp())}"


@pytest.mark.parametrize(("said", "stays"), [("", True), ("none", False)])
def test_an_exporter_that_cannot_tell_has_not_missed_anything(said: str, stays: bool) -> None:
    with World() as world:
        world.make().settle()
        live, wanted = with_revision(world, str(int(world.server.now.timestamp()) - 60), said)
        assert (wanted == live) == stays


def test_what_is_seen_of_a_store_is_told_in_the_pass_that_sees_it() -> None:
    with World() as world:
        world.make(TWO).settle()
        world.change(postgres=SLOWER)
        world.look()
        world.tick()
        seen = world.observed()
        assert set(seen.revisions) == {"agents-0", "agents-1"}
        plan = reconcile.plan(world.store(), seen, PLATFORM, world.server.now)
        assert plan.status["postgres"]["revision"] == in_force(world)
        one = replace(seen, revisions={"agents-0": in_force(world)})
        plan = reconcile.plan(world.store(), one, PLATFORM, world.server.now)
        assert "revision" not in plan.status["postgres"]
