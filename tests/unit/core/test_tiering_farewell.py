"""`reclaimPolicy.coldData: Delete`: cold data goes with its store, and keeps it no longer than ten minutes."""

from datetime import timedelta
from typing import Any

import pytest

from checkpointstore.kernel.contribution import PATIENCE
from checkpointstore.kernel.naming import FINALIZER
from tests.contract.world import World
from tests.golden.backup import BACKUP, TIERED
from tests.unit.backup.story import (
    SOUND,
    deleted,
    events,
    finalizers,
    jobs,
    known,
    later,
    level,
    names,
    pass_by,
    request,
    stopped,
)

DELETE: dict[str, Any] = {**TIERED, "reclaimPolicy": {"coldData": "Delete"}}
BOTH: dict[str, Any] = {**TIERED, "backup": BACKUP, "reclaimPolicy": {"coldData": "Delete", "backups": "Delete"}}


def tiered(world: World) -> World:
    return known(world, "cold", lambda first: first.bucket().make(DELETE).settle())


def test_the_finalizer_is_there_exactly_while_cold_data_is_to_go() -> None:
    with World() as world:
        tiered(world)
        assert finalizers(world) == [FINALIZER]
        assert level(world) == SOUND
        world.change(reclaimPolicy={"coldData": "Retain"}).settle()
        assert finalizers(world) == []
        world.change(reclaimPolicy={"coldData": "Delete"}).settle()
        assert finalizers(world) == [FINALIZER]
        world.change(tiering=None).settle()
        assert finalizers(world) == []


def test_the_finalizer_is_there_after_the_first_look() -> None:
    """That look writes the store's first status too."""
    with World() as world:
        world.bucket().make(DELETE).look()
        assert world.status["phase"] == "Progressing"
        assert finalizers(world) == [FINALIZER]


def test_cold_data_stays_unless_somebody_says_otherwise() -> None:
    with World() as world:
        world.bucket().make(TIERED).settle()
        assert finalizers(world) == []
        assert deleted(world).look() == 0


def test_it_goes_when_nobody_moves_threads_any_more() -> None:
    with World() as world:
        stopped(later(tiered(world), hours=1)).settle_until(lambda: jobs(world, "tiering") != [])
        uid = world.body["metadata"]["uid"]
        deleted(world).look()
        assert (jobs(world, "tiering"), jobs(world, "erasure")) == ([], [])
        world.settle_until(lambda: jobs(world, "erasure") != [])
        (job,) = jobs(world, "erasure")
        assert request(job) == {
            "bucket": "backups",
            "endpoint": "https://s3.example:9000",
            "pathStyle": True,
            "authority": "/etc/checkpointstore/bucket-ca/ca.crt",
            "folder": f"agents/cold-data/shop/agents/{uid}",
        }
        mounted = {item["name"] for item in job["spec"]["template"]["spec"]["volumes"]}
        assert mounted == {"bucket", "bucket-ca", "tmp"}, "it has no business with the database"
        world.settle_until(lambda: finalizers(world) == [])
        assert events(world).count("ColdDataDeleted") == 1
        assert world.look() == 0


def test_what_cannot_be_deleted_is_left_after_ten_minutes() -> None:
    with World() as world:
        tiered(world)
        world.repository.failures["erasure"] = (1, {"reason": "Unavailable", "message": "no answer"})
        since = world.server.now
        deleted(world)
        pass_by(world, 10)
        assert names(world, "erasure") == ["agents-tiering-erase"]
        assert world.again == timedelta(seconds=5)
        world.server.now = since + PATIENCE
        world.look()
        assert finalizers(world) == [FINALIZER]
        later(world, seconds=1).look()
        assert finalizers(world) == []
        assert events(world).count("ColdDataLeft") == 1


@pytest.mark.parametrize(
    ("late", "told"),
    [("erase", ["BackupsLeft", "ColdDataDeleted"]), ("erasure", ["BackupsDeleted", "ColdDataLeft"])],
)
def test_backups_and_cold_data_wait_for_each_other_and_each_is_told_once(late: str, told: list[str]) -> None:
    with World() as world:
        known(world, "both", lambda first: first.bucket().make(BOTH).settle())
        world.repository.failures[late] = (1, {"reason": "Unavailable", "message": "no answer"})
        since = world.server.now
        deleted(world)
        pass_by(world, 20)
        assert finalizers(world) == [FINALIZER]
        assert not {"BackupsDeleted", "ColdDataDeleted"} & set(events(world))
        world.server.now = since + PATIENCE + timedelta(seconds=1)
        world.look()
        assert finalizers(world) == []
        assert sorted(event for event in events(world) if event.startswith(("Backups", "ColdData"))) == told
