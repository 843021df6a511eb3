"""Volumes that grow by themselves: in time, one after another, never beyond the limit, and told where they cannot."""

from collections.abc import Iterator
from typing import Any

import pytest

from checkpointstore.kernel.errors import Refused
from checkpointstore.kernel.observed import Volume
from tests.contract.disk import GIB
from tests.contract.world import NAMESPACE, World

SPEC = {"postgres": {"instances": 2, "storage": {"size": "10Gi", "autogrow": {"limit": "20Gi"}}}}
CLAIMS = ("data-agents-0", "data-agents-1")


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        made.expand().make(SPEC).settle()
        yield made


def sizes(world: World) -> list[str]:
    """What each claim, and the StatefulSet for the next one, asks for."""
    claims = [world.server.get("PersistentVolumeClaim", NAMESPACE, name) for name in CLAIMS]
    instances = world.server.get("StatefulSet", NAMESPACE, "agents")
    assert instances
    return [
        item["spec"]["resources"]["requests"]["storage"]
        for item in (*claims, instances["spec"]["volumeClaimTemplates"][0])
        if item
    ]


def filled(world: World, size: int, free: float) -> None:
    """Both volumes have `size` GiB, the standby's with `free` GiB left."""
    world.disk.volumes = {
        "agents-0": Volume(size * GIB, size * GIB),
        "agents-1": Volume(size * GIB, int(free * GIB)),
    }


def test_all_grow_by_half_when_less_than_a_quarter_of_one_is_free(world: World) -> None:
    filled(world, 10, 2.5)
    assert world.look() == 0, "a quarter is enough"
    filled(world, 10, 2.4)
    world.settle()
    assert sizes(world) == ["15Gi"] * 3
    assert world.states["Ready"] == ("True", "Serving")
    told = [event for event in world.server.all("Event", None) if event["reason"] == "VolumesGrow"]
    assert [event["message"] for event in told] == ["Volumes grow from 10Gi to 15Gi"]
    assert world.store().status["postgres"]["volumeSize"] == "15Gi"
    assert [name for kind, name in world.removed if kind == "Pod"] == [], "nothing is restarted for it"


def test_the_next_growth_waits_for_the_last_one(world: World) -> None:
    world.server.resizes = False
    filled(world, 10, 1)
    world.settle()
    assert sizes(world) == ["15Gi"] * 3
    filled(world, 10, 0.9)
    world.settle()
    assert sizes(world) == ["15Gi"] * 3, "the claims have not got what they asked for"
    world.server.resizes = True
    world.settle()
    assert sizes(world) == ["15Gi"] * 3, "the file system is as small as before"
    filled(world, 15, 2)
    world.settle()
    assert sizes(world) == ["20Gi"] * 3, "by half would be beyond the limit"
    filled(world, 20, 1)
    world.settle()
    assert sizes(world) == ["20Gi"] * 3
    assert "beyond autogrow.limit" in world.condition("PostgresAvailable")["message"]


def test_a_growth_that_was_cut_off_is_carried_through(world: World) -> None:
    """Killed after the first claim; the cause has gone meanwhile."""
    world.edit("PersistentVolumeClaim", CLAIMS[0], {"spec": {"resources": {"requests": {"storage": "15Gi"}}}})
    world.settle()
    assert sizes(world) == ["15Gi"] * 3


def test_a_statefulset_that_is_lost_is_made_with_the_size_that_volumes_have(world: World) -> None:
    filled(world, 10, 1)
    world.settle()
    filled(world, 15, 9)
    world.delete("StatefulSet", "agents").settle()
    assert sizes(world) == ["15Gi"] * 3


def test_it_never_follows_others_beyond_the_limit(world: World) -> None:
    """A claim that somebody has made larger by hand."""
    world.edit("PersistentVolumeClaim", CLAIMS[0], {"spec": {"resources": {"requests": {"storage": "50Gi"}}}})
    world.settle()
    assert sizes(world)[1:] == ["20Gi"] * 2


def test_what_has_grown_is_so_without_it_too(world: World) -> None:
    filled(world, 10, 1)
    world.settle()
    filled(world, 15, 9)
    world.change(postgres={"storage": {"autogrow": None}}).settle()
    world.delete("StatefulSet", "agents").settle()
    assert sizes(world) == ["15Gi"] * 3, "the next instance holds what is there"


def test_a_growth_that_is_refused_is_told_and_nothing_is_said_to_grow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = world.server.patch

    def refusing(kind: str, namespace: str, name: str, change: Any, *rest: Any, **more: Any) -> Any:
        if kind == "PersistentVolumeClaim" and "resources" in change.get("spec", {}):
            raise Refused("Forbidden", "only dynamically provisioned pvc can be resized")
        return patch(kind, namespace, name, change, *rest, **more)

    monkeypatch.setattr(world.server, "patch", refusing)
    filled(world, 10, 1)
    world.look()
    assert world.states["Stalled"] == ("True", "Forbidden")
    assert world.states["Ready"] == ("True", "Serving")
    assert [event for event in world.server.all("Event", None) if event["reason"] == "VolumesGrow"] == []


def test_what_the_spec_asks_for_counts_as_before(world: World) -> None:
    world.change(postgres={"storage": {"size": "18Gi"}}).settle()
    assert sizes(world) == ["18Gi"] * 3
    filled(world, 18, 1)
    world.settle()
    assert sizes(world) == ["20Gi"] * 3
    world.change(postgres={"storage": {"autogrow": None}}).settle()
    assert sizes(world) == ["20Gi"] * 3, "nothing shrinks"


def test_where_the_storage_class_does_not_allow_it_a_person_is_told() -> None:
    with World() as world:
        world.make(SPEC).settle()
        filled(world, 10, 0.9)
        world.settle()
        assert sizes(world) == ["10Gi"] * 3
        assert world.states["PostgresAvailable"] == ("True", "VolumeNearlyFull")
        assert world.states["Stalled"][0] == "False"
        assert "does not allow expansion" in world.condition("PostgresAvailable")["message"]


def test_without_it_nothing_grows() -> None:
    with World() as world:
        world.expand().make({"postgres": {"instances": 2}}).settle()
        filled(world, 10, 1)
        world.settle()
        assert sizes(world) == ["10Gi"] * 3
