"""The retention Job beside applications that write, and killed at any moment."""

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from checkpointstore.adapters.retention import Tables
from checkpointstore.features.retention.request import Removed
from checkpointstore.jobs import retention
from tests.integration import graphs
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS, Job
from tests.integration.pruning import COPY, Store, shifted
from tests.integration.server import Server

SECONDS, MORE = 6, 60
GRACE = 12


@pytest.fixture
def store(patroni: Job, server: Server) -> Store:
    assert patroni.run().code == 0
    return Store(server)


class Gone(Exception):
    """LangGraph takes a checkpoint that is not there for an empty one."""


class Slow(PostgresSaver):
    """A stock saver of an application that thinks between its reads and its writes."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        found = super().get_tuple(config)
        if config["configurable"].get("checkpoint_id"):
            if found is None:
                raise Gone
            time.sleep(random.uniform(0, 0.4))
        return found


class Crowd:
    """Applications that write, each to its own thread, and somebody who reads all of it again and again."""

    def __init__(self, store: Store, seconds: float) -> None:
        self.store, self.end = store, time.monotonic() + seconds
        self.turns: dict[str, int] = {}
        self.forks = self.reads = 0
        self.removed = Removed()
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """For its time, and on a slow machine for as long as nothing has been seen yet of what it is for."""
        seen = self.forks and self.removed.blobs
        return time.monotonic() < self.end + (0 if seen else MORE)

    def talks(self, thread: str) -> None:
        with self.store.saver() as saver:
            graph = graphs.chat(saver)
            while self.open:
                graphs.talk(graph, thread, 1, first=self.turns.get(thread, 0))
                self.turns[thread] = self.turns.get(thread, 0) + 1

    def talks_async(self, thread: str) -> None:
        async def talk() -> None:
            uri = self.store.server.uri("app_a", PASSWORDS["app_a"])
            async with AsyncPostgresSaver.from_conn_string(uri) as saver:
                graph = graphs.chat(saver)
                while self.open:
                    turn = self.turns.get(thread, 0)
                    await graph.ainvoke({"said": [f"question {turn}"], "document": {"text": "x"}}, config(thread))
                    self.turns[thread] = turn + 1

        asyncio.run(talk())

    def forks_back(self, thread: str, seed: int) -> None:
        """Reads any checkpoint that it can see, takes its time, and goes on from it."""
        chance = random.Random(seed)
        with Slow.from_conn_string(self.store.server.uri("app_a", PASSWORDS["app_a"])) as saver:
            graph = graphs.chat(saver)
            graphs.talk(graph, thread, 2)
            while self.open:
                state = chance.choice(list(graph.get_state_history(config(thread))))
                said = state.values.get("said", [])
                try:
                    forked = graph.update_state(state.config, {"said": ["forked"]}, as_node="answer")
                except Gone:
                    continue
                assert graph.get_state(forked).values["said"] == [*said, "forked"], "what was forked from is whole"
                graphs.talk(graph, thread, 1)
                with self._lock:
                    self.forks += 1

    def reads_all(self) -> None:
        with self.store.saver() as saver:
            while self.open:
                for found in saver.list(None):
                    checkpoint = found.checkpoint
                    for channel in ("said", "document"):
                        assert (channel in checkpoint["channel_versions"]) == (channel in checkpoint["channel_values"])
                    self.reads += 1

    def prunes(self) -> None:
        while self.open:
            # Nobody here takes so long from a read to its write.
            outcome = self.store.prune(keepLast=2, grace=GRACE)
            assert outcome.busy == 0
            self.removed += outcome.removed


def test_writers_lose_nothing_while_the_job_prunes(store: Store, soak: bool) -> None:
    crowd = Crowd(store, 60 if soak else SECONDS)
    work: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
        *((crowd.talks, (f"chat-{number}",)) for number in range(3)),
        (crowd.talks_async, ("async",)),
        *((crowd.forks_back, (f"fork-{number}", number)) for number in range(2)),
        (crowd.reads_all, ()),
        (crowd.prunes, ()),
    ]
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(act, *given) for act, given in work]:
            done.result()
    print(f"turns {crowd.turns}, forks {crowd.forks}, checkpoints read {crowd.reads}, {crowd.removed}")
    assert crowd.forks > 0
    assert crowd.removed.blobs > 0
    with store.saver() as saver:
        graph = graphs.chat(saver)
        for thread, turns in crowd.turns.items():
            state = graph.get_state(config(thread)).values
            assert (state["turns"], len(state["said"])) == (turns, 2 * turns)
            assert state["said"][-2] == f"question {turns - 1}"
    time.sleep(2)
    store.prune(keepLast=2)
    assert store.loose() == []


def test_a_thread_that_is_written_while_it_goes_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "old", 3)
        [newest, *_] = saver.list(config("old"))
        before = store.read("old")
        one = Tables._one

        def meanwhile(self: Tables, query: str, **values: Any) -> dict[str, Any]:
            row = one(self, query, **values)
            if "doomed" not in query and "old AS MATERIALIZED" in query:
                copy = newest.checkpoint | {"id": shifted(newest.checkpoint["id"], -1)}
                saver.put(newest.config, copy, newest.metadata, {})
            return row

        monkeypatch.setattr(Tables, "_one", meanwhile)
        assert store.prune(deleteAfter=0.0).removed.threads == 0
        monkeypatch.undo()
        after = store.read("old")
        assert len(after) == len(before) + 1
        assert {place: after[place] for place in before} == before


def _copies(store: Store, copies: int) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "model", 8)
    with store.server.admin("app") as connection:
        connection.execute(psycopg.ClientCursor(connection).mogrify(COPY, {"copies": copies}))


POLICY: dict[str, Any] = {"keepLast": 4, "keepFor": 0.0}


def test_killed_anywhere_and_run_again_it_ends_the_same(store: Store, tmp_path: Path, soak: bool) -> None:
    _copies(store, 400 if soak else 60)
    with store.server.admin() as connection:
        connection.execute("CREATE DATABASE copy TEMPLATE app OWNER app_owner")
    chance, kills = random.Random(6), 0
    for number in range(40 if soak else 6):
        result = tmp_path / f"result-{number}"
        job = store.start(result, **POLICY, share=0.2, grace=0)
        time.sleep(chance.uniform(0.5, 2.5))
        job.send_signal(signal.SIGKILL)
        kills += job.wait() == -signal.SIGKILL
        print(f"{len(store.rows()['checkpoints'])} checkpoints left")
    store.prune(**POLICY)
    killed = store.rows()
    store.prune(**POLICY, database="copy")
    assert killed == store.rows("copy")
    assert store.loose() == []
    print(f"killed {kills} times")


@pytest.mark.parametrize("act", ["cut", "sweep", "reach"])
def test_killed_between_two_acts_and_run_again_it_ends_the_same(store: Store, act: str) -> None:
    _copies(store, 6)
    with store.server.admin() as connection:
        connection.execute("CREATE DATABASE copy TEMPLATE app OWNER app_owner")
    for last in (1, 2, 9, 30):
        pid = os.fork()
        if pid == 0:
            _dies(store, act, last)
        os.waitpid(pid, 0)
    store.prune(**POLICY)
    killed = store.rows()
    store.prune(**POLICY, database="copy")
    assert killed == store.rows("copy")


def _dies(store: Store, act: str, last: int) -> None:
    """In a child: be gone right after the n-th such act."""
    done, count = getattr(Tables, act), 0

    def counted(self: Tables, *given: Any) -> Any:
        nonlocal count
        answer = done(self, *given)
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(Tables, act, counted)
    try:
        retention.conclude(store.environ(**POLICY))
    finally:
        os._exit(0)


def test_two_never_work_at_once_and_the_time_of_a_run_is_bounded(store: Store, server: Server) -> None:
    _copies(store, 20)
    outcome = store.prune(**POLICY, limit=0.001)
    assert not outcome.complete
    with server.admin("app") as connection:
        connection.execute(f"SELECT pg_advisory_lock({int.from_bytes(b'retain')})")
        refused, code = retention.conclude(store.environ(**POLICY))
        assert (code, refused.reason, refused.message) == (1, "Unavailable", "another retention Job is at work")
    retention_page, retention.PAGE = retention.PAGE, 4
    try:
        limit = 0.15
        runs = [store.prune(**POLICY, limit=limit)]
        while not runs[-1].complete:
            # A slow machine may need all of it to begin.
            limit *= 1.1
            runs.append(store.prune(**POLICY, limit=limit))
            assert len(runs) < 200
    finally:
        retention.PAGE = retention_page
    print(f"{len(runs)} runs, of {max(run.seconds for run in runs)} s at most")
    assert len(runs) > 1
    assert sum(run.removed.checkpoints for run in runs) > 0
    # On a slow machine a thread that a run was too short for is left: it has let the others go first.
    store.prune(**POLICY)
    assert store.prune(**POLICY).removed.checkpoints == 0


def test_rows_that_somebody_holds_are_left_for_the_next_run(store: Store, server: Server) -> None:
    _copies(store, 2)
    with server.admin("app") as connection, connection.transaction():
        connection.execute("SELECT FROM checkpoints WHERE thread_id = 'copy-1' FOR UPDATE")
        outcome = store.prune(**POLICY)
    assert (outcome.busy, outcome.threads) == (1, 3)
    assert store.prune(**POLICY).removed.checkpoints > 0
