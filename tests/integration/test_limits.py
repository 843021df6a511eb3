"""Checkpoints that are too large are refused by the database itself, whatever saver puts them; others pay nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.errors import ProgramLimitExceeded

from tests.integration.job import PASSWORDS, Job
from tests.integration.server import Server

KIB = 1024
LIMIT = 64 * KIB
CONFIG: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


def limited(job: Job, limit: int) -> Job:
    return replace(job, request={**job.request, "limit": limit})


@pytest.fixture
def uri(patroni: Job, server: Server) -> str:
    assert limited(patroni, LIMIT).run().code == 0
    return server.uri("app_a", PASSWORDS["app_a"])


@pytest.fixture
def saver(uri: str) -> Iterator[PostgresSaver]:
    with PostgresSaver.from_conn_string(uri) as made:
        yield made


def checkpoint(number: int, **values: int) -> tuple[Checkpoint, dict[str, str]]:
    """One whose channels have values of so many bytes, and the versions that are new in it."""
    versions = dict.fromkeys(values, f"{number:032}.0")
    made: Checkpoint = {
        **empty_checkpoint(),
        "v": 4,
        "channel_values": {name: ["x" * size] for name, size in values.items()},
        "channel_versions": dict(versions),
    }
    return made, versions


def put(saver: PostgresSaver, number: int, **values: int) -> RunnableConfig:
    made, versions = checkpoint(number, **values)
    return saver.put(CONFIG, made, {}, versions)  # type: ignore[arg-type]


def test_one_that_is_too_large_is_refused_and_leaves_nothing(saver: PostgresSaver, uri: str) -> None:
    put(saver, 1, words=10 * KIB)
    with pytest.raises(ProgramLimitExceeded) as refused:
        put(saver, 2, words=40 * KIB, notes=30 * KIB)
    text = str(refused.value)
    for said in (
        'thread "t"',
        "more than the limit of 64 kB",
        'channel "words" has 40 kB',
        "spec.limits.checkpointSize",
    ):
        assert said in text
    found = saver.get_tuple(CONFIG)
    assert found
    assert found.checkpoint["channel_values"] == {"words": ["x" * 10 * KIB]}
    with psycopg.connect(uri) as connection:
        assert connection.execute("SELECT count(*) FROM checkpoint_blobs").fetchone() == (1,)
    put(saver, 3, words=20 * KIB)


def test_an_asynchronous_saver_gets_the_same_error(uri: str) -> None:
    async def story() -> None:
        async with AsyncPostgresSaver.from_conn_string(uri) as saver:
            made, versions = checkpoint(1, words=70 * KIB)
            with pytest.raises(ProgramLimitExceeded, match='thread "t"'):
                await saver.aput(CONFIG, made, {}, versions)  # type: ignore[arg-type]

    asyncio.run(story())


def test_what_was_put_before_counts_with_what_is_put(saver: PostgresSaver) -> None:
    """An old value that the new checkpoint still has, and one that it has no more."""
    put(saver, 1, document=50 * KIB)
    made, versions = checkpoint(2, words=20 * KIB)
    made["channel_versions"]["document"] = f"{1:032}.0"
    with pytest.raises(ProgramLimitExceeded, match='channel "document" has 50 kB'):
        saver.put(CONFIG, made, {}, versions)  # type: ignore[arg-type]
    put(saver, 3, words=20 * KIB)


def test_pending_writes_count_too(saver: PostgresSaver) -> None:
    config = put(saver, 1, words=30 * KIB)
    saver.put_writes(config, [("words", ["y" * 20 * KIB])], "one")
    with pytest.raises(ProgramLimitExceeded, match='channel "words" has 30 kB'):
        saver.put_writes(config, [("words", ["y" * 20 * KIB])], "two")
    found = saver.get_tuple(config)
    assert found
    assert [task for task, _, _ in found.pending_writes or []] == ["one"]


def test_values_in_the_checkpoints_own_row_count_too(saver: PostgresSaver) -> None:
    """Where a saver puts top-level strings and numbers."""
    made, versions = checkpoint(1)
    made["channel_values"] = {"text": "x" * 70 * KIB}
    with pytest.raises(ProgramLimitExceeded, match='channel "text" has 70 kB'):
        saver.put(CONFIG, made, {}, versions)  # type: ignore[arg-type]
    made["channel_values"] = {"text": "x" * 40 * KIB}
    config = saver.put(CONFIG, made, {}, versions)  # type: ignore[arg-type]
    with pytest.raises(ProgramLimitExceeded):
        saver.put_writes(config, [("words", ["y" * 30 * KIB])], "one")


def test_thousands_of_small_writes_are_added_up_before_long(saver: PostgresSaver) -> None:
    config = put(saver, 1, words=KIB)
    with pytest.raises(ProgramLimitExceeded):
        flood(saver, config)
    found = saver.get_tuple(config)
    assert found
    assert 5_000 < len(found.pending_writes or []) < 8_000


def flood(saver: PostgresSaver, config: RunnableConfig) -> None:
    for task in range(40):
        saver.put_writes(config, [("words", "y" * 10)] * 500, f"task {task}")


@pytest.mark.parametrize("odd", [None, [], "text"])
def test_a_checkpoint_of_another_form_is_not_refused_for_it(odd: Any, saver: PostgresSaver) -> None:
    made, versions = checkpoint(1, words=5 * KIB)
    made["channel_versions"] = odd
    saver.put(CONFIG, made, {}, versions)  # type: ignore[arg-type]


def test_what_an_application_makes_under_its_names_is_no_limit(patroni: Job, server: Server) -> None:
    assert patroni.run().code == 0
    with psycopg.connect(server.uri("app_a", PASSWORDS["app_a"])) as connection:
        connection.execute(
            "CREATE FUNCTION public.checkpointstore_limit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        )
        connection.execute(f"COMMENT ON FUNCTION public.checkpointstore_limit() IS 'checkpointstore limit 1 {LIMIT}'")
    refused = limited(patroni, LIMIT).run()
    assert refused.outcome["reason"] == "InsufficientPrivilege"
    assert "drop public.checkpointstore_limit()" in refused.outcome["message"]
    with server.admin("app") as connection:
        connection.execute("DROP FUNCTION public.checkpointstore_limit()")
    assert limited(patroni, LIMIT).run().code == 0
    with server.admin("app") as connection:
        connection.execute("ALTER TABLE public.checkpoints DISABLE TRIGGER checkpointstore_limit")
    mended = limited(patroni, LIMIT).run()
    assert (mended.code, [step for step in mended.steps if "limit" in step]) == (
        0,
        ["limit checkpoints to 65536 bytes"],
    )


def test_many_values_that_are_small_by_themselves_are_added_up(saver: PostgresSaver) -> None:
    with pytest.raises(ProgramLimitExceeded):
        put(saver, 1, **{f"channel{number}": KIB for number in range(70)})


def test_it_warns_from_four_fifths_on(uri: str) -> None:
    notices: list[str] = []
    with psycopg.connect(uri, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
        connection.add_notice_handler(lambda told: notices.append(str(told.message_primary)))
        saver = PostgresSaver(connection)
        put(saver, 1, words=50 * KIB)
        assert notices == []
        put(saver, 2, words=53 * KIB)
        mark = connection.execute("SELECT current_setting('checkpointstore.large', true) AS mark").fetchone()
    assert mark == {"mark": ""}, "the next transaction, maybe of another client, has nothing to add up"
    (notice,) = notices
    assert 'thread "t" has 53 kB, nearly the limit of 64 kB' in notice


@pytest.mark.parametrize("limit", [10 * KIB, 1024 * KIB])
def test_another_limit_and_none_are_taken_up(limit: int, patroni: Job, uri: str) -> None:
    job = limited(patroni, limit)
    assert job.run().code == 0
    assert limited(patroni, limit).run().code == 0, "twice is as once"
    with PostgresSaver.from_conn_string(uri) as saver:
        put(saver, 1, words=limit - 100)
        with pytest.raises(ProgramLimitExceeded):
            put(saver, 2, words=limit + 1)
    assert patroni.run().code == 0
    with PostgresSaver.from_conn_string(uri) as saver:
        put(saver, 3, words=2 * limit)
    assert triggers(uri) == 0


def triggers(uri: str) -> Any:
    asked = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'checkpointstore%'"
    with psycopg.connect(uri) as connection:
        row = connection.execute(asked).fetchone()
        assert row
        return row[0]


def test_what_is_there_and_too_large_stays_readable(patroni: Job, server: Server) -> None:
    assert patroni.run().code == 0
    uri = server.uri("app_a", PASSWORDS["app_a"])
    with PostgresSaver.from_conn_string(uri) as saver:
        put(saver, 1, words=2 * LIMIT)
        assert limited(patroni, LIMIT).run().code == 0
        assert saver.get_tuple(CONFIG)
        put(saver, 2, words=KIB)


def test_who_has_the_largest_is_told(uri: str, server: Server) -> None:
    """The newest checkpoint counts, with its pending writes."""
    with PostgresSaver.from_conn_string(uri) as saver:
        put(saver, 1, words=50 * KIB)
        put(saver, 2, words=KIB)
        other: RunnableConfig = {"configurable": {"thread_id": "other", "checkpoint_ns": ""}}
        made, versions = checkpoint(1, words=10 * KIB, notes=20 * KIB)
        config = saver.put(other, made, {}, versions)  # type: ignore[arg-type]
        saver.put_writes(config, [("words", ["y" * 5 * KIB])], "task")
    text = files("checkpointstore.report").joinpath("largest.sql").read_text("utf-8").replace("{count}", "5")
    with server.admin("app") as connection:
        rows = [tuple(row.values()) for row in connection.execute(text).fetchall()]
    assert rows == [
        ("35 kB", "notes", "20 kB", "other", ""),
        ("1028 bytes", "words", "1028 bytes", "t", ""),
    ]


def test_somebody_elses_server_has_it_too(external: Job, server: Server) -> None:
    assert limited(external, LIMIT).run().code == 0
    uri = server.uri("app_a", PASSWORDS["app_a"])
    with PostgresSaver.from_conn_string(uri) as saver, pytest.raises(ProgramLimitExceeded):
        put(saver, 1, words=70 * KIB)
