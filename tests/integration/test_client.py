"""Our savers on threads that are cold: LangGraph's own conformance suite with everything cold between its calls."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.initializer import RegisteredCheckpointer
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command

from checkpointstore.client import (
    AsyncCheckpointStoreSaver,
    CheckpointStoreSaver,
    RecallFailed,
    open_async_saver,
    open_saver,
)
from tests.integration import graphs, objectstore
from tests.integration.frost import Frost, frost
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS
from tests.integration.pruning import shifted
from tests.integration.tiering import WHOLE, Store

CAPABILITIES = {
    "put", "put_writes", "get_tuple", "list", "delete_thread", "delete_for_runs", "copy_thread", "prune",
}  # fmt: skip


@pytest.fixture
def freeze(store: Store) -> Iterator[Frost]:
    with frost(store) as made:
        yield made


class Frozen(BaseCheckpointSaver[str]):
    """A saver before each of whose calls all threads become cold; the suite only awaits."""

    def __init__(self, saver: Any, freeze: Callable[[], None]) -> None:
        super().__init__(serde=saver.serde)
        self._saver, self._freeze = saver, freeze

    async def _call(self, name: str, *given: Any, **named: Any) -> Any:
        await asyncio.to_thread(self._freeze)
        if isinstance(self._saver, AsyncCheckpointStoreSaver):
            return await getattr(self._saver, f"a{name}")(*given, **named)
        return await asyncio.to_thread(getattr(self._saver, name), *given, **named)

    async def aput(self, *given: Any) -> Any:
        return await self._call("put", *given)

    async def aput_writes(self, *given: Any, **named: Any) -> None:
        await self._call("put_writes", *given, **named)

    async def aget_tuple(self, config: Any) -> Any:
        return await self._call("get_tuple", config)

    async def alist(self, config: Any, **named: Any) -> AsyncIterator[Any]:
        await asyncio.to_thread(self._freeze)
        if isinstance(self._saver, AsyncCheckpointStoreSaver):
            found = [item async for item in self._saver.alist(config, **named)]
        else:
            found = await asyncio.to_thread(lambda: list(self._saver.list(config, **named)))
        for item in found:
            yield item

    async def adelete_thread(self, thread_id: str) -> None:
        await self._call("delete_thread", thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await self._call("delete_for_runs", run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self._call("copy_thread", source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await self._call("prune", thread_ids, strategy=strategy)


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
def test_the_conformance_suite_passes_with_every_thread_cold_between_its_calls(
    store: Store, freeze: Frost, waits: bool
) -> None:
    uri = store.server.uri("app_a", PASSWORDS["app_a"])

    @checkpointer_test(name="cold")
    async def cold() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        if waits:
            async with open_async_saver(uri) as saver:
                yield Frozen(saver, freeze)
        else:
            with open_saver(uri) as other:
                yield Frozen(other, freeze)

    conforms(cold)
    assert freeze.moved > 250


def conforms(registered: RegisteredCheckpointer) -> None:
    """All of the suite ran, and nothing of it failed."""
    report = asyncio.run(validate(registered))
    assert [line for result in report.results.values() for line in result.failures] == []
    assert {name for name, result in report.results.items() if result.detected} == CAPABILITIES
    assert sum(result.tests_passed for result in report.results.values()) >= 81


def test_the_conformance_suite_passes_where_there_is_no_tiering(store: Store) -> None:
    @checkpointer_test(name="plain")
    async def plain() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        async with open_async_saver(store.server.uri("app_a", PASSWORDS["app_a"])) as saver:
            yield saver

    conforms(plain)


@pytest.fixture
def saver(store: Store) -> Iterator[CheckpointStoreSaver]:
    with open_saver(store.server.uri("app_a", PASSWORDS["app_a"]), patience=10) as made:
        yield made


@pytest.mark.parametrize("graph", [graphs.chat, graphs.delta, graphs.remembering])
def test_a_conversation_whose_thread_is_cold_before_each_turn(
    store: Store, freeze: Frost, saver: CheckpointStoreSaver, graph: Callable[..., Any]
) -> None:
    agent = graph(saver)
    for turn in range(4):
        graphs.talk(agent, "one", 1, first=turn)
        freeze()
    assert agent.get_state(config("one")).values["turns"] == 4
    freeze()
    states = list(agent.get_state_history(config("one")))
    assert [state.values.get("turns") for state in states if state.next == ()] == [4, 3, 2, 1]
    second = next(state for state in states if state.values.get("turns") == 2 and not state.next)
    freeze()
    forked = agent.update_state(second.config, {"said": ["forked"]})
    freeze()
    assert agent.get_state(forked).values["said"] == [*second.values["said"], "forked"]


def test_an_interrupt_waits_in_the_cold(store: Store, freeze: Frost, saver: CheckpointStoreSaver) -> None:
    agent = graphs.asking(saver)
    agent.invoke({"said": ["q"]}, config("one"))
    freeze()
    [asked] = agent.get_state(config("one")).interrupts
    assert asked.value == "who?"
    freeze()
    assert agent.invoke(Command(resume="me"), config("one"))["said"][-1] == "told me"


def test_nothing_is_written_beneath_what_is_cold(store: Store, freeze: Frost, saver: CheckpointStoreSaver) -> None:
    graphs.talk(graphs.chat(saver), "one", 2)
    before, head = store.read("one"), saver.get_tuple(config("one"))
    assert head is not None
    freeze()
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"])) as connection:
        place = ["one", "", head.checkpoint["id"]]
        with pytest.raises(psycopg.Error, match="is cold") as caught:
            connection.execute("SELECT checkpointstore.assert_hot(%s, %s, %s)", place)
        assert caught.value.sqlstate == "CS001"
    child: Any = {**head.checkpoint, "id": shifted(head.checkpoint["id"], -1)}
    aside = [file.rename(file.with_suffix(".aside")) for file in store.bucket.objects()]
    saver.patience = 0.3
    for write in (
        lambda: saver.put(head.config, child, {"source": "fork"}, {}),
        lambda: saver.put_writes(head.config, [("said", "late")], "task"),
    ):
        with pytest.raises(RecallFailed, match=r"thread one is not back after 0\.3 s"):
            write()
    assert not any(store.rows().values())
    for file in aside:
        file.rename(file.with_suffix(".parquet"))
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.recalls SET tried = NULL")
    saver.patience = 30
    saver.put(head.config, child, {"source": "fork"}, {})
    after = store.read("one")
    assert {place: after[place] for place in before} == before
    assert after["", child["id"]].checkpoint["channel_values"] == head.checkpoint["channel_values"]


def test_the_first_write_of_a_task_counts(store: Store, freeze: Frost, saver: CheckpointStoreSaver) -> None:
    graphs.talk(graphs.chat(saver), "one", 1)
    head = saver.get_tuple(config("one"))
    assert head is not None
    saver.put_writes(head.config, [("said", "first")], "task")
    freeze()
    saver.put_writes(head.config, [("said", "second")], "task")
    found = saver.get_tuple(config("one"))
    assert found is not None
    assert found.pending_writes == [("task", "said", "first")]


@pytest.mark.parametrize("whole", [True, False])
def test_a_deleted_thread_is_deleted_everywhere(store: Store, saver: CheckpointStoreSaver, whole: bool) -> None:
    for thread in ("one", "two"):
        graphs.talk(graphs.chat(saver), thread, 3)
    store.tier(keepLatestHot=not whole)
    saver.delete_thread("one")
    assert store.ask("one") == "Hot"
    store.drain(store.asked())
    assert saver.get_tuple(config("one")) is None
    assert not any("one" in row for rows in store.rows().values() for row in rows)
    assert store.cold() == {"two"}
    saver.prune(["two"], strategy="delete")
    assert store.cold() == set()
    store.tier()
    store.tier()
    assert store.bucket.objects() == []


def test_a_deletion_waits_for_a_recall_that_is_under_way(store: Store, saver: CheckpointStoreSaver) -> None:
    graphs.talk(graphs.chat(saver), "one", 3)
    store.tier(**WHOLE)
    assert store.ask("one") == "Queued"
    goes, deleted = threading.Event(), threading.Event()

    def held(method: str, path: str) -> str:
        goes.wait(10)
        return ""

    store.bucket.fault = held
    bringing = threading.Thread(target=store.drain, args=[store.asked()])
    bringing.start()
    objectstore.until(lambda: store.catalog("SELECT FROM pg_locks WHERE locktype = 'advisory'") != [])

    def delete() -> None:
        saver.delete_thread("one")
        deleted.set()

    deleting = threading.Thread(target=delete)
    deleting.start()
    assert not deleted.wait(0.5)
    goes.set()
    bringing.join()
    deleting.join()
    assert (store.cold(), any(store.rows().values())) == (set(), False)


def test_threads_of_runs_that_are_deleted_come_back_without_them(
    store: Store, freeze: Frost, saver: CheckpointStoreSaver
) -> None:
    agent = graphs.chat(saver)
    runs = [str(uuid4()), str(uuid4())]
    for run in runs:
        agent.invoke({"said": ["q"]}, {**config("one"), "run_id": run, "metadata": {"run_id": run}})
    graphs.talk(agent, "other", 1)
    freeze()
    saver.delete_for_runs(runs[1:])
    assert store.cold() == {"other"}, "of others nothing is brought back"
    assert {item.metadata.get("run_id") for item in saver.list(config("one"))} == {runs[0]}
    assert store.loose() == []
    head = saver.get_tuple(config("one"))
    assert head is not None
    assert head.checkpoint["channel_values"]["turns"] == 1


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
def test_a_list_of_all_threads_has_the_newest_of_those_that_are_cold(store: Store, waits: bool) -> None:
    uri = store.server.uri("app_a", PASSWORDS["app_a"])
    with store.saver() as stock:
        for thread in ("one", "two", "three"):
            graphs.chat(stock).invoke({"said": [thread]}, {**config(thread), "metadata": {"user": thread}})
    before = {place[1]: item for thread in ("one", "two", "three") for place, item in store.read(thread).items()}
    store.tier(**WHOLE)
    store.recall("two")

    def found(**asked: Any) -> list[Any]:
        async def awaited() -> list[Any]:
            async with open_async_saver(uri) as saver:
                return [item async for item in saver.alist(None, **asked)]

        if waits:
            return asyncio.run(awaited())
        with open_saver(uri) as saver:
            return list(saver.list(None, **asked))

    everything = found()
    ids = [item.config["configurable"]["checkpoint_id"] for item in everything]
    threads = [item.config["configurable"]["thread_id"] for item in everything]
    assert ids == sorted(ids, reverse=True)
    assert threads == ["three", *["two"] * 3, "one"]
    for item in everything:
        was = before[item.config["configurable"]["checkpoint_id"]]
        assert (item.config, item.metadata, item.parent_config) == (was.config, was.metadata, was.parent_config)
    assert (everything[0].checkpoint["channel_values"]["turns"], everything[0].pending_writes) == (1, [])
    assert [item.config["configurable"]["thread_id"] for item in found(filter={"user": "one"})] == ["one"]
    assert [item.config["configurable"]["checkpoint_id"] for item in found(limit=2)] == ids[:2]
    assert [item.config["configurable"]["checkpoint_id"] for item in found(before=everything[2].config)] == ids[3:]
    assert store.cold() == {"one", "three"}, "a list brings nothing back"


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("cold", [False, True])
def test_a_list_of_all_threads_has_one_once_that_comes_or_goes_meanwhile(
    store: Store, uri: str, monkeypatch: pytest.MonkeyPatch, waits: bool, cold: bool
) -> None:
    with store.saver() as stock:
        graphs.talk(graphs.chat(stock), "one", 1)
    if cold:
        store.tier(**WHOLE)
    hot, hot_async = PostgresSaver.list, AsyncPostgresSaver.alist

    def other() -> None:
        store.recall("one") if cold else store.tier(**WHOLE)

    def then(*given: Any, **asked: Any) -> Iterator[Any]:
        yield from hot(*given, **asked)
        other()

    async def then_async(*given: Any, **asked: Any) -> AsyncIterator[Any]:
        async for item in hot_async(*given, **asked):
            yield item
        other()

    monkeypatch.setattr(PostgresSaver, "list", then)
    monkeypatch.setattr(AsyncPostgresSaver, "alist", then_async)

    async def awaited() -> list[Any]:
        async with open_async_saver(uri) as saver:
            return [item async for item in saver.alist(None)]

    if waits:
        found = asyncio.run(awaited())
    else:
        with open_saver(uri) as saver:
            found = list(saver.list(None))
    ids = [item.config["configurable"]["checkpoint_id"] for item in found]
    assert len(ids) == len({*ids}) == (1 if cold else 3)


def test_calls_on_a_pool_run_side_by_side(store: Store, saver: CheckpointStoreSaver) -> None:
    """A stock saver's second call waits for the first, however many connections there are."""
    with saver._cursor() as first, saver._cursor() as second:
        assert first.connection is not second.connection
