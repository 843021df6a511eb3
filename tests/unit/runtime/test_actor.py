"""The only loop: it wakes for what matters, survives what goes wrong, and forgets what is gone."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from checkpointstore.kernel.errors import Unavailable
from checkpointstore.runtime import actor, limit
from checkpointstore.runtime.actor import Key
from tests.contract import quick
from tests.contract.world import NAMESPACE, World

from .served import WATCHED, Served, served

KEY = Key(NAMESPACE, "agents")


def test_secrets_and_endpoints_are_not_watched() -> None:
    """The right to watch Secrets is the right to read all of them; what follows must work without."""
    assert "Pod" in WATCHED
    assert not WATCHED & {"Secret", "Endpoints"}


def test_a_store_is_ready_in_seconds() -> None:
    async def story(served: Served) -> None:
        served.world.make({"postgres": {"instances": 3}})
        assert await served.ready() < 20

    served(story)


def test_nothing_is_asked_at_rest_between_resyncs() -> None:
    async def story(served: Served) -> None:
        served.world.make()
        await served.ready()
        await asyncio.sleep(5)
        before, served.kube.writes = served.kube.sent, type(served.kube.writes)()
        await asyncio.sleep(0.7 * actor.RESYNC)
        assert served.kube.sent == before
        await asyncio.sleep(actor.RESYNC)
        assert served.kube.sent > before
        assert not served.kube.writes

    served(story)


@pytest.mark.parametrize(
    ("command", "value"),
    [("rotate-credentials", "1"), ("restart", "1"), ("switchover", "agents-1"), ("rotate-authority", "1")],
)
def test_a_command_is_carried_out_without_waiting_for_a_resync(command: str, value: str) -> None:
    async def story(served: Served) -> None:
        world = served.world.make({"postgres": {"instances": 2}})
        await served.ready()
        await asyncio.sleep(5)
        before = world.secret("agents-app")
        started = {world.need("Pod", f"agents-{number}")["metadata"]["uid"] for number in (0, 1)}
        world.command(command, value)
        done: dict[str, Callable[[], bool]] = {
            "rotate-credentials": lambda: world.secret("agents-app")["username"] != before["username"],
            "restart": lambda: all(
                (pod := world.server.get("Pod", NAMESPACE, f"agents-{number}")) is not None
                and pod["metadata"]["uid"] not in started
                for number in (0, 1)
            ),
            "switchover": lambda: world.status["postgres"]["primary"] == "agents-1",
            "rotate-authority": lambda: (
                world.secret("agents-app")["ca.crt"].count("\n") == 1
                and world.secret("agents-app")["ca.crt"] != before["ca.crt"]
            ),
        }
        # An authority dwells two minutes in each stage.
        await served.until(done[command], 300 if command == "rotate-authority" else 30)
        await served.ready()

    served(story)


def test_a_dead_pod_is_noticed_at_once() -> None:
    async def story(served: Served) -> None:
        world = served.world.make()
        await served.ready()
        await asyncio.sleep(5)
        world.delete("Pod", "agents-0")
        assert await served.until(lambda: world.condition("Ready")["status"] == "False", 5) < 1
        await served.ready()

    served(story)


def test_a_failed_pass_is_tried_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an error that nobody foresaw; and the first good pass forgets the bad ones."""
    tries: list[float] = []
    errors = [Unavailable("no"), KeyError("surprise"), Unavailable("no"), Unavailable("no")]

    async def story(served: Served) -> None:
        passed = served.actors._pass

        async def failing(key: Key, suspects: Any) -> Any:
            tries.append(asyncio.get_running_loop().time())
            if errors:
                raise errors.pop(0)
            return await passed(key, suspects)

        monkeypatch.setattr(served.actors, "_pass", failing)
        served.world.make()
        await served.ready()

    served(story)
    pauses = [round(after - before, 1) for before, after in pairwise(tries[:5])]
    assert pauses == sorted(pauses)
    assert 0.4 <= pauses[0] <= 0.8
    assert 3.2 <= pauses[3] <= 5.0


def test_a_deleted_store_is_forgotten() -> None:
    async def story(served: Served) -> None:
        served.world.make()
        await served.ready()
        served.world.delete("CheckpointStore", "agents")
        await served.until(lambda: served.actors.idle, 5)
        await asyncio.sleep(5)
        assert {kind for kind, _ in served.world.children()} == {"PersistentVolumeClaim"}

    served(story)


