"""What a retention run ends with: room inside the tables goes back to the volume, where that is much and harms none."""

import time
from concurrent.futures import ThreadPoolExecutor, wait

from ..adapters.retention import Tables
from ..adapters.space import Space
from ..features.retention.request import Outcome, Request
from ..features.retention.space import Table, excess, obstacle
from ..kernel.errors import StoreError, Unavailable
from . import journal
from .pace import WAIT

LIMIT = 3600.0
"""Seconds for all rewrites of a run."""


class Rewrites:
    """Those of one run, one table after another."""

    def __init__(self, space: Space, tables: Tables, request: Request) -> None:
        self.space, self.tables, self.request = space, tables, request
        self.since = tables.position()
        self.reusable: int | None = None
        self.returned, self.kept = 0, ""

    def after(self, outcome: Outcome) -> Outcome:
        """What the run came to, once all was removed; whatever is in the way here fails no run."""
        begun = time.monotonic()
        try:
            self._all(begun + LIMIT)
        except StoreError as error:
            self.kept = error.message
        told = {"reusable": self.reusable, "returned": self.returned, "kept": self.kept[:300]}
        return outcome.model_copy(update={**told, "seconds": round(outcome.seconds + time.monotonic() - begun, 1)})

    def _all(self, end: float) -> None:
        if missing := self.space.missing():
            self.kept = missing
            return
        found = self.space.tables()
        if not self.request.dry_run:
            self.space.clean()
        self.reusable = sum(table.free for table in found)
        for table in found:
            if table.worth(self.request.least):
                self._one(table, end)

    def _one(self, table: Table, end: float) -> None:
        ground = self.space.ground(self.tables.written(self.since), self.tables.lag())
        if why := obstacle(table, ground, self.request.spare) or self.space.strange(table.name):
            self.kept = self.kept or why
        elif self.request.dry_run:
            self.returned += table.free
        else:
            before = self.space.size(table.name)
            self._rewrite(table, end)
            assert self.reusable is not None
            self.reusable -= table.free
            self.returned += max(0, before - self.space.size(table.name))

    def _rewrite(self, table: Table, end: float) -> None:
        """Watched meanwhile: it is ended before it is felt where it must not be."""
        why = ""
        journal.write("rewrite", message=table.name)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(self.space.rewrite, table.name, max(1.0, end - time.monotonic()))
            while not wait([done], WAIT).done:
                why = why or excess(self.tables.written(self.since), self.tables.lag(), self.request.spare)
                if why:
                    self.space.cancel()
            if why and done.exception():
                raise Unavailable(f"the rewrite of {table.name} was ended: {why}")
            done.result()
