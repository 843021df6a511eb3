"""While the primary changes, poolers keep their clients waiting; whatever happens then, they let them go."""

import asyncio
from collections.abc import Mapping
from unittest.mock import patch

import pytest

from checkpointstore.kernel.action import Action, Peer, Restart, Switchover
from checkpointstore.kernel.errors import Unavailable
from checkpointstore.runtime import execute as module
from checkpointstore.runtime.execute import execute
from tests.contract.twin import Twin
from tests.contract.world import World

PAIR = {"postgres": {"instances": 2}}
POOLERS = {"app.kubernetes.io/component": "pooler"}


def hand_over(world: World) -> Switchover:
    """The action by which a settled pair's other instance comes to lead."""
    primary = world.status["postgres"]["primary"]
    world.command("switchover", "agents-1" if primary == "agents-0" else "agents-0")
    return next(action for action in world.plan().actions if isinstance(action, Switchover))


def carry_out(world: World, *actions: Action) -> None:
    """What the operator does, within a time in which nothing real takes part."""
    asyncio.run(asyncio.wait_for(execute(Twin(world.server), world.store(), actions), 5))


def events(world: World) -> list[str]:
    """The reasons that were told so far."""
    return [event["reason"] for event in world.server.all("Event")]


def test_clients_wait_from_the_wish_until_the_next_one_leads() -> None:
    with World() as world:
        world.make(PAIR).settle()
        action = hand_over(world)
        waiting: list[int] = []

        async def leads(address: str) -> bool:
            """Asked three times; it leads by the third."""
            waiting.append(len(world.console.paused))
            assert address == world.need("Pod", action.target)["status"]["podIP"]
            return len(waiting) == 3

        async def switchover(at: Peer, leader: str, target: str, secret: object) -> None:
            assert (leader, target) == (action.leader, action.target)
            await asyncio.sleep(60)

        with patch.multiple(world.rest, leads=leads, switchover=switchover):
            carry_out(world, action)
        assert waiting == [2, 2, 2]
        assert not world.console.paused
        assert events(world)[-1] == "Switchover"


def test_a_switchover_that_patroni_refuses_keeps_nothing_else_from_being_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with World() as world:
        world.make(PAIR).settle()
        hand_over(world)
        world.delete("Service", "agents-ro")

        async def refuse(*_: object) -> None:
            raise Unavailable("agents-0 does not hand over to agents-1: no good candidates")

        with patch.object(world.rest, "switchover", refuse):
            carry_out(world, *world.plan().actions)
        assert "no good candidates" in caplog.text
        assert not world.console.paused
        assert world.need("Service", "agents-ro")
        assert "Switchover" not in events(world)


def test_clients_wait_no_longer_than_hold_whatever_patroni_does() -> None:
    with World() as world:
        world.make(PAIR).settle()
        action = hand_over(world)

        async def silence(*_: object) -> bool:
            await asyncio.sleep(0.01)
            return False

        async def never(*_: object) -> None:
            await asyncio.sleep(60)

        with patch.multiple(world.rest, leads=silence, switchover=never), patch.object(module, "HOLD", 0.2):
            carry_out(world, action)
        assert not world.console.paused
        assert "Switchover" not in events(world)


def test_a_lone_primary_restarts_while_its_clients_wait() -> None:
    with World() as world:
        world.make().settle()
        world.change(postgres={"parameters": {"max_connections": "140"}})
        world.settle_until(lambda: any(isinstance(action, Restart) for action in world.plan().actions))
        seen: list[int] = []
        restart = world.rest.restart

        async def watched(at: Peer, secret: Mapping[str, bytes]) -> bool:
            seen.append(len(world.console.paused))
            return await restart(at, secret)

        with patch.object(world.rest, "restart", watched):
            world.look()
        assert seen == [2]
        assert not world.console.paused


def test_what_an_operator_left_waiting_when_it_died_is_let_go_by_the_next() -> None:
    with World() as world:
        world.make().settle()
        poolers = {pod["metadata"]["uid"] for pod in world.server.all("Pod", None, POOLERS)}
        assert len(poolers) == 2
        world.console.paused |= poolers
        world.start_anew().look()
        assert not world.console.paused
