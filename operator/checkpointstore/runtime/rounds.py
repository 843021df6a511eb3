"""Looks at everything that is watched, again and again."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


async def rounds(orders: Mapping[str, T], look: Callable[[str, T], Coroutine[Any, Any, None]], period: float) -> None:
    """A look at each order every `period` seconds, for ever; one that takes longer keeps no other waiting."""
    looks: dict[str, asyncio.Task[None]] = {}
    while True:
        looks = {who: task for who, task in looks.items() if not task.done()}
        for who, order in orders.items():
            if who not in looks:
                looks[who] = asyncio.create_task(look(who, order))
        await asyncio.sleep(period)
