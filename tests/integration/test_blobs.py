"""Large values outside of the database, on every saver: once for all threads, as they were, and what fails is told."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import (
    asynccontextmanager,
)
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from obstore.store import S3Store

from checkpointstore.client import (
    AsyncCheckpointStoreSaver,
    open_async_saver,
    open_saver,
    place,
)
from checkpointstore.client.tag import read_one
from tests.integration import graphs, objectstore
from tests.integration.frost import frost
from tests.integration.graphs import config
from tests.integration.outside import longest_of_sqlite, objects, reader
from tests.integration.outside_savers import (
    ASYNC,
    MOST,
    PAGES,
    START,
    SYNC,
    TEXT,
    VALUES,
    serializer,
    small,
    stock_async,
)
from tests.integration.test_client import Frozen, conforms
from tests.integration.tiering import Store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "blobs.md"


@SYNC
def test_a_document_is_one_object_for_all_threads(store: Store, uri: str, blobs: Path, saver: Any) -> None:
    with saver(uri, serializer(blobs)) as made:
        for thread in ("one", "two"):
            agent = reader(made)
            agent.invoke(START, config(thread))
            agent.invoke({}, config(thread))
            assert agent.get_state(config(thread)).values == {**START, "turns": 2}
    assert small(store, saver)
    kinds = {"PUT": 3, "HEAD": 3, "GET": 0}
    assert {kind: sum(method == kind for method, *_ in store.bucket.seen) for kind in kinds} == kinds
    inner = JsonPlusSerializer()
    assert sorted(objects(store.bucket).values()) == sorted(inner.dumps_typed(value)[1] for value in VALUES)
    with saver(uri, serializer(blobs)) as made:
        agent = reader(made)
        assert agent.get_state(config("one")).values == {**START, "turns": 2}
        assert [state.values.get("turns") for state in agent.get_state_history(config("two"))] == [
            2, 1, 1, 1, None, None,
        ]  # fmt: skip
        agent.invoke(START, config("three"))
    assert len(objects(store.bucket)) == len(VALUES)


@ASYNC
def test_the_same_where_it_is_awaited(store: Store, uri: str, blobs: Path, saver: Any) -> None:
    async def talk() -> None:
        async with saver(uri, serializer(blobs)) as made:
            agent = reader(made)
            for thread in ("one", "two"):
                await agent.ainvoke(START, config(thread))
                await agent.ainvoke({}, config(thread))
        async with saver(uri, serializer(blobs)) as made:
            state = await reader(made).aget_state(config("one"))
            assert state.values == {**START, "turns": 2}

    asyncio.run(talk())
    assert small(store, saver)
    assert len(objects(store.bucket)) == len(VALUES)


def test_nothing_of_ours_is_needed_to_read_them(store: Store, uri: str, blobs: Path) -> None:
    """By the page's own code."""
    (code,) = re.findall(r"^```python\n(import obstore.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    there: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec"), there)
    with open_saver(uri, serde=serializer(blobs)) as made:
        reader(made).invoke(START, config("one"))
    at = place.read(blobs)
    bucket = S3Store(
        at.bucket,
        prefix=at.root,
        config={
            "endpoint": at.endpoint,
            "region": at.region,
            "virtual_hosted_style_request": False,
            "access_key_id": at.access_key,
            "secret_access_key": at.secret_key,
        },
        client_options={"root_certificate": at.authority},
    )
    with psycopg.connect(uri) as connection:
        found = {channel: value for channel, _, value in there["values"](connection, bucket, "one")}
    assert {channel: found[channel] for channel in ("document", "pages", "__start__")} == {**START, "__start__": START}


def test_on_sqlite_nothing_large_is_in_the_file(bucket: objectstore.Bucket, blobs: Path, tmp_path: Path) -> None:
    async def talk() -> None:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "async.db")) as saver:
            saver.serde = serializer(blobs)
            agent = reader(saver)
            for thread in ("one", "two"):
                await agent.ainvoke(START, config(thread))
                await agent.ainvoke({}, config(thread))
            state = await reader(saver).aget_state(config("one"))
            assert state.values == {**START, "turns": 2}

    asyncio.run(talk())
    with SqliteSaver.from_conn_string(str(tmp_path / "sync.db")) as saver:
        saver.serde = serializer(blobs)
        reader(saver).invoke(START, config("one"))
    with SqliteSaver.from_conn_string(str(tmp_path / "async.db")) as saver:
        saver.serde = serializer(blobs)
        assert reader(saver).get_state(config("two")).values == {**START, "turns": 2}
    for name in ("async.db", "sync.db"):
        assert max(longest_of_sqlite(tmp_path / name).values()) < MOST
    assert len(objects(bucket)) == len(VALUES)


def test_in_memory(bucket: objectstore.Bucket, blobs: Path) -> None:
    saver = InMemorySaver(serde=serializer(blobs))
    agent = reader(saver)
    agent.invoke(START, config("one"))
    assert agent.get_state(config("one")).values == {**START, "turns": 1}
    assert max(len(blob) for _, blob in saver.blobs.values()) < MOST
    assert len(objects(bucket)) == len(VALUES)


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
def test_the_conformance_suite_passes_with_nearly_everything_outside(
    uri: str, bucket: objectstore.Bucket, blobs: Path, waits: bool
) -> None:
    (blobs / "above").write_text("1")

    @checkpointer_test(name="outside")
    async def outside() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        if waits:
            async with open_async_saver(uri, blobs=blobs) as saver:
                yield saver
        else:
            with open_saver(uri, blobs=blobs) as other:
                yield Frozen(other, lambda: None)

    conforms(outside)
    assert len(objects(bucket)) > 20


