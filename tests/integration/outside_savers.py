"""Savers that keep large values outside, and what they write in the tests."""

from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from checkpointstore.client import (
    BlobSerializer,
    BlobStore,
    open_async_saver,
    open_saver,
)
from tests.integration.graphs import config
from tests.integration.outside import document, longest
from tests.integration.tiering import Store

TEXT = document(5_000_000)
PAGES = [document(1_000, seed) for seed in range(200)]
START = {"document": TEXT, "pages": PAGES}
VALUES = (TEXT, PAGES, START)
"""What is outside then: a graph's input is a value too."""
MOST = 5_000


def serializer(blobs: Path, **given: Any) -> BlobSerializer:
    """That of a process of its own, which has seen nothing yet."""
    return BlobSerializer(BlobStore(blobs, patience=1), **given)


@contextmanager
def stock(uri: str, serde: Any) -> Iterator[PostgresSaver]:
    with PostgresSaver.from_conn_string(uri) as saver:
        saver.serde = serde
        yield saver


@asynccontextmanager
async def stock_async(uri: str, serde: Any) -> AsyncIterator[AsyncPostgresSaver]:
    async with AsyncPostgresSaver.from_conn_string(uri, serde=serde) as saver:
        yield saver


def ours(uri: str, serde: Any) -> AbstractContextManager[PostgresSaver]:
    return open_saver(uri, serde=serde)


def ours_async(uri: str, serde: Any) -> AbstractAsyncContextManager[AsyncPostgresSaver]:
    return open_async_saver(uri, serde=serde)


SYNC = pytest.mark.parametrize("saver", [ours, stock])
ASYNC = pytest.mark.parametrize("saver", [ours_async, stock_async])


def small(store: Store, saver: Any) -> bool:
    """Whether each row is; a stock saver keeps long texts in the checkpoint's."""
    with store.server.admin("app") as connection:
        found = longest(connection)
    if saver in (stock, stock_async):
        assert found.pop("checkpoints") > len(TEXT)
    return max(found.values()) < MOST


def whole_checkpoint(**values: Any) -> Any:
    return {**empty_checkpoint(), "v": 4, "channel_values": values, "channel_versions": dict.fromkeys(values, "1")}


def belonging_to(thread: str) -> Any:
    return config(thread, empty_checkpoint()["id"])
