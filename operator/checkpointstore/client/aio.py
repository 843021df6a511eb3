"""The same as saver.py, for AsyncPostgresSaver."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
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
from langgraph.checkpoint.postgres._ainternal import Conn
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from . import serializer, steps
from .binding import connection_string
from .saver import FIRST, OPTIONS
from .steps import PATIENCE, Ask, Pause, Steps

T = TypeVar("T")


class AsyncCheckpointStoreSaver(AsyncPostgresSaver):
    """An AsyncPostgresSaver whose threads may be in the object store; CheckpointStoreSaver says what that means."""

    def __init__(
        self,
        conn: Conn,
        pipe: AsyncPipeline | None = None,
        serde: SerializerProtocol | None = None,
        *,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(conn, pipe, serde)
        self.patience = patience
        self._tiered: bool | None = None
        if isinstance(conn, AsyncConnectionPool):
            self.lock = nullcontext()  # type: ignore[assignment]

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        row = await super().aget_tuple(config)
        if row is None and await self._brought_back(config):
            row = await super().aget_tuple(config)
        return row and await self._loaded(row)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Of a thread, all of it. Of all threads (`config` is None), what is hot, and of each that is cold its newest
        checkpoint, without what is kept beside it: only values that are text, numbers or nothing.
        """
        if config is not None:
            await self._brought_back(config)
            rows: Any = [row async for row in super().alist(config, filter=filter, before=before, limit=limit)]
        else:
            asked = steps.heads(filter, get_checkpoint_id(before) if before else None, limit)
            tiered = await self._is_tiered()
            # On both sides, as threads come and go meanwhile.
            cold = await self._ask(asked) if tiered else []
            hot: Any = [row async for row in super().alist(None, filter=filter, before=before, limit=limit)]
            cold += await self._ask(asked) if tiered else []
            rows = steps.newest_first(hot, cold, limit)
        for row in rows:
            yield await self._loaded(row)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        if channels:
            await self._brought_back(config)
        found = await super().aget_delta_channel_history(config=config, channels=channels)
        return await asyncio.to_thread(found) if isinstance(found, partial) else found

    def _build_delta_channels_writes_history(self, **rows: Any) -> Any:
        """Left for a thread, as the stock saver calls it in the event loop."""
        build = super()._build_delta_channels_writes_history
        return partial(build, **rows) if serializer.within(self.serde) else build(**rows)

    async def _load_checkpoint_tuple(self, value: DictRow) -> Any:
        """Not yet, as the stock saver still has its connection, and values may be in the object store."""
        return value

    async def _loaded(self, row: Any) -> CheckpointTuple:
        """The stock saver decodes channels in the event loop, which must not wait for the object store."""
        if not serializer.within(self.serde):
            return await super()._load_checkpoint_tuple(row)
        values = await asyncio.to_thread(self._load_blobs, row["channel_values"])
        found = await super()._load_checkpoint_tuple({**row, "channel_values": None})
        found.checkpoint["channel_values"].update(values)
        return found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if blobs := serializer.within(self.serde):
            checkpoint, new_versions = await asyncio.to_thread(blobs.ahead, checkpoint, new_versions)
        return await self._on_hot(
            config, lambda: AsyncPostgresSaver.aput(self, config, checkpoint, metadata, new_versions)
        )

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        # The stock saver serializes them before it takes a connection.
        await self._on_hot(config, lambda: AsyncPostgresSaver.aput_writes(self, config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        if await self._is_tiered():
            await self._ask(steps.delete(str(thread_id)))
        else:
            await super().adelete_thread(thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        runs = [str(run) for run in run_ids]
        if runs and await self._is_tiered():
            for thread in await self._ask(steps.cold_of_runs(runs)):
                await self._run(steps.bring_back(thread, self.patience))
        if runs:
            await self._ask(steps.delete_runs(runs))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        source, target = str(source_thread_id), str(target_thread_id)
        if source != target:
            await self._all_hot(source)
            await self._ask(steps.copy(source, target))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        if strategy == "keep_latest" and not isinstance(thread_ids, str):
            for thread in thread_ids:
                await self._all_hot(str(thread))
        await super().aprune(thread_ids, strategy=strategy)
        if strategy == "delete" and thread_ids and await self._is_tiered():
            for thread in thread_ids:
                await self._ask(steps.delete(str(thread)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """From another thread than the loop's, as the stock saver's calls that do not wait."""
        asyncio.run_coroutine_threadsafe(self.adelete_for_runs(run_ids), self.loop).result()

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        asyncio.run_coroutine_threadsafe(self.acopy_thread(source_thread_id, target_thread_id), self.loop).result()

    async def _on_hot(self, config: RunnableConfig, write: Callable[[], Awaitable[T]]) -> T:
        place = config["configurable"]
        if self._tiered is None:
            await self._is_tiered()
        if not self._tiered or not (checkpoint := place.get("checkpoint_id")):
            return await write()
        thread = str(place["thread_id"])
        while True:
            token = FIRST.set(steps.assert_hot(thread, place.get("checkpoint_ns", ""), checkpoint))
            try:
                return await write()
            except psycopg.Error as error:
                if error.sqlstate != steps.COLD:
                    raise
            finally:
                FIRST.reset(token)
            await self._run(steps.bring_back(thread, self.patience))

    async def _brought_back(self, config: RunnableConfig) -> bool:
        return await self._all_hot(str(config["configurable"]["thread_id"]))

    async def _all_hot(self, thread: str) -> bool:
        if not await self._is_tiered():
            return False
        await self._run(steps.bring_back(thread, self.patience))
        return True

    async def _is_tiered(self) -> bool:
        self._tiered = self._tiered or bool(await self._ask(steps.TIERED))
        return self._tiered

    async def _run(self, work: Steps[T]) -> T:
        try:
            step = next(work)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                step = work.send(await self._ask(step) if isinstance(step, Ask) else None)
        except StopIteration as ended:
            result: T = ended.value
            return result

    async def _ask(self, ask: Ask) -> Any:
        async with self._cursor() as cursor:
            row = await (await cursor.execute(ask.query, ask.values)).fetchone()
        return row and row["answer"]

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        async with super()._cursor(pipeline=pipeline) as cursor:
            if ask := FIRST.get():
                await cursor.execute(ask.query, ask.values)
            yield cursor


@asynccontextmanager
async def open_async_saver(
    source: str | os.PathLike[str] | None = None,
    *,
    max_size: int = 4,
    serde: SerializerProtocol | None = None,
    patience: float = PATIENCE,
    blobs: str | os.PathLike[str] | bool = True,
) -> AsyncIterator[AsyncCheckpointStoreSaver]:
    """As open_saver, for a graph that is awaited."""
    serde = serializer.bound(serde, blobs)
    async with AsyncConnectionPool[AsyncConnection[DictRow]](
        connection_string(source),
        connection_class=AsyncConnection[DictRow],
        min_size=1,
        max_size=max_size,
        check=AsyncConnectionPool.check_connection,
        kwargs=OPTIONS,
    ) as pool:
        yield AsyncCheckpointStoreSaver(pool, serde=serde, patience=patience)
