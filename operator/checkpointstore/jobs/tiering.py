"""The tiering Job: moves threads that nobody writes to into objects of many threads, from any state."""

import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from ..adapters import postgres
from ..adapters.bucket import Bucket
from ..adapters.cold import DENSE, LEVEL, THREAD, VERSION, Object, Writer, Written
from ..adapters.part import Part, readable, together
from ..adapters.retention import Busy, Look
from ..adapters.tiering import Archive
from ..features.retention.identifier import lowest
from ..features.retention.request import Request as Pruning
from ..features.tiering.compaction import SIZE, Group, groups, lowest_of
from ..features.tiering.request import Cold, Moved, Outcome, Request, Tier
from ..kernel.errors import Unavailable
from . import journal, ledger, life, mounted, progress, retention
from .compaction import rewrite, sound
from .pace import Pace
from .retention import PAGE, Late

OBJECT = SIZE
"""Bytes after which an object is written, once all of its last thread is in it; one of twice as many is cut there."""
FEW = 2
"""Objects that are made of others as small as can be, where no more are due: that takes ten times as long."""
ANEW = 0.25
"""The part of a run's time after which no further one is begun."""
DATA, MANIFEST = ".parquet", ".json"


def _worked(environ: Mapping[str, str]) -> Outcome:
    request = life.asked(Request, environ)
    bucket = Bucket(mounted.account(environ, request))
    with postgres.connect(mounted.tables(environ, request), f"checkpointstore tiering {request.store}") as connection:
        archive = Archive(connection, request.owner, request.group, request.dry_run)
        return Work(archive, bucket, request).tier()


_PROGRAM = life.Program(Outcome, _worked)
run, conclude = _PROGRAM.run, _PROGRAM.conclude


