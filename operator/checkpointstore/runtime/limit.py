"""How often one object is applied: what somebody else changes back each time must not be written for ever."""

from collections import defaultdict, deque
from collections.abc import Iterable

from ..kernel.action import Action, Apply, Ref
from ..kernel.manifest import ref

MOST, SECONDS = 20, 300.0


class Limit:
    """One store's objects, and when each was applied of late."""

    def __init__(self) -> None:
        self._times: defaultdict[Ref, deque[float]] = defaultdict(deque)

    def reached(self, actions: Iterable[Action], now: float) -> frozenset[Ref]:
        """Which of the existing objects that are to be applied have been so MOST times in SECONDS; counts the others.

        `now` is monotonic, in seconds.
        """
        found = set()
        for action in actions:
            if isinstance(action, Apply) and not action.new:
                times = self._times[target := ref(action.manifest)]
                while times and times[0] <= now - SECONDS:
                    times.popleft()
                if len(times) < MOST:
                    times.append(now)
                else:
                    found.add(target)
        return frozenset(found)
