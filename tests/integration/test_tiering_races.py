"""The tiering Job beside applications that write, and whoever else is at work on the tables."""

import random
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres import PostgresSaver

from checkpointstore.adapters.part import QUERIES, Part
from checkpointstore.adapters.retention import Busy
from checkpointstore.adapters.tiering import Archive
from checkpointstore.jobs import tiering
from tests.integration import graphs, objectstore
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS, Job
from tests.integration.pruning import head
from tests.integration.server import Server
from tests.integration.tiering import WHOLE, Store, all_back, copies


@pytest.fixture
def store(patroni: Job, server: Server, bucket: objectstore.Bucket, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("checkpointstore.adapters.bucket.PATIENCE", timedelta(seconds=0.2))
    assert patroni.run().code == 0
    bucket.empty()
    return Store(server, bucket)


class Recorded(PostgresSaver):
    """A stock saver, and every checkpoint that it put."""

    put_so_far: set[tuple[str, str, str]]

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        saved = super().put(config, checkpoint, metadata, new_versions)
        place = saved["configurable"]
        self.put_so_far.add((place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"]))
        return saved


MORE = 60


class Crowd:
    """Applications that write, each to its own threads, while these are moved under their feet."""

    def __init__(self, store: Store, seconds: float) -> None:
        self.store, self.end = store, time.monotonic() + seconds
        self.put: set[tuple[str, str, str]] = set()
        self.turns: dict[str, int] = {}
        self.moved = self.left = self.recalled = 0
        self.whole = False
        self.used: set[str] = set()
        """Threads that somebody has been told are there."""
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """For its time, and on a slow machine until something has moved."""
        return time.monotonic() < self.end + (0 if self.moved else MORE)

    def talks(self, name: str) -> None:
        """Six threads in turn, so that each rests for a while."""
        chance = random.Random(name)
        with Recorded.from_conn_string(self.store.server.uri("app_a", PASSWORDS["app_a"])) as saver:
            assert isinstance(saver, Recorded)
            saver.put_so_far = set()
            graph = graphs.chat(saver)
            turn = 0
            while self.open:
                thread = f"{name}-{turn % 6}"
                with self._lock:
                    self.used.add(thread)
                if self.whole:
                    while self.store.ask(thread) != "Hot":
                        time.sleep(0.02)
                done = self.turns.get(thread, 0)
                graphs.talk(graph, thread, 1, first=done)
                self.turns[thread] = done + 1
                with self._lock:
                    self.used.discard(thread)
                turn += 1
                time.sleep(chance.uniform(0, 0.3))
        with self._lock:
            self.put |= saver.put_so_far

    def tiers(self) -> None:
        while self.open:
            if self.whole:
                # Nobody takes an hour from the answer to the read.
                with self._lock, self.store.server.admin("app") as connection:
                    connection.execute(
                        "UPDATE checkpointstore.recalls SET done = done - interval '1 hour' "
                        "WHERE done < now() - interval '0.3 s' AND thread_id <> ALL (%s)",
                        [list(self.used)],
                    )
            outcome = self.store.tier(keepLatestHot=not self.whole, wait=2)
            self.moved += outcome.moved.threads
            self.left += outcome.busy


@pytest.mark.parametrize("whole", [False, True])
def test_writers_lose_nothing_while_threads_move(store: Store, soak: bool, whole: bool) -> None:
    store.tier()
    crowd = Crowd(store, 60 if soak else 6)
    crowd.whole = whole
    work: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
        *((crowd.talks, (f"chat-{number}",)) for number in range(3)),
        (crowd.tiers, ()),
    ]
    with store.recaller(), ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(act, *given) for act, given in work]:
            done.result()
    print(f"turns {sum(crowd.turns.values())}, moved {crowd.moved}, left {crowd.left}")
    assert crowd.moved > 0
    store.recall(*(thread for thread in crowd.turns if store.ask(thread) != "Hot"))
    with store.saver() as saver:
        graph = graphs.chat(saver)
        for thread, turns in crowd.turns.items():
            state = graph.get_state(config(thread)).values
            assert (state["turns"], len(state["said"])) == (turns, 2 * turns)
            states = list(graph.get_state_history(config(thread)))
            assert {len(item.values.get("said", [])) for item in states} == {*range(2 * turns + 1)}
    with store.server.admin("app") as connection:
        there = connection.execute("SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints").fetchall()
    assert {tuple(row.values()) for row in there} == crowd.put
    assert store.loose() == []


def test_a_thread_that_is_written_while_it_moves_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind of write between its reading and its going, by a saver and by hand."""
    move = Archive.move

    def put(saver: PostgresSaver) -> None:
        graphs.talk(graphs.chat(saver), "one", 1, first=7)

    def put_writes(saver: PostgresSaver) -> None:
        saver.put_writes(head(saver, "one").config, [("said", ["late"])], "task")

    def replace(saver: PostgresSaver) -> None:
        found = head(saver, "one")
        saver.put(found.config, found.checkpoint | {"ts": "later"}, found.metadata, {})

    def delete(saver: PostgresSaver) -> None:
        saver.delete_thread("one")

    def ask(saver: PostgresSaver) -> None:
        assert store.ask("one") == "Hot"

    for write in (put, put_writes, replace, delete, ask):
        with store.saver() as saver:
            saver.delete_thread("one")
            graphs.talk(graphs.chat(saver), "one", 2)

            def meanwhile(self: Archive, parts: Sequence[Part], fresh: str, after: float, write: Any = write) -> None:
                write(saver)
                self.seen = store.rows()  # type: ignore[attr-defined]
                try:
                    move(self, parts, fresh, after)
                finally:
                    assert store.rows() == self.seen  # type: ignore[attr-defined]

            monkeypatch.setattr(Archive, "move", meanwhile)
            outcome = store.tier(**WHOLE)
            assert (outcome.moved.threads, outcome.busy) == (0, 1), write
            assert store.cold() == set()
            monkeypatch.setattr(Archive, "move", move)


@pytest.mark.parametrize("whole", [True, False])
def test_one_thread_that_is_written_to_keeps_no_other_that_goes_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """Each way in which a thread can be another than it was, among six that go in one transaction."""
    move = Archive.move
    seen: list[tuple[int, str]] = []
    threads = {f"chat-{number}" for number in range(6)}

    def put(connection: Any) -> None:
        connection.execute(f"{COPIED} '1fffffff-ffff-6fff-8000-000000000000' {OF_ONE} LIMIT 1")

    def put_writes(connection: Any) -> None:
        connection.execute(
            "INSERT INTO checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, blob) "
            f"SELECT thread_id, checkpoint_id, 'late', 0, 'said', '' {OF_ONE} LIMIT 1"
        )

    def replace(connection: Any) -> None:
        connection.execute("UPDATE checkpoints SET metadata = metadata WHERE thread_id = 'chat-2'")

    def delete(connection: Any) -> None:
        connection.execute("DELETE FROM checkpoints WHERE thread_id = 'chat-2'")

    def ask(connection: Any) -> None:
        assert store.ask("chat-2") in ("Hot", "Queued")

    store.tier()
    for write in (put, put_writes, replace, delete, ask):
        with store.saver() as saver:
            for thread in threads:
                saver.delete_thread(thread)
                graphs.talk(graphs.chat(saver), thread, 1)
        with store.server.admin("app") as connection:
            connection.execute("DELETE FROM checkpointstore.cold_threads; DELETE FROM checkpointstore.recalls")

            def meanwhile(self: Archive, parts: Sequence[Part], fresh: str, after: float, write: Any = write) -> None:
                if len(parts) == len(threads):
                    write(connection)
                    self.hot = store.rows()  # type: ignore[attr-defined]
                try:
                    move(self, parts, fresh, after)
                except Busy as error:
                    seen.append((len(parts), error.message))
                    if len(parts) > 1:
                        assert store.rows() == self.hot, "all of it was taken back"  # type: ignore[attr-defined]
                    raise

            monkeypatch.setattr(Archive, "move", meanwhile)
            outcome = store.tier(keepLatestHot=not whole)
            assert (outcome.moved.threads, outcome.busy) == (5, 1), (write, outcome)
            assert [size for size, _ in seen[-2:]] == [6, 1]
            assert store.cold() == threads - {"chat-2"}
            monkeypatch.setattr(Archive, "move", move)


COPIED = (
    "INSERT INTO checkpoints (thread_id, checkpoint_ns, parent_checkpoint_id, checkpoint, metadata, checkpoint_id) "
    "SELECT thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata,"
)
OF_ONE = "FROM checkpoints WHERE thread_id = 'chat-2'"


def test_a_row_that_cannot_be_read_keeps_no_other_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read with it is read again, and is once in what the catalog knows."""
    rows = Archive.rows
    with store.saver() as saver:
        for number in range(6):
            graphs.talk(graphs.chat(saver), f"chat-{number}", 1)
    before = store.rows()

    def broken(self: Archive, parts: Sequence[Part]) -> Generator[tuple[Any, ...], None, None]:
        for row in rows(self, parts):
            if "chat-3" in row:
                raise Busy("a page is damaged")
            yield row

    monkeypatch.setattr(Archive, "rows", broken)
    outcome = store.tier(**WHOLE)
    assert (outcome.moved.threads, outcome.busy, outcome.busy_reason) == (5, 1, "a page is damaged")
    assert store.cold() == {f"chat-{number}" for number in range(6)} - {"chat-3"}
    monkeypatch.undo()
    store.tier(**WHOLE)
    all_back(store)
    assert store.rows() == before


def test_a_thread_of_which_not_all_was_copied_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Archive.rows
    with store.saver() as saver:
        for number in range(3):
            graphs.talk(graphs.chat(saver), f"chat-{number}", 1)
    before = store.rows()

    def fewer(self: Archive, parts: Sequence[Part]) -> Generator[tuple[Any, ...], None, None]:
        yield from (row for row in rows(self, parts) if "chat-1" not in row or "write" not in row)

    monkeypatch.setattr(Archive, "rows", fewer)
    outcome = store.tier(**WHOLE)
    assert (outcome.moved.threads, outcome.busy_reason) == (2, "not all of the thread was copied")
    assert store.cold() == {"chat-0", "chat-2"}
    monkeypatch.undo()
    all_back(store)
    assert store.rows() == before


def test_a_table_that_is_written_anew_while_a_thread_moves_loses_nothing(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VACUUM FULL: all rows are a place further on, of the same version, and the newest is where another was."""
    move = Archive.move
    with store.saver() as saver, server.admin("app") as connection:
        connection.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('before', '1', '{}')"
        )
        graphs.talk(graphs.chat(saver), "one", 2)
        connection.execute("UPDATE checkpoints SET metadata = metadata")
        connection.execute("VACUUM FULL checkpoints")
        saver.delete_thread("before")
        rows = store.rows()

        def meanwhile(self: Archive, parts: Sequence[Part], fresh: str, after: float) -> None:
            connection.execute("VACUUM FULL checkpoints")
            move(self, parts, fresh, after)

        monkeypatch.setattr(Archive, "move", meanwhile)
        outcome = store.tier()
    assert (outcome.moved.threads, outcome.busy_reason) == (0, "the tables were written anew meanwhile")
    assert store.rows() == rows


def test_a_thread_that_somebody_asks_for_is_not_moved_under_his_feet(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 2)
    store.tier(after=3600)
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"])) as connection:
        row = connection.execute("SELECT checkpointstore.recall('one')").fetchone()
        assert row == ("Hot",), "and not committed yet"
        outcome = store.tier(**WHOLE)
        assert (outcome.moved.threads, outcome.busy_reason) == (0, "somebody asks for the thread")
    assert store.tier(**WHOLE).moved.threads == 0


def test_values_that_are_removed_while_their_thread_comes_back_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention sees values that no checkpoint refers to, until the recall has committed."""
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 3)
    before, read = store.rows(), store.read("one")
    store.tier(wait=3600, **WHOLE)
    assert store.rows()["checkpoint_blobs"] == before["checkpoint_blobs"]
    one, left = Archive._one, []

    def meanwhile(self: Archive, query: str, **values: Any) -> dict[str, Any]:
        if query == QUERIES.sql("back"):
            left.append(store.prune(keepLast=99).busy)
        return one(self, query, **values)

    monkeypatch.setattr(Archive, "_one", meanwhile)
    store.recall("one")
    assert left == [1], "it would have to wait for whoever brings them back"
    monkeypatch.undo()
    store.prune(keepLast=99)
    assert store.rows() == before
    assert store.read("one") == read


def test_two_never_work_at_once(store: Store, server: Server) -> None:
    with server.admin("app") as connection:
        connection.execute(f"SELECT pg_advisory_lock({int.from_bytes(b'tiering')})")
        refused, code = tiering.conclude(store.asked(**WHOLE))
    assert (code, refused.reason, refused.message) == (1, "Unavailable", "another tiering Job is at work")


def test_rows_that_somebody_holds_are_left_for_the_next_run(store: Store, server: Server) -> None:
    copies(store, 2)
    with server.admin("app") as connection, connection.transaction():
        connection.execute("SELECT FROM checkpoints WHERE thread_id = 'copy-1' FOR UPDATE")
        outcome = store.tier(**WHOLE)
    assert (outcome.busy, outcome.moved.threads) == (1, 2)
    assert store.tier(**WHOLE).moved.threads == 1
