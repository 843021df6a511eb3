"""Answers that are asked for again only after some seconds, and by one at a time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """At most `limit` answers, each kept for `seconds` from when it was asked for; a failure is not kept."""

    def __init__(self, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._limit, self._clock = seconds, limit, clock
        self._held: OrderedDict[Hashable, tuple[float, asyncio.Task[V]]] = OrderedDict()

    def begin(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, V]]) -> asyncio.Task[V]:
        """The answer, there or on its way."""
        found = self._held.get(key)
        if found and found[0] > self._clock() and not _failed(found[1]):
            return found[1]
        task = asyncio.create_task(ask())
        # A failure that nobody waited for is no news: whoever asks next sees his own.
        task.add_done_callback(_failed)
        self._held[key] = (self._clock() + self._seconds, task)
        self._held.move_to_end(key)
        while len(self._held) > self._limit:
            self._held.popitem(last=False)
        return task

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer; one who goes away does not take it from the others who wait."""
        return await asyncio.shield(self.begin(key, ask))


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