@asynccontextmanager
async def sqlite(uri: str, serde: Any) -> AsyncIterator[AsyncSqliteSaver]:
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        saver.serde = serde
        yield saver


@asynccontextmanager
async def memory(uri: str, serde: Any) -> AsyncIterator[InMemorySaver]:
    yield InMemorySaver(serde=serde)


@pytest.mark.parametrize("saver", [stock_async, sqlite, memory])
def test_a_stock_saver_passes_as_much_of_the_conformance_suite_as_without_it(
    uri: str, bucket: objectstore.Bucket, blobs: Path, saver: Any
) -> None:
    (blobs / "above").write_text("1")

    def passed(serde: Any) -> dict[str, Any]:
        @checkpointer_test(name="stock")
        async def made() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
            async with saver(uri, serde) as opened:
                yield opened

        report = asyncio.run(validate(made))
        return {name: (found.tests_passed, len(found.failures)) for name, found in report.results.items()}

    assert passed(serializer(blobs)) == passed(JsonPlusSerializer())
    assert len(objects(bucket)) > 10


KEY = b"sixteen bytes or"


@SYNC
def test_encrypted_outside_only_the_row_is(store: Store, uri: str, blobs: Path, saver: Any) -> None:
    serde = EncryptedSerializer.from_pycryptodome_aes(serializer(blobs), key=KEY)
    with saver(uri, serde) as made:
        for thread in ("one", "two"):
            reader(made).invoke(START, config(thread))
        assert reader(made).get_state(config("one")).values == {**START, "turns": 1}
    kinds = [
        row[0] for row in store.catalog("SELECT DISTINCT type FROM public.checkpoint_blobs WHERE channel = 'pages'")
    ]
    assert {found[1] for kind in kinds if (found := read_one(kind))} == {"msgpack+aes"}
    assert len(objects(store.bucket)) == len(VALUES), "the same for both threads"
    assert any(PAGES[0].encode() in content for content in objects(store.bucket).values())


@SYNC
def test_encrypted_inside_the_object_is(store: Store, uri: str, blobs: Path, saver: Any) -> None:
    serde = serializer(blobs, serde=EncryptedSerializer.from_pycryptodome_aes(key=KEY))
    with saver(uri, serde) as made:
        for thread in ("one", "two"):
            reader(made).invoke(START, config(thread))
        assert reader(made).get_state(config("one")).values == {**START, "turns": 1}
    found = objects(store.bucket).values()
    assert len(found) > len(VALUES), "a value is another one each time"
    assert not any(PAGES[0].encode() in content or TEXT[:1000].encode() in content for content in found)


def test_a_text_that_a_stock_saver_left_in_itswhole_checkpoint(store: Store, uri: str, blobs: Path) -> None:
    """The version stays the same, so its row is only written because each checkpoint's is."""
    with PostgresSaver.from_conn_string(uri) as saver:
        reader(saver).invoke(START, config("one"))
    with open_saver(uri, serde=serializer(blobs)) as made:
        agent = reader(made)
        agent.invoke({}, config("one"))
        assert agent.get_state(config("one")).values == {**START, "turns": 2}
        assert [state.values.get("document") for state in agent.get_state_history(config("one"))] == [*[TEXT] * 5, None]
    assert store.catalog("SELECT max(length(checkpoint::text)) FROM public.checkpoints WHERE metadata->>'step' = '3'")[
        0
    ] < (MOST,)


def test_a_document_of_a_thread_that_is_cold(store: Store, uri: str, blobs: Path) -> None:
    with open_saver(uri, serde=serializer(blobs)) as made, frost(store) as freeze:
        agent = reader(made)
        agent.invoke(START, config("one"))
        for turn in (2, 3):
            freeze()
            agent.invoke({}, config("one"))
            assert agent.get_state(config("one")).values == {**START, "turns": turn}


def test_deltas_of_long_values(store: Store, uri: str, blobs: Path) -> None:
    (blobs / "above").write_text("64")
    with open_saver(uri, serde=serializer(blobs)) as made:
        agent = graphs.delta(made)
        graphs.talk(agent, "one", 6)
        there = agent.get_state(config("one")).values
    with open_saver(uri) as plain:
        graphs.talk(graphs.delta(plain), "other", 6)
        assert there == graphs.delta(plain).get_state(config("other")).values


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
def test_a_saver_finds_its_blobs_beside_its_database(
    store: Store, uri: str, blobs: Path, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    database = blobs.parent / "agents"
    database.mkdir()
    for name, value in {"type": "postgresql", "provider": "checkpointstore", "uri": uri}.items():
        (database / name).write_text(value)
    monkeypatch.setenv("SERVICE_BINDING_ROOT", str(blobs.parent))
    monkeypatch.delenv("DATABASE_URI", raising=False)

    async def awaited(**given: Any) -> None:
        async with open_async_saver(**given) as saver:
            assert isinstance(saver, AsyncCheckpointStoreSaver)
            await reader(saver).ainvoke(START, config("one"))

    def invoke(**given: Any) -> None:
        if waits:
            return asyncio.run(awaited(**given))
        with open_saver(**given) as saver:
            reader(saver).invoke(START, config("one"))
        return None

    invoke(blobs=False)
    assert objects(store.bucket) == {}
    invoke()
    assert len(objects(store.bucket)) == len(VALUES)
