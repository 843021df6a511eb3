"""Threads move to an object store and come back, row by row the same; what savers see before, meanwhile and after."""

import hashlib
import json
from typing import Any

import duckdb
import psycopg
import pytest
from langgraph.types import Command
from psycopg.types.json import Jsonb

from checkpointstore.features.tiering.request import Moved
from checkpointstore.jobs import erasure
from checkpointstore.kernel.erasure import Erased
from tests.integration import graphs, objectstore
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS
from tests.integration.pruning import head, ids, shifted
from tests.integration.tiering import PREFIX, WHOLE, Store


def test_whole_threads_go_and_come_back_field_by_field_the_same(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "one", 4)
        graphs.talk(graphs.delta(saver), "two", 4)
        graphs.asking(saver).invoke({"said": ["q"]}, config("three"))
    before, read = store.rows(), {thread: store.read(thread) for thread in ("one", "two", "three")}
    outcome = store.tier(**WHOLE)
    assert (outcome.moved.threads, outcome.cold.threads, outcome.busy, outcome.complete) == (3, 3, 0, True)
    assert outcome.moved.checkpoints == len(before["checkpoints"])
    assert (store.rows()["checkpoints"], store.rows()["checkpoint_writes"]) == (set(), set())
    store.tier(**WHOLE)
    assert not any(store.rows().values()), "values follow once their time has come"
    assert store.cold() == {"one", "two", "three"}
    store.recall("one", "two", "three")
    assert store.rows() == before
    assert {thread: store.read(thread) for thread in read} == read
    assert store.cold() == set()


