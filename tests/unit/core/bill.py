"""What the tests of the bill have in common."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from checkpointstore.features.monitoring.cost import Holdings
from checkpointstore.features.monitoring.price import NAMES
from checkpointstore.kernel.env import Env, Images
from tests.contract.world import World

ENV = Env("agents", "shop", "uid", Images("postgres", "pgbouncer", "operator"), "cluster.local", "system")
ONE = Decimal(1)
ONES = Holdings(cpu=ONE, memory=ONE, volumes=ONE, used=ONE, backups=ONE, archived=ONE)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FREE = dict.fromkeys(NAMES, "0")


def told(world: World) -> dict[str, Any]:
    return {name: value for name, value in world.plan().status["cost"].items() if value is not None}


def made(spec: dict[str, Any], **prices: str) -> dict[str, Any]:
    return {**spec, "monitoring": {"cost": {"prices": {**FREE, **prices}}}}
