"""Stock savers as an application uses them; nothing of ours in them."""

import asyncio
import warnings
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.postgres.shallow import ShallowPostgresSaver


def setup(uri: str) -> None:
    with PostgresSaver.from_conn_string(uri) as saver:
        saver.setup()


def setup_shallow(uri: str) -> None:
    with (
        warnings.catch_warnings(action="ignore", category=DeprecationWarning),
        ShallowPostgresSaver.from_conn_string(uri) as saver,
    ):
        saver.setup()


def remember(uri: str, thread: str, words: list[str]) -> None:
    """Put a checkpoint with a blob and an inline value, and a pending write."""
    with PostgresSaver.from_conn_string(uri) as saver:
        saved = saver.put(_config(thread), _checkpoint(words), {"source": "loop", "step": 1}, {"words": "1"})
        saver.put_writes(saved, [("words", "pending")], "task")


async def _remember(uri: str, thread: str, words: list[str]) -> None:
    async with AsyncPostgresSaver.from_conn_string(uri) as saver:
        saved = await saver.aput(_config(thread), _checkpoint(words), {"source": "loop", "step": 1}, {"words": "1"})
        await saver.aput_writes(saved, [("words", "pending")], "task")


def remember_async(uri: str, thread: str, words: list[str]) -> None:
    asyncio.run(_remember(uri, thread, words))


def recall(uri: str, thread: str) -> list[Any]:
    """The thread's channel values, its pending writes, and how many checkpoints a filtered list finds."""
    with PostgresSaver.from_conn_string(uri) as saver:
        found = saver.get_tuple(_config(thread))
        assert found is not None
        listed = list(saver.list(_config(thread), filter={"source": "loop"}, limit=10))
        return [found.checkpoint["channel_values"], found.pending_writes, len(listed)]


async def _recall(uri: str, thread: str) -> list[Any]:
    async with AsyncPostgresSaver.from_conn_string(uri) as saver:
        found = await saver.aget_tuple(_config(thread))
        assert found is not None
        listed = [item async for item in saver.alist(_config(thread), filter={"source": "loop"}, limit=10)]
        return [found.checkpoint["channel_values"], found.pending_writes, len(listed)]


def recall_async(uri: str, thread: str) -> list[Any]:
    return asyncio.run(_recall(uri, thread))


def recalled(words: list[str]) -> list[Any]:
    """What recall() says after one remember()."""
    return [{"words": words, "topic": "inline"}, [("task", "words", "pending")], 1]


def _config(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}


def _checkpoint(words: list[str]) -> Checkpoint:
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"words": words, "topic": "inline"}
    checkpoint["channel_versions"] = {"words": "1", "topic": "1"}
    return checkpoint