def test_a_stock_saver_resumes_what_keeps_its_newest_hot_and_the_rest_comes_back(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.remembering(saver)
        graphs.talk(graph, "one", 6)
        before, read = store.rows(), store.read("one")
        moved = store.tier().moved
        assert moved.threads == 1
        hot = store.read("one")
        assert ids(hot) == ids(read)[:1], "stock history shows hot rows only"
        assert {place: hot[place] for place in hot} == {place: read[place] for place in hot}
        assert moved.checkpoints == len(read) - len(hot)
        assert store.tier().moved == Moved(), "what is cold already does not move again"
        store.recall("one")
        assert store.rows() == before
        assert store.read("one") == read


def test_a_thread_goes_on_from_its_hot_head_and_its_older_rows_are_added(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.remembering(saver)
        graphs.talk(graph, "one", 3)
        read = store.read("one")
        store.tier()
        graphs.talk(graph, "one", 3, first=3)
        assert graph.get_state(config("one")).values["turns"] == 6
        assert graph.get_state(config("one")).values["said"][-1] == "own 6"
        since = store.read("one")
        # Both cold parts, of before and of after.
        store.tier()
        store.recall("one")
        after = store.read("one")
        assert {place: after[place] for place in read} == read
        assert {place: after[place] for place in since} == since
        oldest = ids(after)[-1]
        assert graph.get_state(config("one", oldest)).values == {"said": []}


def test_time_travel_on_a_recalled_thread(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "one", 5)
        states = list(graph.get_state_history(config("one")))
        store.tier(**WHOLE)
        store.tier(**WHOLE)
        store.recall("one")
        assert list(graph.get_state_history(config("one"))) == states
        third = next(state for state in states if state.values.get("turns") == 3 and not state.next)
        forked = graph.update_state(third.config, {"said": ["forked"]}, as_node="answer")
        assert graph.get_state(forked).values["said"] == [*third.values["said"], "forked"]
        graphs.talk(graph, "one", 1, first=9)
        assert graph.get_state(config("one")).values["turns"] == 4


@pytest.mark.parametrize("whole", [True, False])
def test_an_interrupt_waits_in_the_cold(store: Store, whole: bool) -> None:
    with store.saver() as saver:
        graph = graphs.asking(saver)
        graph.invoke({"said": ["q"]}, config("one"))
        waiting = head(saver, "one").pending_writes
        store.tier(keepLatestHot=not whole)
        if whole:
            assert saver.get_tuple(config("one")) is None
            store.recall("one")
        assert head(saver, "one").pending_writes == waiting
        assert graph.invoke(Command(resume="me"), config("one"))["said"][-1] == "told me"


def test_a_delta_thread_keeps_all_of_it_hot_or_nothing(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.delta(saver), "one", 5)
    before = store.rows()
    assert store.tier().moved.threads == 0
    assert store.rows() == before
    assert store.tier(**WHOLE).moved.threads == 1


def test_threads_that_are_in_use_or_tell_no_time_stay(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "young", 3)
        graphs.talk(graphs.chat(saver), "odd", 3)
        newest = head(saver, "odd")
        saver.put(newest.config, newest.checkpoint | {"id": "0"}, newest.metadata, {})
    before = store.rows()
    assert store.tier(after=3600, **WHOLE).moved.threads == 0
    assert store.tier(**WHOLE).moved.threads == 1
    assert store.cold() == {"young"}
    store.recall("young")
    assert store.rows() == before


def test_what_a_call_of_recall_answers(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 2)
    store.tier(after=3600)
    assert (store.ask("nobody"), store.ask("one")) == ("Hot", "Hot")
    assert store.tier(**WHOLE).moved.threads == 0, "who was told that it is hot has it for a while"
    forget_calls(store)
    assert store.ask("one") == "Hot"
    assert store.tier(**WHOLE).moved.threads == 0, "and again"
    forget_calls(store)
    store.tier(**WHOLE)
    assert (store.ask("one"), store.ask("one")) == ("Queued", "Queued")
    assert store.tier(**WHOLE).cold.waiting == 1
    [kept] = store.bucket.objects()
    aside = kept.rename(kept.with_suffix(".aside"))
    store.recall("one")
    assert store.ask("one") == "Failed"
    [(error,)] = store.catalog("SELECT error FROM checkpointstore.recalls")
    assert "is not in bucket" in error
    with store.archive() as archive:
        assert archive.waiting() == [], "not before half a minute is over"
    aside.rename(kept)
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.recalls SET tried = now() - interval '31 s'")
    store.recall("one")
    assert store.ask("one") == "Hot"
    assert store.tier(**WHOLE).moved.threads == 0, "a recalled thread is active from its recall"


def forget_calls(store: Store) -> None:
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.recalls SET done = done - interval '2 hours'")


def test_the_application_may_recall_and_sees_nothing_else(store: Store) -> None:
    store.tier()
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        for table in ("cold_objects", "cold_threads", "cold_heads", "recalls", "cold_state"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT FROM checkpointstore.{table}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE checkpointstore.mine ()")


def heads(store: Store, *given: Any) -> list[tuple[Any, ...]]:
    """What the application is told of threads that went whole."""
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        return connection.execute("SELECT * FROM checkpointstore.cold_heads(%s, %s, %s)", given).fetchall()


def test_the_newest_checkpoint_of_threads_that_went_whole_is_told(store: Store) -> None:
    query = (
        "SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata FROM checkpoints "
        "WHERE checkpoint_ns = '' ORDER BY checkpoint_id DESC"
    )
    with store.saver() as saver:
        for number, user in enumerate(("a", "b", "a")):
            graphs.remembering(saver).invoke({"said": ["q"]}, {**config(f"{number}"), "metadata": {"user": user}})
        every = store.catalog(query)
        newest = [next(row for row in every if row[0] == thread) for thread in ("2", "1", "0")]
        store.tier()
        assert heads(store, None, None, None) == [], "they have their newest hot"
        store.tier(**WHOLE)
        assert heads(store, None, None, None) == newest
        assert heads(store, Jsonb({"user": "a"}), None, None) == [newest[0], newest[2]]
        assert heads(store, Jsonb({"user": "nobody"}), None, None) == []
        assert heads(store, None, newest[0][2], None) == newest[1:]
        assert heads(store, None, newest[0][2], 1) == newest[1:2]
        assert heads(store, Jsonb({"user": "a"}), newest[0][2], 1) == newest[2:]
        # Written to without a recall, and moved again.
        graphs.talk(graphs.remembering(saver), "0", 1)
        later = store.catalog(query)[0]
        store.tier(**WHOLE)
        assert heads(store, None, None, None) == [later, *newest[:2]]
        store.recall("2")
        assert heads(store, None, None, None) == [later, newest[1]]
    with psycopg.connect(store.server.uri("app_a", PASSWORDS["app_a"]), autocommit=True) as connection:
        connection.execute("SELECT checkpointstore.delete_thread('0')")
    assert heads(store, None, None, None) == [newest[1]]
    store.tier(deleteAfter=3600, **WHOLE)
    assert heads(store, None, None, None) == [newest[1]]
    store.tier(deleteAfter=0, after=3600)
    assert heads(store, None, None, None) == []


def test_an_older_head_replaces_no_newer_one(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 2)
        newest = head(saver, "one")
        store.tier(**WHOLE)
        [before] = heads(store, None, None, None)
        older = newest.checkpoint | {"id": shifted(newest.checkpoint["id"], 1)}
        saver.put({"configurable": {"thread_id": "one", "checkpoint_ns": ""}}, older, {"source": "fork"}, {})
        assert store.tier(**WHOLE).moved.threads == 1
    assert heads(store, None, None, None) == [before]


def test_heads_are_found_by_their_indexes(store: Store) -> None:
    store.tier()
    with store.server.admin("app") as connection:
        connection.execute(
            "INSERT INTO checkpointstore.cold_heads SELECT i::text, lpad(i::text, 6, '0'), NULL, '{}', "
            "jsonb_build_object('user', i) FROM generate_series(1, 20000) AS i; ANALYZE checkpointstore.cold_heads"
        )
        connection.execute("LOAD 'auto_explain'; SET auto_explain.log_nested_statements = on")
        connection.execute("SET auto_explain.log_min_duration = 0; SET client_min_messages = log")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        said: list[str] = []
        connection.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
        for given in ("'{\"user\": 7}', NULL, 10", "NULL, NULL, 10", "NULL, '000100', 10"):
            connection.execute(f"SELECT * FROM checkpointstore.cold_heads({given})")
    plans = [text for text in said if "cold_heads AS h" in text]
    assert [("cold_heads_metadata" in text, "cold_heads_newest" in text) for text in plans] == [
        (True, False),
        (False, True),
        (False, True),
    ]


@pytest.mark.parametrize("moved_again", [False, True])
def test_what_the_application_wrote_since_wins(store: Store, moved_again: bool) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 3)
        old = head(saver, "one")
        before = store.read("one")
        store.tier(**WHOLE)
        copy = old.checkpoint | {"ts": "later"}
        saver.put({"configurable": {"thread_id": "one", "checkpoint_ns": ""}}, copy, {"source": "update"}, {})
        if moved_again:
            assert store.tier(**WHOLE).moved.threads == 1
        store.recall("one")
        after = store.read("one")
        assert head(saver, "one").checkpoint["ts"] == "later"
        assert head(saver, "one").checkpoint["channel_values"] == old.checkpoint["channel_values"]
    changed = ("", str(old.config["configurable"]["checkpoint_id"]))
    assert {place: after[place] for place in before if place != changed} == {
        place: before[place] for place in before if place != changed
    }


def test_a_run_that_had_read_a_checkpoint_just_before_it_went_goes_on_from_it(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "one", 3)
        third = list(graph.get_state_history(config("one")))[-3]
        found = saver.get_tuple(third.config)
        assert found is not None
        store.tier(wait=3600)
        assert saver.get_tuple(third.config) is None
        child = found.checkpoint | {"id": shifted(head(saver, "one").checkpoint["id"], -1)}
        saver.put(found.config, child, {"source": "fork"}, {})
        store.tier(wait=3600)
        assert head(saver, "one").checkpoint["channel_values"] == found.checkpoint["channel_values"]


def test_objects_are_read_by_others(store: Store) -> None:
    """By DuckDB, with the schema of docs/tiering.md and nothing of ours; payloads are LangGraph's own bytes."""
    with store.saver() as saver:
        for number in range(3):
            graphs.talk(graphs.chat(saver), f"chat-{number}", 3)
        serde = saver.serde
    with store.server.admin("app") as connection:
        blobs = connection.execute(
            "SELECT thread_id, channel, version, type, blob FROM checkpoint_blobs ORDER BY 1, 2, 3"
        ).fetchall()
        checkpoints = connection.execute(
            "SELECT thread_id, checkpoint_id, checkpoint, metadata FROM checkpoints ORDER BY 1, 2"
        ).fetchall()
        writes = connection.execute("SELECT count(*) AS count FROM checkpoint_writes").fetchone()
    store.tier(storageClass="STANDARD_IA", **WHOLE)
    [file] = store.bucket.objects()
    duck = duckdb.connect()
    found = duck.execute(
        f"SELECT thread_id, channel, version, type, blob FROM '{file}' WHERE kind = 'blob' ORDER BY 1, 2, 3"
    ).fetchall()
    assert found == [tuple(row.values()) for row in blobs]
    assert serde.loads_typed((found[0][3], found[0][4])) is not None
    told = duck.execute(
        f"SELECT thread_id, checkpoint_id, checkpoint, metadata FROM '{file}' WHERE kind = 'checkpoint' ORDER BY 1, 2"
    ).fetchall()
    assert [(*row[:2], json.loads(row[2]), json.loads(row[3])) for row in told] == [
        tuple(row.values()) for row in checkpoints
    ]
    assert duck.execute(f"SELECT count(*) FROM '{file}' WHERE kind = 'write'").fetchall() == [
        tuple((writes or {}).values())
    ]
    told = duck.execute(f"SELECT key::text, value::text FROM parquet_kv_metadata('{file}')").fetchall()
    assert {name: value for name, value in told if name.startswith("checkpointstore")} == {
        "checkpointstore.schema": "1",
        "checkpointstore.store": "shop/agents",
        "checkpointstore.tier": "cold",
    }
    [manifest] = store.bucket.manifests()
    rows = len(blobs) + len(checkpoints) + int((writes or {})["count"])
    assert manifest == {
        "schema": "1",
        "store": "shop/agents",
        "tier": "cold",
        "object": f"{PREFIX}/{file.name}",
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "rows": rows,
        "threads": 3,
        "storageClass": "STANDARD_IA",
    }
    [put] = [headers for method, path, headers in store.bucket.seen if method == "PUT" and path.endswith(file.name)]
    assert put["x-amz-storage-class"] == "STANDARD_IA"
    assert "x-amz-storage-class" in put["authorization"], "signed, as Amazon asks for"


def test_all_of_a_store_and_nothing_else_goes_with_it(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 2)
    store.tier(**WHOLE)
    store.tier(prefix=f"{PREFIX}-other", **WHOLE)
    store.account().put(f"{PREFIX}-beside.txt", b"somebody else's")
    outcome, code = erasure.conclude(store.asked(folder=PREFIX))
    assert (code, outcome.removed) == (0, 2)
    assert [key for key, _ in store.account().keys("")] == [f"{PREFIX}-beside.txt"]
    assert erasure.conclude(store.asked(folder=PREFIX)) == (Erased(removed=0), 0)
    outcome, code = erasure.conclude(store.asked(folder=PREFIX, bucket="nowhere"))
    assert (code, outcome.reason) == (64, "BucketMissing")


def test_what_retention_removes_takes_nothing_from_the_cold(store: Store) -> None:
    """A value that hot and cold checkpoints share goes with the last hot one; the cold ones have their own."""
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "one", 3)
        cold = store.read("one")
        del cold[("", ids(cold)[0])]
        store.tier()
        graphs.talk(graph, "one", 6, first=3)
        assert store.prune(keepLast=1).removed.blobs > 0
        store.tier()
        store.prune(keepLast=1)
        assert store.loose() == []
        hot = store.read("one")
        store.recall("one")
        assert store.read("one") == {**cold, **hot}


def test_a_standing_recaller_hears_of_it_at_once(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 3)
        graphs.talk(graphs.chat(saver), "two", 3)
    before = store.rows()
    store.tier(**WHOLE)
    with store.recaller() as process:
        for thread in ("one", "two"):
            store.ask(thread)
            objectstore.until(lambda name=thread: store.ask(name) == "Hot")  # type: ignore[misc]
        assert process.poll() is None
    assert store.rows() == before
