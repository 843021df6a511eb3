"""PostgresSaver that brings cold threads back where a call needs them; what is hot costs no round-trip more."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
)
from langgraph.checkpoint.postgres import Conn, PostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import Connection, Cursor, Pipeline
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from . import serializer, steps
from .binding import connection_string
from .steps import PATIENCE, Ask, Pause, Steps

T = TypeVar("T")
FIRST: ContextVar[Ask | None] = ContextVar("first", default=None)
"""What the next transaction of this task asks before it does anything else."""
OPTIONS: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
"""Of connections, as LangGraph's savers make them."""


class CheckpointStoreSaver(PostgresSaver):
    """A PostgresSaver whose threads may be in the object store.

    `patience` is how many seconds a call waits for a thread; then it raises RecallFailed. Where the database has no
    tiering it does what PostgresSaver does. On a pool, calls run side by side.
    """

    def __init__(
        self,
        conn: Conn,
        pipe: Pipeline | None = None,
        serde: SerializerProtocol | None = None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(conn, pipe, serde)
        self.patience = patience
        self._tiered: bool | None = None
        if isinstance(conn, ConnectionPool):
            # Each call has a connection of its own.
            self.lock = nullcontext()  # type: ignore[assignment]

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        row = super().get_tuple(config)
        # Another call may just have brought it back.
        if row is None and self._brought_back(config):
            row = super().get_tuple(config)
        return row and self._loaded(row)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Of a thread, all of it. Of all threads (`config` is None), what is hot, and of each that is cold its newest
        checkpoint, without what is kept beside it: only values that are text, numbers or nothing.
        """
        if config is not None:
            self._brought_back(config)
            rows: Any = [*super().list(config, filter=filter, before=before, limit=limit)]
        else:
            asked = steps.heads(filter, get_checkpoint_id(before) if before else None, limit)
            tiered = self._is_tiered()
            # On both sides, as threads come and go meanwhile.
            cold = self._ask(asked) if tiered else []
            hot: Any = [*super().list(None, filter=filter, before=before, limit=limit)]
            cold += self._ask(asked) if tiered else []
            rows = steps.newest_first(hot, cold, limit)
        for row in rows:
            yield self._loaded(row)

    def _load_checkpoint_tuple(self, value: DictRow) -> Any:
        """Not yet, as the stock saver still has its connection, and values may be in the object store."""
        return value

    def _loaded(self, row: Any) -> CheckpointTuple:
        return super()._load_checkpoint_tuple(row)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        if channels:
            self._brought_back(config)
        return super().get_delta_channel_history(config=config, channels=channels)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Its values may be its parent's, which is brought back first where it is cold."""
        if blobs := serializer.within(self.serde):
            checkpoint, new_versions = blobs.ahead(checkpoint, new_versions)
        return self._on_hot(config, lambda: PostgresSaver.put(self, config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Of two writes of a task the first counts, so what they belong to is brought back first."""
        if blobs := serializer.within(self.serde):
            writes = blobs.writes_ahead(writes)
        self._on_hot(config, lambda: PostgresSaver.put_writes(self, config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """Of the database and of the catalog of what is cold; docs/tiering.md says when the object store forgets."""
        if self._is_tiered():
            self._ask(steps.delete(str(thread_id)))
        else:
            super().delete_thread(thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Checkpoints that have one of these in their metadata, with what only they need."""
        runs = [str(run) for run in run_ids]
        if runs and self._is_tiered():
            for thread in self._ask(steps.cold_of_runs(runs)):
                self._run(steps.bring_back(thread, self.patience))
        if runs:
            self._ask(steps.delete_runs(runs))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """All of it; what the target has already stays as it is."""
        source, target = str(source_thread_id), str(target_thread_id)
        if source != target:
            self._all_hot(source)
            self._ask(steps.copy(source, target))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        if strategy == "keep_latest" and not isinstance(thread_ids, str):
            for thread in thread_ids:
                self._all_hot(str(thread))
        super().prune(thread_ids, strategy=strategy)
        if strategy == "delete" and thread_ids and self._is_tiered():
            for thread in thread_ids:
                self._ask(steps.delete(str(thread)))

    def _on_hot(self, config: RunnableConfig, write: Callable[[], T]) -> T:
        """Write, in one transaction with the look whether the checkpoint in `config` is hot."""
        place = config["configurable"]
        if self._tiered is None:
            self._is_tiered()
        if not self._tiered or not (checkpoint := place.get("checkpoint_id")):
            return write()
        thread = str(place["thread_id"])
        while True:
            token = FIRST.set(steps.assert_hot(thread, place.get("checkpoint_ns", ""), checkpoint))
            try:
                return write()
            except psycopg.Error as error:
                if error.sqlstate != steps.COLD:
                    raise
            finally:
                FIRST.reset(token)
            self._run(steps.bring_back(thread, self.patience))

    def _brought_back(self, config: RunnableConfig) -> bool:
        return self._all_hot(str(config["configurable"]["thread_id"]))

    def _all_hot(self, thread: str) -> bool:
        """Bring a thread back; whether there is tiering at all."""
        if not self._is_tiered():
            return False
        self._run(steps.bring_back(thread, self.patience))
        return True

    def _is_tiered(self) -> bool:
        """It may begin at any time, and what was cold once is only told where there is tiering."""
        self._tiered = self._tiered or bool(self._ask(steps.TIERED))
        return self._tiered

    def _run(self, work: Steps[T]) -> T:
        try:
            step = next(work)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                step = work.send(self._ask(step) if isinstance(step, Ask) else None)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _ask(self, ask: Ask) -> Any:
        with self._cursor() as cursor:
            row = cursor.execute(ask.query, ask.values).fetchone()
        return row and row["answer"]

    @contextmanager
    def _cursor(self, *, pipeline: bool = False) -> Iterator[Cursor[DictRow]]:
        with super()._cursor(pipeline=pipeline) as cursor:
            if ask := FIRST.get():
                cursor.execute(ask.query, ask.values)
            yield cursor


@contextmanager
def open_saver(
    source: str | os.PathLike[str] | None = None,
    *,
    max_size: int = 4,
    serde: SerializerProtocol | None = None,
    patience: float = PATIENCE,
    blobs: str | os.PathLike[str] | bool = True,
) -> Iterator[CheckpointStoreSaver]:
    """A saver on a pool of at most `max_size` connections, which end with it.

    `source` is a folder that the binding Secret is mounted at, or a connection string; binding.py says where it is
    looked for without. `blobs` is the folder of the Secret about values that go to the object store; with True it is
    looked for too, and where there is none, or with False, all values stay. Raises BindingNotFound.
    """
    serde = serializer.bound(serde, blobs)
    with ConnectionPool[Connection[DictRow]](
        connection_string(source),
        connection_class=Connection[DictRow],
        min_size=1,
        max_size=max_size,
        # After a failover a call finds a connection that lives.
        check=ConnectionPool.check_connection,
        kwargs=OPTIONS,
    ) as pool:
        yield CheckpointStoreSaver(pool, serde=serde, patience=patience)