class Work(retention.Work):
    """One run over a store's threads, at the retention Job's pace."""

    tables: Archive

    def __init__(self, archive: Archive, bucket: Bucket, asked: Request) -> None:
        pace = Pruning(
            store=asked.store, provider=asked.provider, grace=asked.wait, limit=asked.limit, share=asked.share
        )
        super().__init__(archive, pace)
        self.asked_for, self.bucket, self.moved = asked, bucket, Moved()
        self.collected, self.rewritten = 0, 0
        """Objects."""
        self.damaged: Unavailable | None = None
        """What was wrong with an object that was to be written anew."""
        self.first = asked.tiers[0]
        self.fresh: dict[Tier, str] = {}
        """By tier, the lowest id that is too young for it."""
        self.writers = {tier: self._new(tier) for tier in asked.tiers}
        """The present objects."""
        self.objects: list[tuple[Object, Tier, tuple[str, ...]]] = []
        """That were read back, each with its threads, and that the catalog does not know yet: nothing is written to it
        while a thread is read."""
        self.parts: list[Part] = []
        """Threads that are in the present objects to their end, or in others before them."""
        self.whole = not asked.keep_latest_hot
        self.stride = 1
        """Threads to take together: as many as fitted last time, and some more."""
        self.going = Pace(asked.share)
        """How many rows go together."""

    def tier(self) -> Outcome:
        life.alone("tiering", self.tables.lock)
        complete, total = True, Cold()
        if self.tables.prepare():
            now = self.tables.now()
            self.fresh = {tier: lowest(now - timedelta(seconds=tier.after)) for tier in self.asked_for.tiers}
            if not self.asked_for.dry_run:
                self._keep_house(now)
                self._compact(now)
            try:
                self._look_at_all()
                self._ship()
                self.tables.reach(None)
            except Late:
                complete = False
                self._ship()
                self.tables.reach(self.reached)
            total = self.tables.total(self.asked_for.prefix + "/")
        if self.damaged:
            raise self.damaged
        return Outcome(
            threads=self.threads,
            moved=self.moved,
            cold=total,
            collected=self.collected,
            rewritten=self.rewritten,
            writes=self.bucket.writes,
            reads=self.bucket.reads,
            busy=len(self.busy),
            busy_reason=self.why[:300],
            complete=complete,
            dry_run=self.asked_for.dry_run,
            seconds=round(time.monotonic() - self.begun, 1),
        )

    def _look_at_all(self) -> None:
        """Every thread once, beginning where the last run ended; before and after, the values whose time has come."""
        after = self.tables.cursor()
        self._sweeps()
        while True:
            page = self._paced(self.tables.looks, after, PAGE, 0 if self.whole else 1, None, self.fresh[self.first])
            more = len(page) == PAGE
            while page:
                done = self._paced(self._take, page[: self.stride])
                self.stride = done if done < min(self.stride, len(page)) else done + done // 8 + 1
                self.reached = after = page[done - 1].thread
                self.threads += done
                page = page[done:]
                if sum(writer.size for writer in self.writers.values()) >= OBJECT or self.objects:
                    self._ship()
            if not more:
                return self._sweeps()

    def _take(self, looks: Sequence[Look]) -> int:
        """Copy what moves of the first of these threads into the present objects, and into others where one is full.

        Of how many threads.
        """
        ready = [look for look in looks if look.idle and (look.floor or self.whole)]
        try:
            following = self._copied(ready) if ready else set()
        except Busy as error:
            if len(looks) > 1:
                # What was copied of them is rubbish: it goes into an object that the catalog knows without them.
                self._ship()
                return self._take(looks[:1])
            self._leave(looks[0].thread, error.message)
            following = set()
        return next((number for number, look in enumerate(looks) if look.thread in following), len(looks))

    def _copied(self, looks: Sequence[Look]) -> set[str]:
        """Copy the first of these threads; which do not fit."""
        with self.tables.snapshot():
            parts = self.tables.parts(looks, self.fresh[self.first], self.first.after)
            first = readable(parts)
            able = [part for part in first if not part.obstacle]
            for part in first:
                if part.obstacle:
                    self._leave(part.thread, part.obstacle)
            if self.asked_for.dry_run:
                self._count(able)
            elif able:
                tiers = {part.thread: lowest_of(part.newest, self.fresh) or self.first for part in able}
                with closing(self.tables.rows(able)) as rows:
                    for thread, mine in groupby(rows, itemgetter(THREAD)):
                        self._add(mine, tiers[thread], able)
                self.parts += able
        return {part.thread for part in parts[len(first) :]}

    def _add(self, rows: Iterable[Sequence[Any]], tier: Tier, parts: Sequence[Part]) -> None:
        """Into the present object of a tier, and into others where it is full."""
        writer = self.writers[tier]
        for row in rows:
            if writer.add(row) and writer.size >= 2 * OBJECT:
                self._write(tier, parts)
                writer = self.writers[tier]

    def _count(self, parts: Sequence[Part]) -> None:
        self.moved += Moved(threads=len(parts), **sum((part.moved for part in parts), Counter()))

    def _ship(self) -> None:
        """Write the objects, and let the threads go that are in them."""
        for tier, writer in list(self.writers.items()):
            if writer.rows:
                self._write(tier)
        for made, tier, threads in self.objects:
            self.tables.register(made, tier, threads)
        self.objects = []
        parts, self.parts = self.parts, []
        while parts:
            begun = time.monotonic()
            some = together(parts, self.going.size)
            parts = parts[len(some) :]
            self._let_go(some)
            took = time.monotonic() - begun
            self.going = self.going.after(took)
            # What is in an object goes, even when the run's time is over: then without a rest.
            self._rest(took)

    def _let_go(self, parts: Sequence[Part]) -> None:
        """All together, or each alone where that cannot be."""
        try:
            self.tables.move(parts, self.fresh[self.first], self.first.after)
            self._count(parts)
        except Busy as error:
            if len(parts) == 1:
                self._leave(parts[0].thread, error.message)
            else:
                for part in parts:
                    self._let_go([part])

    def _write(self, tier: Tier, more: Sequence[Part] = ()) -> None:
        """Put a tier's object into the store, and say of each thread where it is."""
        written = self.writers[tier].close()
        self.writers[tier] = self._new(tier)
        made = self.stored(written, tier)
        self.objects.append((made, tier, tuple(written.spans)))
        for part in (*self.parts, *more):
            if place := written.spans.get(part.thread):
                part.pieces.append((made.key, place))

    def stored(self, written: Written, tier: Tier) -> Object:
        """Put an object into the store, with its manifest, and read it back."""
        key = f"{self.asked_for.prefix}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        sha256 = hashlib.sha256(written.content).hexdigest()
        self.bucket.put(key + DATA, written.content, tier.storage_class)
        if self.bucket.digest(key + DATA) != sha256:
            raise Unavailable(f"object {key}{DATA} reads back otherwise than it was written: nothing was moved")
        made = Object(
            key=key + DATA,
            bytes=len(written.content),
            tail=written.tail,
            tail_sha256=written.tail_sha256,
            rows=written.rows,
        )
        manifest = {
            "schema": VERSION,
            **self._facts(tier),
            "object": made.key,
            "bytes": made.bytes,
            "sha256": sha256,
            "rows": written.rows,
            "threads": len(written.spans),
            "storageClass": tier.storage_class,
        }
        self.bucket.put(key + MANIFEST, json.dumps(manifest).encode())
        journal.write("written", bytes=made.bytes, rows=written.rows, threads=len(written.spans))
        return made

    def _keep_house(self, now: datetime) -> None:
        """Forget who asked for a thread long ago, what is cold of threads that went, and objects of nobody."""
        asked = self.asked_for
        self.tables.calm(self.first.after)
        self.tables.adopt(self.first)
        if asked.delete_after is not None:
            self.tables.forget(lowest(now - timedelta(seconds=asked.delete_after)))
        ledger.tell(self.tables.deletions, self.bucket, asked.prefix)
        while keys := self.tables.unused(asked.grace, asked.prefix + "/"):
            self.bucket.delete([*keys, *(key.removesuffix(DATA) + MANIFEST for key in keys)])
            self.tables.drop(keys)
            self.collected += len(keys)
        if self.tables.list_due(asked.grace):
            self._list(now - timedelta(seconds=asked.grace))
            ledger.forget(self.tables.deletions, self.bucket, asked.prefix, asked.grace)
            self.tables.listed()

    def _compact(self, now: datetime) -> None:
        """One group at least, and no more than leave threads their turn."""
        known = self.tables.objects.known(self.asked_for.prefix + "/")
        due = groups(known, self.fresh, now, timedelta(seconds=self.asked_for.grace))
        level = DENSE if len(due) <= FEW else LEVEL
        for group in due:
            try:
                self._rewrite(group, level)
            except Unavailable as error:
                # Threads move all the same, and what is sound is not kept by what is not.
                self.damaged = error
                found = tuple(key for key in group.keys if sound(key, self.tables.objects, self.bucket))
                if 0 < len(found) < len(group.keys):
                    self._rewrite(replace(group, keys=found), level)
            if self._left() < (1 - ANEW) * self.asked_for.limit:
                return

    def _rewrite(self, group: Group, level: int) -> None:
        """The database has next to nothing to do with it, and needs no rest."""
        writer = self._new(group.tier, level)
        self.rewritten += rewrite(group, self.tables.objects, self.bucket, writer, self.stored)
        self._rest(0)

    def _list(self, old: datetime) -> None:
        """Objects that the catalog does not know: a run was killed before it could tell."""
        prefix = self.asked_for.prefix
        there = self.bucket.keys(prefix + "/")
        found = {key for key, written in there if written <= old and not key.startswith(prefix + ledger.FOLDER)}
        stems = {key.removesuffix(DATA).removesuffix(MANIFEST) for key in found}
        known = {key.removesuffix(DATA) for key in self.tables.known([stem + DATA for stem in stems])}
        if lost := sorted(key for key in found if key.removesuffix(DATA).removesuffix(MANIFEST) not in known):
            self.bucket.delete(lost)
            self.collected += sum(key.endswith(DATA) for key in lost)

    def _tell(self) -> None:
        progress.tell(threads=self.threads, moved=self.moved.threads, bytes=self.moved.bytes)

    def _leave(self, thread: str, why: str) -> None:
        self.busy.add(thread)
        self.why = why
        journal.write("busy", message=why)

    def _new(self, tier: Tier, level: int = LEVEL) -> Writer:
        return Writer(self._facts(tier), level)

    def _facts(self, tier: Tier) -> dict[str, str]:
        return {"store": self.asked_for.store, "tier": tier.name}
