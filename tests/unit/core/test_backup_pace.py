"""How often a store with backups is looked at: nobody tells of a Secret, and a schedule may be days away."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from checkpointstore.runtime import actor
from tests.contract import quick
from tests.contract.world import NAMESPACE, World
from tests.golden.backup import BACKUP
from tests.unit.backup.story import phases
from tests.unit.runtime.served import Served

RARE = {**BACKUP, "schedules": {"full": "0 3 1 1 *"}}


def served(story: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with World() as world:
            served = Served(world)
            world.bucket().make({"backup": RARE})
            await served.ready()
            await served.until(lambda: "BackupVerified" in str(world.server.all("Event")), 60)
            await asyncio.sleep(5)
            await story(served)
            await served.stop()

    quick.run(main())


def test_a_schedule_far_away_does_not_put_the_next_look_off() -> None:
    """Else credentials that were changed are taken up days later, and the operator is taken for dead."""

    async def story(served: Served) -> None:
        before = served.kube.sent
        await asyncio.sleep(1.3 * actor.RESYNC)
        assert served.kube.sent > before
        assert not served.kube.writes["PATCH CheckpointStore"] > 20

    served(story)


def test_credentials_that_were_changed_are_taken_up_within_a_resync() -> None:
    async def story(served: Served) -> None:
        served.world.edit("Secret", "s3", {"data": {"AWS_SECRET_ACCESS_KEY": "YW5vdGhlcg=="}})
        await served.until(
            lambda: "repo1-s3-key-secret=another\n" in served.world.secret("agents-repository")["repository.conf"],
            1.3 * actor.RESYNC,
        )

    served(story)


def test_what_is_asked_for_is_begun_at_once_and_what_is_due_in_its_minute() -> None:
    async def story(served: Served) -> None:
        served.world.ask("by-hand")
        served.actors.nudge(actor.Key(NAMESPACE, "agents"))
        assert await served.until(lambda: phases(served.world)["by-hand"] == "Completed", 30) < 20
        served.world.change(backup={"schedules": {"full": "0 1 * * *"}})
        at = asyncio.get_running_loop().time()
        await asyncio.sleep(3599 - at)
        assert "agents-full-202601010100" not in phases(served.world)
        await served.until(lambda: phases(served.world).get("agents-full-202601010100") == "Completed", 60)

    served(story)