def test_a_store_that_is_made_again_while_the_old_one_is_missed_is_served() -> None:
    """The new store's event comes while the actor is being told that the old one is gone."""

    async def story(served: Served) -> None:
        world = served.world.make({"reclaimPolicy": {"volumes": "Delete"}})
        await served.ready()
        await asyncio.sleep(5)
        get, missed = served.kube.get, asyncio.Event()

        async def slow(kind: str, namespace: str | None, name: str) -> Any:
            answer = await get(kind, namespace, name)
            if kind == "CheckpointStore" and answer is None:
                missed.set()
                await asyncio.sleep(1.0)
            return answer

        served.kube.get = slow  # type: ignore[method-assign]
        world.delete("CheckpointStore", "agents")
        await missed.wait()
        world.make()
        await served.ready()

    served(story)


def test_only_the_leader_works() -> None:
    async def story(served: Served) -> None:
        await served.actors.stop()
        served.world.make()
        await asyncio.sleep(10)
        assert served.kube.sent == 0
        served.actors.start()
        await served.ready()
        await served.actors.stop()
        before = served.kube.sent
        served.world.delete("Pod", "agents-0")
        await asyncio.sleep(20)
        assert served.kube.sent == before

    served(story)


def test_a_spec_that_cannot_be_read_is_told_and_taken_up_when_mended() -> None:
    async def story(served: Served) -> None:
        world = served.world.make({"postgres": {"parameters": {"FSYNC": "off"}}})
        await served.until(lambda: bool(world.status), 5)
        assert world.condition("Ready")["reason"] == "InvalidSpec"
        assert world.condition("Stalled")["status"] == "True"
        assert world.condition("Ready")["message"] == "spec.postgres.parameters: the operator owns FSYNC; remove it"
        assert world.children() == []
        world.change(postgres={"parameters": None})
        await served.ready()

    served(story)


def test_stores_take_a_release_up_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits is nudged as soon as the one before is through, and a store that goes gives its turn away."""

    async def main() -> None:
        with World() as world:
            served = Served(world)
            one, two, three = (Key(NAMESPACE, name) for name in ("one", "two", "three"))
            woken: list[Key] = []
            monkeypatch.setattr(served.actors, "nudge", woken.append)
            for key in (one, two, three):
                served.actors._take_turns(key, release=True)
            assert served.actors._turn == one
            served.actors._take_turns(two, release=False)
            assert woken == []
            served.actors._take_turns(one, release=False)
            assert woken == [three]
            assert served.actors._turn is None
            served.actors._take_turns(three, release=True)
            assert served.actors._turn == three
            await served.stop()

    quick.run(main())


def test_a_store_keeps_its_turn_until_its_last_new_instance_serves() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}}).settle()
        world._actors._turn = KEY
        world.delete("Pod", "agents-1").look()
        assert not world.plan().release
        assert world._actors._turn == KEY
        world.settle()
        assert world._actors._turn is None


@pytest.mark.parametrize("seconds", [0.0, 0.3, 2.0])
def test_who_fights_over_a_field_is_told_and_the_store_serves_on(seconds: float) -> None:
    """Somebody who undoes what is applied, sooner or later: told, written to less, and forgotten when it ends."""

    async def story(served: Served) -> None:
        world = served.world.make()
        await served.ready()
        loop = asyncio.get_running_loop()
        undone = "PodDisruptionBudget", "agents-pooler", {"spec": {"maxUnavailable": 0}}

        def undo(item: dict[str, Any]) -> None:
            if item["kind"] == "PodDisruptionBudget" and item["spec"]["maxUnavailable"] == 1:
                loop.call_later(seconds, world.edit, *undone)

        world.server.watchers.append(undo)
        world.edit(*undone)
        await served.until(lambda: world.condition("Reconciling")["reason"] == "FieldContested", 120)
        assert world.condition("Reconciling")["message"].endswith("changes it back: PodDisruptionBudget/agents-pooler")
        assert world.condition("Ready")["status"] == "True"
        before = served.kube.writes["PATCH PodDisruptionBudget"]
        await asyncio.sleep(3 * limit.SECONDS)
        assert limit.MOST < served.kube.writes["PATCH PodDisruptionBudget"] - before < 5 * limit.MOST
        world.server.watchers.remove(undo)
        await served.until(lambda: world.condition("Reconciling")["status"] == "False", limit.SECONDS + 60)
        assert world.need("PodDisruptionBudget", "agents-pooler")["spec"]["maxUnavailable"] == 1

    served(story)
