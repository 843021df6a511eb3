"""A checking writer that runs through several changes, and what each of them cost it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from demo.agentjob import Agent, Line
from demo.kubectl import wait_for
from tests.e2e.figure import Figures

CONNECTIONS = 4
ENVIRONMENT = {"CLIENTS": str(CONNECTIONS), "RATE": str(200 / CONNECTIONS), "SECONDS": "36000"}


@dataclass(frozen=True)
class Mark:
    """How much a writer had told at a moment."""

    told: int
    moment: float


class Writer:
    """200 writes a second over psycopg's pool with check_connection, as many clients as connections."""

    def __init__(self, agent: Agent, figures: Figures) -> None:
        self.agent, self._figures = agent, figures
        self.ended = False

    @classmethod
    def start(
        cls, start_agent: Callable[..., Agent], figures: Figures, store: str, run: str, **settings: Any
    ) -> "Writer":
        """Start it and wait for its first second."""
        environment = {**ENVIRONMENT, "RUN": run, **settings.pop("environment", {})}
        writer = cls(start_agent("writer.py", store, environment, **settings), figures)
        writer.next_second()
        return writer

    def told(self) -> list[Line]:
        """What it said each second so far."""
        return [line for line in self.agent.lines if line["event"] == "progress"]

    def next_second(self, seconds: int = 2, timeout: float = 90) -> None:
        """Wait until it has told of whole seconds that begin now, and in the last of them every client wrote."""
        start = len(self.told())

        def told() -> bool:
            lines = self.told()
            return len(lines) >= start + seconds and wrote(lines)

        wait_for("the writer to go on", told, timeout, every=0.1, seen=self.agent.tail)

    @contextmanager
    def through(self, what: str, failed: int = CONNECTIONS) -> Iterator[None]:
        """Note what a change cost: its time, the longest gap, and failed calls, of which so many may be."""
        since = self.mark()
        yield
        self.note(what, since, failed)

    def mark(self) -> "Mark":
        """The present moment, for `note`."""
        return Mark(len(self.told()), time.monotonic())

    def note(self, what: str, since: "Mark", failed: int = CONNECTIONS) -> None:
        """Note what has been lost of time and calls since then; see `through`."""
        took = time.monotonic() - since.moment
        self.next_second()
        lines = self.told()
        calls = sum(lines[-1]["failed"]) - sum(lines[since.told - 1]["failed"])
        self._figures.note(f"{what}_took", took, "s")
        self._figures.note(f"{what}_longest_gap", max(line["gap"] for line in lines[since.told :]), "s", "<=3")
        self._figures.note(f"{what}_failed_calls", calls, f"of {CONNECTIONS} connections", f"<={failed}")
        assert calls <= failed, self.agent.tail()

    def stop(self) -> Line:
        """End it; gives its result, in which nothing may be lost."""
        self.ended = True
        result = self.agent.stop()
        assert result["lost"] == 0, self.agent.tail()
        return result


def wrote(lines: list[Line]) -> bool:
    """Whether every client was acknowledged something between the last two lines."""
    return len(lines) > 1 and all(now > then for then, now in zip(lines[-2]["each"], lines[-1]["each"], strict=True))
