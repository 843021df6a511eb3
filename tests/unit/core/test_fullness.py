"""Volumes that fill: a standby's only warns, a primary's ends the service, and room ends both."""

from dataclasses import replace

from checkpointstore import reconcile
from checkpointstore.kernel.observed import Observed, Volume
from checkpointstore.kernel.values import MIB
from checkpointstore.providers.patroni.fullness import spare
from tests.contract.disk import GIB
from tests.contract.world import NAMESPACE, PLATFORM, World


def test_a_volume_that_fills_is_told_before_and_when_nothing_can_be_written() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}}).settle()
        world.disk.volumes["agents-1"] = Volume(10 * GIB, GIB)
        assert world.look() == 0, "a tenth is enough"
        world.disk.volumes["agents-1"] = Volume(10 * GIB, GIB - 1)
        world.look()
        assert world.states["PostgresAvailable"] == ("True", "VolumeNearlyFull")
        assert world.states["Ready"] == ("True", "Serving")
        assert world.states["Reconciling"][0] == world.states["Stalled"][0] == "False"
        world.settle()
        assert [event["reason"] for event in world.server.all("Event", None)].count("VolumeNearlyFull") == 1
        world.disk.volumes["agents-1"] = Volume(10 * GIB, 0)
        world.look()
        assert world.states["Ready"][0] == "True", "a standby's volume keeps nobody from writing"
        world.disk.volumes = {"agents-0": Volume(10 * GIB, 32 * MIB - 1)}
        world.look()
        assert world.states["Ready"] == world.states["PostgresAvailable"] == ("False", "VolumeFull")
        assert world.states["Stalled"] == ("True", "VolumeFull")
        assert "agents-0" in world.condition("PostgresAvailable")["message"]
        world.disk.volumes = {}
        world.settle()
        assert world.states["Ready"] == ("True", "Serving")
        assert world.states["PostgresAvailable"] == ("True", "AllInstancesReady")


def test_a_full_volume_is_why_nobody_leads() -> None:
    with World() as world:
        world.make().settle()
        world.edit("Endpoints", "agents-rw", {"metadata": {"annotations": {"leader": None}}})
        store, seen = world.store(), replace(world.observed(), volumes={"agents-0": Volume(GIB, 0)})
        told = {item.type: item.reason for item in reconcile.plan(store, seen, PLATFORM, world.server.now).conditions}
        assert told["PostgresAvailable"] == told["Ready"] == "VolumeFull"


def test_what_volumes_can_spare_is_known_where_every_instance_tells() -> None:
    told = {"a-0": Volume(8 * GIB, 3 * GIB), "a-1": Volume(8 * GIB, 5 * GIB)}
    assert spare(Observed(volumes=told), ["a-0", "a-1"]) == GIB
    assert spare(Observed(volumes=told), ["a-1"]) == 3 * GIB
    assert spare(Observed(volumes=told), ["a-0", "a-1", "a-2"]) == 0
    assert spare(Observed(volumes={"a-0": Volume(8 * GIB, GIB)}), ["a-0"]) == 0


def test_an_instance_that_is_not_ready_is_asked_too() -> None:
    with World() as world:
        world.make().settle()
        world.disk.volumes["agents-0"] = Volume(GIB, 0)
        world.server.patch("Pod", NAMESPACE, "agents-0", {"status": {"conditions": []}}, subresource="status")
        assert world.observed().volumes == {"agents-0": Volume(GIB, 0)}
