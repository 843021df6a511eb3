"""What goes on while large values are written outside or fetched: connections are free, and so is the event loop."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from checkpointstore.client import (
    open_async_saver,
    open_saver,
)
from tests.integration.graphs import config
from tests.integration.outside import objects
from tests.integration.outside_savers import (
    PAGES,
    TEXT,
    belonging_to,
    serializer,
    whole_checkpoint,
)
from tests.integration.tiering import Store

WRITES = pytest.mark.parametrize(
    ("call", "given"),
    [
        ("put", lambda: (config("one"), whole_checkpoint(pages=PAGES), {}, {"pages": "1"})),
        ("put", lambda: (config("one"), whole_checkpoint(text=TEXT[:100_000]), {}, {})),
        ("put", lambda: (config("one"), whole_checkpoint(delta=_DeltaSnapshot(PAGES)), {}, {"delta": "1"})),
        ("put_writes", lambda: (belonging_to("one"), [("pages", PAGES)], "task")),
    ],
    ids=["value", "text", "delta", "write"],
)


@WRITES
def test_no_connection_is_held_while_the_bucket_is_slow(
    store: Store, uri: str, blobs: Path, call: str, given: Callable[[], Any]
) -> None:
    asked, goes = threading.Event(), threading.Event()
    store.bucket.fault = _holding(asked, goes)
    found: list[Any] = []
    with open_saver(uri, max_size=1, serde=serializer(blobs)) as made:
        writing = threading.Thread(target=getattr(made, call), args=given())
        reading = threading.Thread(target=lambda: found.append(made.get_tuple(config("other"))))
        writing.start()
        assert asked.wait(60)
        reading.start()
        reading.join(20)
        late = reading.is_alive()
        goes.set()
        writing.join()
        reading.join()
    assert (found, late) == ([None], False)
    assert len(objects(store.bucket)) == 1


@WRITES
def test_neither_is_one_where_it_is_awaited(
    store: Store, uri: str, blobs: Path, call: str, given: Callable[[], Any]
) -> None:
    async def both() -> None:
        asked, goes = threading.Event(), threading.Event()
        store.bucket.fault = _holding(asked, goes)
        async with open_async_saver(uri, max_size=1, serde=serializer(blobs)) as made:
            writing = asyncio.create_task(getattr(made, f"a{call}")(*given()))
            try:
                assert await asyncio.to_thread(asked.wait, 60)
                assert await asyncio.wait_for(made.aget_tuple(config("other")), 20) is None
            finally:
                goes.set()
                await writing

    asyncio.run(both())
    assert len(objects(store.bucket)) == 1


READS = pytest.mark.parametrize("call", ["get_tuple", "list"])


def _stored(uri: str, blobs: Path) -> Any:
    with open_saver(uri, serde=serializer(blobs)) as made:
        return made.put(config("one"), whole_checkpoint(pages=PAGES), {}, {"pages": "1"})


@READS
def test_a_read_holds_none_while_it_fetches(store: Store, uri: str, blobs: Path, call: str) -> None:
    head = _stored(uri, blobs)
    with open_saver(uri, max_size=1, serde=serializer(blobs)) as made:
        found: list[Any] = []

        def other(method: str, path: str) -> str:
            found.append(made.get_tuple(config("other")))
            return ""

        store.bucket.fault = other
        got = made.get_tuple(head) if call == "get_tuple" else next(made.list(head))
    assert got
    assert got.checkpoint["channel_values"]["pages"] == PAGES
    assert found == [None], "fetched once, and another call had the only connection meanwhile"


@READS
def test_neither_does_one_that_is_awaited(store: Store, uri: str, blobs: Path, call: str) -> None:
    head = _stored(uri, blobs)

    async def both() -> None:
        asked, goes = threading.Event(), threading.Event()
        store.bucket.fault = _holding(asked, goes)
        async with open_async_saver(uri, max_size=1, serde=serializer(blobs)) as made:
            reading = asyncio.create_task((_got if call == "get_tuple" else _listed)(made, head))
            try:
                assert await asyncio.to_thread(asked.wait, 60)
                assert await asyncio.wait_for(made.aget_tuple(config("other")), 20) is None
            finally:
                goes.set()
                assert await reading == PAGES

    asyncio.run(both())


async def _got(saver: AsyncPostgresSaver, head: Any) -> Any:
    found = await saver.aget_tuple(head)
    assert found
    return found.checkpoint["channel_values"]["pages"]


async def _listed(saver: AsyncPostgresSaver, head: Any) -> Any:
    (found,) = [item async for item in saver.alist(head)]
    return found.checkpoint["channel_values"]["pages"]


async def _seed(saver: AsyncPostgresSaver, head: Any) -> Any:
    return (await saver.aget_delta_channel_history(config=head, channels=["delta"]))["delta"]["seed"].value


async def _writes(saver: AsyncPostgresSaver, head: Any) -> Any:
    ((_, _, value),) = (await saver.aget_delta_channel_history(config=head, channels=["pages"]))["pages"]["writes"]
    return value


@pytest.mark.parametrize("read", [_got, _listed, _seed, _writes])
def test_the_event_loop_goes_on_while_a_value_is_fetched(
    store: Store, uri: str, blobs: Path, read: Callable[..., Any]
) -> None:
    asked, goes, held = threading.Event(), threading.Event(), []

    def fault(method: str, path: str) -> str:
        asked.set()
        held.append(goes.wait(5))
        return ""

    async def both() -> None:
        async with open_async_saver(uri, serde=serializer(blobs)) as made:
            first = await made.aput(config("one"), whole_checkpoint(delta=_DeltaSnapshot(PAGES)), {}, {"delta": "1"})
            await made.aput_writes(first, [("pages", PAGES)], "task")
            head = await made.aput(first, whole_checkpoint(pages=PAGES), {}, {"pages": "1"})
        async with open_async_saver(uri, serde=serializer(blobs)) as made:
            store.bucket.fault = fault
            reading = asyncio.create_task(read(made, head))
            while not asked.is_set():
                await asyncio.sleep(0.01)
            for _ in range(5):
                await asyncio.sleep(0.01)
            goes.set()
            assert await reading == PAGES

    asyncio.run(both())
    assert held
    assert all(held), "the loop let the bucket go on"


def _holding(asked: threading.Event, goes: threading.Event) -> Callable[[str, str], str]:
    """The bucket answers nothing until it may."""

    def held(method: str, path: str) -> str:
        asked.set()
        goes.wait(20)
        return ""

    return held
