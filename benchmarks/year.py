"""`python -m benchmarks.year [THREADS]`: a year of a busy agent with a cold tier: hot size, bill, what comes back."""

import json
import random
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain, count, zip_longest
from pathlib import Path
from typing import Any

from benchmarks.report import Report
from benchmarks.sample import one
from checkpointstore.features.monitoring.price import LISTS, Cloud
from checkpointstore.features.retention.identifier import lowest
from tests.integration import graphs, objectstore
from tests.integration import server as servers
from tests.integration.job import Job
from tests.integration.tiering import WHOLE, Store

THREADS = 20_000
MONTHS, WEEKS, WEEK = 12, 52, timedelta(days=365) / 52
AFTER = timedelta(days=7)
INSTANCES = 2
RETURN = 0.01 * MONTHS / WEEKS
"""The share of the cold threads that is asked for in a week: a hundredth a month."""
INFREQUENT = 0.0125, 0.01
"""S3 Standard-IA, us-east-1, 2025-01: USD a GiB and month, and a thousand writes."""
AT_ONCE = 500
"""Conversations that go on side by side."""
ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-6[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TEXT = re.compile(rb"(<[0-9]{4}>_*)")
"""Where a template has a text: its number, and as many bytes as it is long."""
COLUMNS = {
    "checkpoints": "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
    "checkpoint_blobs": "thread_id, checkpoint_ns, channel, version, type, blob",
    "checkpoint_writes": "thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path",
}
JSON = {"checkpoint", "metadata"}
# Turns and their share; most conversations are short, some are very long.
TURNS = {1: 0.3, 2: 0.2, 3: 0.15, 5: 0.15, 8: 0.1, 13: 0.06, 25: 0.03, 60: 0.01}
KINDS: Mapping[str, tuple[Callable[..., Any], float]] = {
    "chat": (graphs.chat, 0.8),
    "subgraphs": (graphs.remembering, 0.08),
    "waits": (graphs.asking, 0.05),
    "delta": (graphs.delta, 0.04),
    "fork": (graphs.chat, 0.03),
}
Rows = Mapping[str, Sequence[tuple[Any, ...]]]
"""By table; a template has its values in pieces, of which every other is where a text belongs."""


@dataclass(frozen=True)
class Thread:
    """One conversation: what it is made of, and when it ended."""

    number: int
    template: str
    ended: datetime

    @property
    def name(self) -> str:
        return f"thread-{self.number}"


@cache
def library() -> bytes:
    """Code and documentation, as agents read and write them: Python's own library, what is ASCII of it."""
    files = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    texts = [file.read_bytes() for file in files if "site-packages" not in file.parts and "test" not in file.parts]
    return b"\n".join(text for text in texts if text.isascii())


def templates(store: Store) -> dict[str, Rows]:
    """Threads that LangGraph's own graphs have written, by kind and length."""
    chance, number = random.Random(1), count()
    made: dict[str, Rows] = {}

    def text(size: int) -> str:
        return f"<{next(number):04}>".ljust(size, "_")

    with store.saver() as saver:
        for kind, (graph, _) in KINDS.items():
            agent = graph(saver)
            for turns in TURNS:
                name = f"{kind}-{turns}"
                for turn in range(turns):
                    said = text(int(chance.lognormvariate(6.5, 1)))
                    told = {"document": {"text": text(20_000)}} if turn == 0 and turns > 8 else {}
                    agent.invoke({"said": [said], **told}, graphs.config(name))
                    if kind == "waits":
                        break
                if kind == "fork":
                    middle = list(agent.get_state_history(graphs.config(name)))[turns]
                    agent.invoke({"said": ["another way"]}, middle.config)
                made[name] = {
                    table: [
                        tuple(TEXT.split(value) if isinstance(value, bytes) else value for value in row)
                        for row in found
                    ]
                    for table, found in _rows(store, name).items()
                }
    _empty(store)
    return made


def _rows(store: Store, name: str) -> Rows:
    with store.server.admin("app") as connection:
        return {
            table: [
                tuple(json.dumps(value, sort_keys=True) if key in JSON else value for key, value in row.items())
                for row in connection.execute(
                    f"SELECT {columns} FROM {table} WHERE thread_id = %s ORDER BY 1, 2, 3, 4, 5", [name]
                ).fetchall()
            ]
            for table, columns in COLUMNS.items()
        }


def _empty(store: Store) -> None:
    with store.server.admin("app") as connection:
        connection.execute(f"TRUNCATE {', '.join(COLUMNS)}")


def rows(thread: Thread, made: Mapping[str, Rows]) -> Rows:
    """A thread's rows: a template's, at another time and with other texts, so that no two threads are alike."""
    ids = sorted({found for item in made[thread.template]["checkpoints"] for found in ID.findall(item[2])})
    shift = _ticks(lowest(thread.ended)) - _ticks(ids[-1])

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return b"".join([said(piece) if number % 2 else piece for number, piece in enumerate(value)])
        if isinstance(value, str):
            return ID.sub(lambda found: _shifted(found[0], shift), value)
        return value

    @cache
    def said(place: bytes) -> bytes:
        begin = random.Random(f"{thread.number} {place[:6]!r}").randrange(len(library()) - len(place))
        return library()[begin : begin + len(place)]

    return {
        name: [(thread.name, *(changed(value) for value in item[1:])) for item in items]
        for name, items in made[thread.template].items()
    }


def _ticks(identifier: str) -> int:
    return int(identifier[:8] + identifier[9:13] + identifier[15:18], 16)


def _shifted(identifier: str, ticks: int) -> str:
    digits = f"{_ticks(identifier) + ticks:015x}"
    return f"{digits[:8]}-{digits[8:12]}-6{digits[12:]}{identifier[18:]}"


def population(threads: int, now: datetime) -> list[Thread]:
    """Conversations that ended some time in the year before."""
    chance = random.Random(2)
    kinds, lengths = list(KINDS), list(TURNS)
    return [
        Thread(
            number,
            f"{chance.choices(kinds, [share for _, share in KINDS.values()])[0]}-"
            f"{chance.choices(lengths, list(TURNS.values()))[0]}",
            now - WEEKS * WEEK * chance.random(),
        )
        for number in range(threads)
    ]


def load(store: Store, threads: Sequence[Thread], made: Mapping[str, Rows]) -> None:
    with store.server.admin("app") as connection:
        for first in range(0, len(threads), AT_ONCE):
            part = [rows(thread, made) for thread in threads[first : first + AT_ONCE]]
            for table, columns in COLUMNS.items():
                with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for item in chain.from_iterable(zip_longest(*(thread[table] for thread in part))):
                        if item is not None:
                            copy.write_row(item)


def size(store: Store, full: bool = False) -> int:
    """Bytes of the three tables with their indexes; `full` without what is free in them."""
    with store.server.admin("app") as connection:
        connection.execute(f"VACUUM {'(FULL)' if full else ''} {', '.join(COLUMNS)}")
        found = connection.execute(
            f"SELECT {' + '.join(f'pg_total_relation_size({name!r})' for name in COLUMNS)} AS bytes"
        ).fetchone()
    assert found is not None
    return int(found["bytes"])


@dataclass
class Year:
    """A store that moves threads a week after their last write, from week to week."""

    store: Store
    made: Mapping[str, Rows]
    threads: Sequence[Thread]
    now: datetime
    whole: bool

    def live(self) -> None:
        chance = random.Random(3)
        for week in range(1, WEEKS + 1):
            at = self.now - (WEEKS - week) * WEEK
            load(self.store, [item for item in self.threads if at - WEEK < item.ended <= at], self.made)
            self._tier(at)
            cold = sorted(self.store.cold())
            # Who comes back in the last two is in use at its end.
            if week < WEEKS - 1:
                self.recall(chance.sample(cold, int(len(cold) * RETURN)), at)

    def _tier(self, at: datetime) -> None:
        """As the Job does it at that time; values follow by the next run, and what is a week old is written anew."""
        after = (datetime.now(UTC) - at + AFTER).total_seconds()
        for _ in range(2):
            asked = {**(WHOLE if self.whole else {}), "storageClass": "STANDARD_IA", "limit": 36_000}
            assert self.store.tier(after=after, grace=86400, **asked).complete
        with self.store.server.admin("app") as connection:
            connection.execute(
                "UPDATE checkpointstore.cold_objects SET written = least(written, %(at)s), "
                "unused = CASE WHEN unused IS NOT NULL THEN least(unused, %(at)s) END",
                {"at": at},
            )

    def recall(self, names: Sequence[str], at: datetime | None = None) -> None:
        account = self.store.account()
        with self.store.archive() as archive:
            for name in names:
                archive.bring(name, account)
        with self.store.server.admin("app") as connection:
            connection.execute("DELETE FROM checkpointstore.recalls")
            if at is not None:
                # Who was asked for is used at that time.
                connection.execute(
                    "INSERT INTO checkpointstore.recalls (thread_id, done) SELECT n, %s FROM unnest(%s::text[]) AS n",
                    [at, list(names)],
                )

    def hot(self) -> dict[str, int]:
        """Hot checkpoints of each thread."""
        with self.store.server.admin("app") as connection:
            found = connection.execute("SELECT thread_id, count(*) AS n FROM checkpoints GROUP BY 1").fetchall()
        return {row["thread_id"]: row["n"] for row in found}

    def wrong(self) -> list[str]:
        """Threads that have other hot checkpoints than the formula says: all of who is active, of others one (with what
        subgraphs remember, and all of a DeltaChannel's), or none where whole threads go."""
        hot, wrong = self.hot(), []
        for thread in self.threads:
            has, all_ = hot.get(thread.name, 0), len(self.made[thread.template]["checkpoints"])
            if thread.ended >= self.now - AFTER + timedelta(hours=1):
                right = has == all_
            elif thread.ended >= self.now - AFTER - timedelta(hours=1):
                continue
            elif self.whole:
                right = has == 0
            elif thread.template.startswith("delta"):
                right = has == all_
            else:
                right = has == all_ if all_ == 1 else 1 <= has <= (all_ if "chat" not in thread.template else 1)
            if not right:
                wrong.append(f"{thread.name} ({thread.template}): {has} of {all_}")
        return wrong

    def differences(self, threads: Sequence[Thread]) -> Iterator[str]:
        """Threads that come back otherwise than they were."""
        cold = self.store.cold()
        self.recall([thread.name for thread in threads if thread.name in cold])
        for thread in threads:
            wanted = {table: sorted(map(repr, items)) for table, items in rows(thread, self.made).items()}
            if {table: sorted(map(repr, items)) for table, items in _rows(self.store, thread.name).items()} != wanted:
                yield thread.name


def bill(hot: float, cold: float, puts: float) -> float:
    """USD a month: bytes on each instance's volume, bytes in the object store, writes in a month."""
    volume = float(LISTS[Cloud.AWS].prices.volume_gib_month or 0)
    stored, thousand = INFREQUENT
    return hot / 1024**3 * INSTANCES * volume + cold / 1024**3 * stored + puts / 1000 * thousand


def measure(store: Store, report: Report, threads: int, whole: bool) -> list[str]:
    """A year; what is not as it should be."""
    kind = "whole" if whole else "keep_latest"
    now = datetime.now(UTC)
    made = templates(store)
    year = Year(store, made, population(threads, now), now, whole)
    load(store, year.threads, made)
    everything = size(store)
    _empty(store)
    store.bucket.seen.clear()
    year.live()
    puts = sum(method == "PUT" for method, *_ in store.bucket.seen) / MONTHS
    hot, stored = size(store), sum(file.stat().st_size for file in store.bucket.objects())
    [(cold,)] = store.catalog("SELECT sum(bytes)::bigint FROM checkpointstore.cold_objects WHERE unused IS NULL")
    packed = size(store, full=True)
    wrong = year.wrong()
    report.note(f"year.{kind}.all_hot", one(everything / 1024**2), "MiB")
    report.note(f"year.{kind}.hot", one(hot / 1024**2), "MiB")
    report.note(f"year.{kind}.hot_without_free_room", one(packed / 1024**2), "MiB")
    report.note(f"year.{kind}.cold", one(cold / 1024**2), "MiB")
    report.note(f"year.{kind}.cold_with_what_waits_to_be_collected", one(stored / 1024**2), "MiB")
    report.note(f"year.{kind}.threads_off_the_formula", one(len(wrong)), "threads", "<=0")
    report.note(f"year.{kind}.smaller", one((everything - packed) / cold), "x", ">=25")
    bound = "<=0.04" if whole else ""
    report.note(f"year.{kind}.bill", one(bill(packed, stored, puts) / bill(everything, 0, 0)), "x", bound)
    sample = [item for item in year.threads if item.template.endswith(("-1", "-2")) or item.number % 40 == 0]
    different = list(year.differences(sample))
    report.note(f"year.{kind}.threads_that_differ", one(len(different)), f"of {len(sample)}", "<=0")
    return [*wrong, *different]


def main() -> int:
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else THREADS
    report = Report(lambda text: print(text, flush=True))
    wrong: list[str] = []
    with servers.running() as server, objectstore.running() as bucket:
        request = {"store": "shop/agents", "provider": "Patroni", "host": "localhost", "port": server.port}
        for whole in (True, False):
            server.reset()
            bucket.empty()
            assert Job(request, server.secrets).run().code == 0
            wrong += measure(Store(server, bucket), report, threads, whole)
    print(f"\n{report.table()}")
    print("\n".join(wrong[:20]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
