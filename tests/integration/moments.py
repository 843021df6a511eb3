"""Applications, tiering and a recaller on a store whose servers and object store fail, and what must hold meanwhile."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pyarrow.parquet as pq
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres import PostgresSaver

from checkpointstore.client import open_saver
from checkpointstore.features.tiering.request import Outcome
from checkpointstore.kernel.errors import StoreError
from tests.integration import forked, graphs
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS
from tests.integration.objectstore import until
from tests.integration.pruning import TABLES
from tests.integration.server import Server
from tests.integration.standby import Pair
from tests.integration.tiering import Store

T = TypeVar("T")
Key = tuple[str, ...]
"""Of a row: its kind, its thread, its namespace, and what else its table's key has."""
LONG = 180
"""Seconds that a run may take on a slow machine until it has something to write."""
GRACE = 30
"""Seconds that an object stays that nothing refers to: who looks at the catalog and then at objects finds them."""
THREADS = 6
"""Of each writer; it writes to them in turn, so that each rests for a while."""
KEYS = """
SELECT 'checkpoint', thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = ANY (%(threads)s)
UNION ALL
SELECT 'blob', thread_id, checkpoint_ns, channel || ' ' || version
  FROM checkpoint_blobs WHERE thread_id = ANY (%(threads)s)
UNION ALL
SELECT 'write', thread_id, checkpoint_ns, checkpoint_id || ' ' || task_id || ' ' || idx
  FROM checkpoint_writes WHERE thread_id = ANY (%(threads)s)"""
REST = {"checkpoint": ("checkpoint_id",), "blob": ("channel", "version"), "write": ("checkpoint_id", "task_id", "idx")}
ENTRIES = "SELECT thread_id, key FROM checkpointstore.cold_threads WHERE thread_id = ANY (%(threads)s)"


class Recorded(PostgresSaver):
    """A stock saver that writes the same to another database: to one what was acknowledged, and to one what was not."""

    acknowledged: PostgresSaver
    unsure: PostgresSaver

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self._told(lambda saver: PostgresSaver.put(saver, config, checkpoint, metadata, new_versions))

    def put_writes(self, config: RunnableConfig, writes: Any, task_id: str, task_path: str = "") -> None:
        self._told(lambda saver: PostgresSaver.put_writes(saver, config, writes, task_id, task_path))

    def _told(self, write: Callable[[PostgresSaver], T]) -> T:
        try:
            done = write(self)
        except psycopg.Error:
            write(self.unsure)
            raise
        write(self.acknowledged)
        return done


