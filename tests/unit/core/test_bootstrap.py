"""Who may make a database: an instance without data, where no other of the store has any."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.contract.world import World
from tests.golden.backup import RECOVERY


def fresh(world: World) -> None:
    world.make({"postgres": {"instances": 2}})


def adopts(world: World) -> None:
    world.make().settle()
    world.delete("CheckpointStore", "agents").tick(5)
    world.make({"postgres": {"instances": 2}, "bootstrap": {"adopt": True}})


def adopts_nothing(world: World) -> None:
    world.make({"postgres": {"instances": 2}, "bootstrap": {"adopt": True}})


def recovers(world: World) -> None:
    world.bucket().make({"postgres": {"instances": 2}, "bootstrap": {"recovery": RECOVERY}})


@pytest.mark.parametrize(
    ("begins", "bootstraps"), [(fresh, True), (adopts_nothing, True), (adopts, False), (recovers, False)]
)
def test_where_there_is_data_nobody_founds_another_database(begins: Callable[[World], Any], bootstraps: bool) -> None:
    """Patroni without a section `bootstrap` waits for a leader; with one, the first that looks makes a database."""
    with World() as world:
        begins(world)
        for _ in range(2):
            world.settle()
            settings = yaml.safe_load(world.need("ConfigMap", "agents-postgres")["data"]["patroni.yml"])
            assert ("bootstrap" in settings) is bootstraps
            world.tick(60)
