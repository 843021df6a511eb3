"""The retention Job: removes what is beyond a store's policy, in small batches at a measured pace, from any state."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from ..adapters import postgres
from ..adapters.retention import Busy, Look, Place, Tables
from ..adapters.space import Space
from ..features.retention.identifier import lowest
from ..features.retention.pressure import Times, between, felt
from ..features.retention.request import Outcome, Removed, Request
from ..kernel.errors import Refused
from . import journal, life, mounted, progress
from .pace import FAR_BEHIND, LEAST, LOOK, WAIT, WAITS, Pace
from .space import Rewrites

PAGE = 500
"""Threads that are looked at in one round-trip."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def _worked(environ: Mapping[str, str]) -> Outcome:
    request = life.asked(Request, environ)
    target, name = mounted.tables(environ, request), f"checkpointstore retention {request.store}"
    with postgres.connect(target, name) as connection, postgres.connect(target, name) as other:
        tables = Tables(connection, request.owner, request.group, request.dry_run)
        rewrites = Rewrites(Space(other, request.owner, request.dry_run), tables, request)
        outcome = Work(tables, request).do()
        return rewrites.after(outcome) if outcome.complete else outcome


_PROGRAM = life.Program(Outcome, _worked)
run, conclude = _PROGRAM.run, _PROGRAM.conclude


class Late(Exception):
    """The run's time is over."""


class Work:
    """One run over a store's threads."""

    def __init__(self, tables: Tables, request: Request) -> None:
        self.tables, self.request = tables, request
        self.pace = Pace(request.share)
        self.begun = self.asked = self.looked = time.monotonic()
        self.usual: Times = {}
        self.before: Times = {}
        """What applications' statements had taken when the run began, and at the last look."""
        self.removed, self.threads, self.delta, self.waits = Removed(), 0, 0, WAITS
        self.busy: set[str] = set()
        self.why = ""
        """What the last of them said."""
        self.reached: str | None = None
        """The last thread that was done; the first one also while it is not, so that a giant keeps no other waiting."""

    def do(self) -> Outcome:
        life.alone("retention", self.tables.lock)
        complete = True
        if self.tables.prepare():
            try:
                self._all(self.tables.now())
            except Late:
                complete = False
                if self.reached is not None:
                    self.tables.reach(self.reached)
        return Outcome(
            threads=self.threads,
            removed=self.removed,
            delta=self.delta,
            busy=len(self.busy),
            busy_reason=self.why[:300],
            complete=complete,
            dry_run=self.request.dry_run,
            seconds=round(time.monotonic() - self.begun, 1),
        )

    def _all(self, now: datetime) -> None:
        """Every thread once, beginning where the last run ended; between pages, the blobs whose time has come."""
        asked = self.request
        young, fresh = (_before(now, seconds) for seconds in (asked.keep_for, asked.delete_after))
        after = self.tables.cursor()
        self._sweeps()
        while True:
            page = self._paced(self.tables.looks, after, PAGE, asked.keep_last, young, fresh)
            for look in page:
                self.reached = look.thread if self.reached is None else self.reached
                with self._lenient(look.thread):
                    self._thread(look, fresh)
                self.reached = look.thread
                self.threads += 1
            self._sweeps()
            after = page[-1].thread if len(page) == PAGE else None
            self.tables.reach(after)
            if after is None:
                return

    @contextmanager
    def _lenient(self, thread: str) -> Iterator[None]:
        """A thread that cannot be pruned now is left for the next run."""
        try:
            yield
        except (Busy, Refused) as error:
            self.busy.add(thread)
            self.why = error.message
            journal.write("busy", message=error.message)

    def _thread(self, look: Look, fresh: str | None) -> None:
        if look.idle and fresh is not None:
            gone = self._paced(self.tables.expire, look.thread, fresh)
            if gone is not None:
                self.removed += gone
                if self.request.dry_run:
                    self.removed += self._paced(self.tables.loose, look.thread, "", ())
                return
        if look.floor:
            self._history(look)

    def _history(self, look: Look) -> None:
        aged = self.request.keep_for is not None
        cuts = self._paced(self.tables.cuts, look.thread, look.floor, aged)
        root = next((cut for cut in cuts if cut.root), None)
        if root is None or root.delta:
            # Time travel to its checkpoints, which all stay, may need those of its subgraphs.
            self.delta += root is not None
            return
        self.delta += any(cut.delta for cut in cuts)
        cuts = [cut for cut in cuts if not cut.delta]
        for cut in cuts:
            after: Place | None = ("", "")
            while after is not None:
                gone, after = self._paced(self.tables.cut, look.thread, look.floor, cut, after, self.pace.size)
                self.removed += gone
        if self.request.dry_run:
            self.removed += self._paced(self.tables.loose, look.thread, look.floor, cuts)

    def _sweeps(self) -> None:
        """The blobs that have waited long enough, the oldest first."""
        while threads := self.tables.due(self.request.grace, self.busy):
            for thread in threads:
                with self._lenient(thread):
                    self._sweep(thread)

    def _sweep(self, thread: str) -> None:
        more = True
        while more:
            gone, more = self._paced(self.tables.sweep, thread, self.request.grace, self.pace.size)
            self.removed += gone

    def _paced(self, act: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs) -> Answer:
        """Do it, and rest; no act is begun when the run's time is over."""
        if self._left() <= 0:
            raise Late
        start = time.monotonic()
        answer = act(*given, **named)
        took = time.monotonic() - start
        self.pace = self.pace.after(took)
        self._rest(took)
        return answer

    def _rest(self, took: float) -> None:
        """After work of so many seconds, and for as long as standbys are far behind."""
        self._tell()
        time.sleep(max(0.0, min(self.pace.rest(took), self._left())))
        if time.monotonic() - self.looked > LOOK:
            self._feel()
        if time.monotonic() - self.asked > WAIT:
            while self.waits and self._left() > 0 and self.tables.lag() > FAR_BEHIND:
                self.waits -= 1
                time.sleep(WAIT)
            self.asked = time.monotonic()

    def _feel(self) -> None:
        now, most = self.tables.times(), self.request.share
        self.usual = self.usual or now
        meanwhile = between(self.before, now)
        slow = felt(self.usual, meanwhile)
        if slow and self.pace.share <= most / LEAST:
            # It does so little that it cannot be what they feel: that is how they are now.
            self.usual, slow = meanwhile, False
        self.pace, self.before, self.looked = self.pace.minding(slow, most), now, time.monotonic()
        if slow:
            journal.write("felt by applications", share=self.pace.share)

    def _tell(self) -> None:
        progress.tell(threads=self.threads, bytes=self.removed.bytes)

    def _left(self) -> float:
        return self.begun + self.request.limit - time.monotonic()


def _before(now: datetime, seconds: float | None) -> str | None:
    """The lowest id that is not older than so many seconds."""
    return None if seconds is None else lowest(now - timedelta(seconds=seconds))
