"""What a plan is looked through for, by the stories that end where it is found."""

from checkpointstore.kernel.action import Apply, Delete
from tests.contract.world import World


def planned(world: World, what: str) -> bool:
    """Whether an action of that name, or an event of that reason, is due."""
    return any(what in (type(item).__name__, getattr(item, "reason", "")) for item in world.plan().actions)


def applied(world: World) -> set[str]:
    return {item.manifest["kind"] for item in world.plan().actions if isinstance(item, Apply)}


def deleted(world: World) -> list[tuple[str, str]]:
    return [(item.ref.kind, item.ref.name) for item in world.plan().actions if isinstance(item, Delete)]