class World:
    """Applications that write, each to its own threads, beside one tiering run after another and a recaller."""

    def __init__(self, pair: Pair, store: Store, shadow: Server, folder: Path, seed: int) -> None:
        self.pair, self._bucket, self.shadow, self.folder, self.seed = pair, store.bucket, shadow, folder, seed
        self.chance = random.Random(seed)
        self.open = True
        self.turns: dict[str, int] = {}
        """By thread, those that were acknowledged."""
        self.tried: set[str] = set()
        """Threads of which a turn was not acknowledged."""
        self.whole = False
        """Whether runs take whole threads: then a stock saver has to ask for one first."""
        self.used: list[tuple[str, bool]] = []
        """Threads that somebody is at, and whether he asks for them."""
        self.applications = 0
        """That have not ended: what they ask for has to come back."""
        self.job: BaseProcess | None = None
        self.count: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def store(self) -> Store:
        return Store(self.pair.primary, self._bucket)

    @property
    def uri(self) -> str:
        return self.pair.uri("app_a", PASSWORDS["app_a"])

    # What applications do.

    def talks(self, name: str, made: Callable[[PostgresSaver], Any]) -> None:
        """Six threads in turn, until the last turn is acknowledged."""
        chance, turn, sure = random.Random(f"{self.seed} {name}"), 0, True
        with self._application(), ExitStack() as stack:
            others = [
                stack.enter_context(PostgresSaver.from_conn_string(self.shadow.local_uri(database)))
                for database in ("acknowledged", "unsure")
            ]
            while self.open or not sure:
                try:
                    with Recorded.from_conn_string(self.uri) as saver:
                        assert isinstance(saver, Recorded)
                        saver.acknowledged, saver.unsure = others
                        graph = made(saver)
                        while self.open or not sure:
                            sure, thread = False, f"{name}-{turn % THREADS}"
                            with self._at(thread) as asks:
                                if asks:
                                    self._ask(thread)
                                self._turn(graph, saver, thread)
                            sure, turn = True, turn + 1
                            time.sleep(chance.uniform(0, 0.5))
                except psycopg.Error:
                    self.count["turns tried in vain"] += 1
                    time.sleep(0.05)

    def _turn(self, graph: Any, saver: PostgresSaver, thread: str) -> None:
        """One that was not acknowledged is ended first, where it had begun, and counts where it was done."""
        done, tried = self.turns.get(thread, 0), thread in self.tried
        if tried and saver.get_tuple(config(thread)):
            graph.invoke(None, config(thread))
        found = self._said(graph, thread)
        assert found in (done, done + tried), f"{thread} has {found} turns, and {done} were acknowledged"
        if found == done:
            self.tried.add(thread)
            graphs.talk(graph, thread, 1, first=done)
        self.turns[thread] = done + 1
        self.tried.discard(thread)

    def _said(self, graph: Any, thread: str) -> int:
        """How many turns it has, of which nothing is missing."""
        state = graph.get_state(config(thread)).values
        turns = int(state.get("turns", 0))
        said = [word for word in state.get("said", []) if word.startswith(("question", "answer"))]
        words = [word for turn in range(turns) for word in (f"question {turn}", f"answer {turn + 1}")]
        assert said in (words, [*words, f"question {turns}"]), thread
        return turns

    @contextmanager
    def _application(self) -> Iterator[None]:
        """One of those that the recaller must not end before."""
        with self._lock:
            self.applications += 1
        try:
            yield
        finally:
            with self._lock:
                self.applications -= 1

    @contextmanager
    def _at(self, thread: str) -> Iterator[bool]:
        """Nobody forgets meanwhile that it was asked for. Whether a stock saver has to ask."""
        with self._lock:
            mark = thread, self.whole
            self.used.append(mark)
        try:
            yield mark[1]
        finally:
            with self._lock:
                self.used.remove(mark)

    def _ask(self, thread: str) -> None:
        """As an application that has a stock saver."""
        query = "SELECT checkpointstore.recall(%s)"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            until(lambda: connection.execute(query, [thread]).fetchone() == ("Hot",))

    def reads(self) -> None:
        """By our saver, what it has to bring back first."""
        chance = random.Random(f"{self.seed} reads")
        with self._application():
            while self.open:
                with suppress(psycopg.Error), open_saver(self.uri) as saver:
                    while self.open:
                        known = sorted(self.turns)
                        for thread in chance.sample(known, min(2, len(known))):
                            with self._at(thread):
                                self._read(graphs.chat(saver), thread, chance.random() < 0.3)
                        time.sleep(chance.uniform(0, 0.5))

    def _read(self, graph: Any, thread: str, history: bool) -> None:
        done = self.turns[thread]
        assert self._said(graph, thread) >= done, thread
        if history:
            states = [item.values for item in graph.get_state_history(config(thread))]
            assert {state.get("turns", 0) for state in states} >= {*range(done + 1)}, thread
        self.count["reads"] += 1

    # What the operator does.

    def tiers(self) -> None:
        """Two runs that keep the latest hot, two that take whole threads, and so on."""
        number = 0
        while self.open:
            self._change(number % 4 > 1)
            with suppress(psycopg.Error):
                self._age()
            result = self.folder / f"result-{number}"
            asked = {"keepLatestHot": not self.whole, "share": 0.5, "wait": 1, "grace": GRACE}
            environ = {**self.store.asked(**asked), "CHECKPOINTSTORE_RESULT_FILE": str(result)}
            self.job = job = forked.begin(environ)
            job.join()
            code = job.exitcode
            self.count[f"runs that ended with {code}"] += 1
            self.job = None
            if code == 0:
                outcome = Outcome.model_validate_json(result.read_text())
                told = {"moved": outcome.moved.threads, "left": outcome.busy}
                self.count.update({**told, "collected": outcome.collected, "rewritten": outcome.rewritten})
            number += 1

    def _change(self, whole: bool) -> None:
        """Whoever writes asks before the first run that takes whole threads; after the last all of these are back."""
        if whole:
            with self._lock:
                self.whole = True
            until(lambda: all(asks for _, asks in list(self.used)))
        elif self.whole:
            until(lambda: not self.open or self._heads_are_back(), LONG)
            with self._lock:
                self.whole = False

    def _heads_are_back(self) -> bool:
        with suppress(psycopg.Error):
            return not self.store.catalog("SELECT checkpointstore.recall(thread_id) FROM checkpointstore.cold_heads")
        return False

    def _age(self) -> None:
        """As if nobody had asked for threads for hours that nobody is at."""
        with self._lock, self.store.server.admin("app") as connection:
            connection.execute(
                "UPDATE checkpointstore.recalls SET done = done - interval '2 hours' WHERE thread_id <> ALL (%s)",
                [[thread for thread, _ in self.used]],
            )

    def recalls(self) -> None:
        """What was asked for, and now and then threads that nobody asked for; until nobody can ask any more."""
        chance = random.Random(f"{self.seed} recalls")
        while self.open or self.applications:
            with suppress(psycopg.Error, StoreError):
                store = self.store
                if chance.random() < 0.2:
                    cold = sorted(store.cold())
                    for thread in chance.sample(cold, min(4, len(cold))):
                        store.ask(thread)
                        self.count["recalls"] += 1
                with store.server.admin("app") as connection:
                    connection.execute("UPDATE checkpointstore.recalls SET tried = NULL WHERE done IS NULL")
                store.drain(store.asked())
            time.sleep(0.1)

    # What goes wrong.

    def happens(self, moment: str, methods: Collection[str]) -> None:
        """At any time; now and then a run gets to its end before."""
        if self.chance.random() < 0.2:
            ended = self.count["runs that ended with 0"]
            until(lambda: self.count["runs that ended with 0"] > ended, LONG)
        time.sleep(self.chance.uniform(0, 1))
        if moment == "kill":
            self.killed()
        elif moment == "failover":
            self.pair.fail_over()
        else:
            self.failing(moment, methods)

    def killed(self) -> None:
        """A run, at any time: in its life, or after so many requests."""
        killed = self.count["runs that ended with -9"]
        while self.count["runs that ended with -9"] == killed:
            job, wanted = self.job, len(self._bucket.seen) + self.chance.randrange(15)
            until(lambda job=job, wanted=wanted: self.job is not job or len(self._bucket.seen) >= wanted, LONG)  # type: ignore[misc]
            time.sleep(self.chance.uniform(0, 0.3))
            if job and job is self.job:
                job.kill()
                until(lambda job=job: self.job is not job)  # type: ignore[misc]

    def failing(self, fate: str, methods: Collection[str]) -> None:
        """The object store fails for a while, and some requests do."""
        met, most = 0, self.chance.randrange(1, 6)

        def fault(method: str, path: str) -> str:
            nonlocal met
            if method not in methods or (fate == "half" and path.endswith(".json")) or self.chance.random() < 0.3:
                return ""
            met += 1
            return fate

        self._bucket.fault = fault
        until(lambda: met >= most, LONG)
        time.sleep(self.chance.uniform(0, 0.3))
        self._bucket.fault = lambda method, path: ""
        self.count[f"requests met by {fate}"] += met

    # What must hold.

    def looked_at(self, threads: Collection[str]) -> None:
        """What was acknowledged is hot or cold; a checkpoint or a write is not both, and not twice."""
        with self.shadow.admin("acknowledged") as connection:
            acknowledged = _keys(connection, threads)
        with self.store.server.admin("app") as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            hot = _keys(connection, threads)
            entries = [tuple(row.values()) for row in connection.execute(ENTRIES, {"threads": list(threads)})]
        cold = [key for entry in entries for key in self.inside(*entry)]
        assert not (lost := {*acknowledged} - {*hot, *cold}), f"lost: {sorted(lost)}"
        seen = Counter(key for key in (*hot, *cold) if key[0] != "blob")
        assert not (twice := [key for key, times in seen.items() if times > 1]), f"twice: {twice}"

    def inside(self, thread: str, key: str) -> list[Key]:
        """The rows of a thread in an object."""
        found = pq.read_table(self._bucket.data / key, filters=[("thread_id", "==", thread)]).to_pylist()
        return [
            (row["kind"], thread, row["checkpoint_ns"], " ".join(str(row[name]) for name in REST[row["kind"]]))
            for row in found
        ]

    def copied(self) -> None:
        """What is there before counts as acknowledged."""
        for database in ("acknowledged", "unsure"):
            with self.shadow.admin() as connection:
                connection.execute(f"CREATE DATABASE {database} TEMPLATE template0")
            with PostgresSaver.from_conn_string(self.shadow.local_uri(database)) as saver:
                saver.setup()
        with self.store.server.admin("app") as source, self.shadow.admin("acknowledged") as target:
            for table in TABLES:
                out, into = f"COPY {table} TO STDOUT", f"COPY {table} FROM STDIN"
                with source.cursor().copy(out) as rows, target.cursor().copy(into) as there:
                    for row in rows:
                        there.write(row)


def _keys(connection: psycopg.Connection[dict[str, Any]], threads: Collection[str]) -> list[Key]:
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        return cursor.execute(KEYS, {"threads": list(threads)}).fetchall()
