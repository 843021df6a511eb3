"""What stays after the retention Job, as stock savers and LangGraph's own graphs see it."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.types import Command

from checkpointstore.features.retention.request import Outcome
from checkpointstore.jobs import retention
from tests.integration import graphs
from tests.integration.graphs import config
from tests.integration.job import PASSWORDS, Job
from tests.integration.pruning import Read, Store, head, ids, names, shifted
from tests.integration.server import Server


@pytest.fixture
def store(patroni: Job, server: Server) -> Store:
    assert patroni.run().code == 0
    return Store(server)


def same(before: Read, after: Read) -> None:
    """What is there after reads as before, field by field."""
    for place, found in after.items():
        assert found == before[place], place


def test_the_newest_stay_and_read_as_before(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "long", 20)
        graphs.talk(graph, "short", 2)
        before, short = store.read("long"), store.read("short")
        outcome = store.prune(keepLast=6)
        after = store.read("long")
        assert ids(after) == ids(before)[:6]
        same(before, after)
        assert store.read("short") == short
        assert store.loose() == []
        assert outcome.threads == 2
        assert outcome.removed.checkpoints == len(before) - 6
        assert outcome.complete
        graphs.talk(graph, "long", 1, first=20)
        assert len(head(saver, "long").checkpoint["channel_values"]["said"]) == 42
        again = store.prune(keepLast=100).removed
        assert (again.checkpoints, again.bytes) == (0, 0)


def test_time_travel_to_the_oldest_that_stays(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "thread", 10)
        store.prune(keepLast=6)
        states = list(graph.get_state_history(config("thread")))
        oldest = states[-1]
        assert len(states) == 6
        expected = oldest.values["turns"]
        graph.invoke(None, oldest.config)
        forked = graph.update_state(oldest.config, {"said": ["by hand"]}, as_node="answer")
        assert graph.get_state(forked).values["said"] == [*oldest.values["said"], "by hand"]
        assert graph.get_state(oldest.config).values["turns"] == expected
        graphs.talk(graph, "thread", 1)
        assert store.loose() == []


def test_an_interrupt_waits_across_pruning(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.asking(saver)
        for thread in ("thread", "twin"):
            for turn in range(4):
                graph.invoke({"said": [f"question {turn}"]}, config(thread))
                graph.invoke(Command(resume=f"person {turn}"), config(thread))
            graph.invoke({"said": ["last"]}, config(thread))
        answers = [graph.invoke(Command(resume="nobody"), config("twin"))["said"]]
        before = store.read("thread")
        waiting = graph.get_state(config("thread"), subgraphs=True)
        store.prune(keepLast=1)
        same(before, store.read("thread"))
        assert len(ids(store.read("thread"))) == 1
        assert graph.get_state(config("thread"), subgraphs=True).tasks == waiting.tasks
        assert len(names(store.read("thread"))) == 2, "of five calls of the subgraph the one that waits stays"
        answers.append(graph.invoke(Command(resume="nobody"), config("thread"))["said"])
        assert answers[0] == answers[1]
        assert store.loose() == []


def test_what_subgraphs_remember_is_there_for_time_travel(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.remembering(saver)
        graphs.talk(graph, "thread", 6)
        graphs.talk(graph, "twin", 6)
        before = store.read("thread")
        called = {name for name in names(before) if name.startswith("called:")}
        assert len(called) == 6
        outcome = store.prune(keepLast=8)
        after = store.read("thread")
        same(before, after)
        assert len(ids(after)) == 8
        assert len({name for name in names(after) if name.startswith("called:")}) == 2
        assert outcome.removed.threads == 0
        assert store.loose() == []
        histories = [list(graph.get_state_history(config(thread), limit=8)) for thread in ("thread", "twin")]
        for back in range(8):
            again, expected = (graph.invoke(None, history[back].config) for history in histories)
            assert again == expected, back


def test_a_kept_fork_finds_what_subgraphs_remembered_where_it_was_made_from(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.remembering(saver)
        answers = []
        for thread in ("thread", "twin"):
            graphs.talk(graph, thread, 6)
            old = next(state for state in graph.get_state_history(config(thread)) if state.metadata["step"] == 8)
            forked = graph.update_state(old.config, {"said": ["by hand"]}, as_node="answer")
            if thread == "thread":
                store.prune(keepLast=1)
                assert len(ids(store.read(thread))) == 1
            answers.append(graph.invoke(None, forked)["said"])
        assert answers[0] == answers[1]
        assert "own 2" in answers[0]


@pytest.mark.parametrize("policy", [{"keepLast": 3}, {"keepLast": 1, "keepFor": 0.0}])
def test_a_delta_channel_keeps_what_it_is_made_of(store: Store, policy: dict[str, Any]) -> None:
    with store.saver() as saver:
        graph = graphs.delta(saver)
        graphs.talk(graph, "delta", 15)
        graphs.talk(graphs.chat(saver), "chat", 15)
        before = store.read("delta")
        histories = {
            identifier: saver.get_delta_channel_history(config=config("delta", identifier), channels=["said"])
            for identifier in ids(before)
        }
        outcome = store.prune(**policy)
        assert (outcome.delta, outcome.busy) == (1, 0)
        assert store.read("delta") == before
        assert len(store.read("chat")) == policy["keepLast"]
        for identifier, history in histories.items():
            again = saver.get_delta_channel_history(config=config("delta", identifier), channels=["said"])
            assert again == history
        assert len(graph.get_state(config("delta")).values["said"]) == 30
        assert store.prune(deleteAfter=0.0).removed.threads == 2
        assert store.read("delta") == {}


def test_a_fork_from_before_what_stays(store: Store) -> None:
    """A branch counts by its ids like any other: the fork is the newest, and what it was made from goes."""
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "thread", 10)
        old = list(graph.get_state_history(config("thread")))[20]
        graph.update_state(old.config, {"said": ["by hand"]}, as_node="answer")
        before = store.read("thread")
        store.prune(keepLast=1)
        after = store.read("thread")
        same(before, after)
        [[_, identifier]] = after
        assert head(saver, "thread").checkpoint["id"] == identifier
        assert graph.get_state(config("thread")).values["said"] == [*old.values["said"], "by hand"]


def test_whoever_read_a_checkpoint_that_went_may_still_go_on_from_it(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.chat(saver)
        graphs.talk(graph, "thread", 10)
        [*_, oldest] = saver.list(config("thread"))
        copy = oldest.checkpoint | {"id": "ffffffff-0000-6000-8000-000000000000"}
        policy: dict[str, Any] = {"keepLast": 2, "grace": 3600}
        first = store.prune(**policy).removed
        assert (first.checkpoints, first.blobs) == (28, 0)
        saver.put(config("thread", oldest.checkpoint["id"]), copy, oldest.metadata, {})
        store.prune(**policy | {"grace": 0})
        assert store.loose() == []
        assert head(saver, "thread").checkpoint["channel_values"] == oldest.checkpoint["channel_values"]


def test_each_value_waits_from_when_its_last_checkpoint_went(store: Store) -> None:
    """So those of a thread that is pruned in each run do go, and none too early."""
    policy: dict[str, Any] = {"keepLast": 2, "grace": 3600}
    with store.saver() as saver, store.server.admin("app") as connection:
        graph = graphs.chat(saver)
        graphs.talk(graph, "thread", 5)
        assert store.prune(**policy).removed.blobs == 0
        first = store.loose()
        connection.execute("UPDATE checkpointstore_retention_blobs SET at = at - interval '2 hours'")
        graphs.talk(graph, "thread", 2)
        assert store.prune(**policy).removed.blobs == len(first)
        second = store.loose()
        assert second
        assert not [blob for blob in second if blob in first]
        assert store.prune(**policy | {"grace": 0}).removed.blobs == len(second)
        assert store.loose() == []


def test_a_value_of_two_checkpoints_waits_from_when_the_later_one_went(store: Store) -> None:
    policy: dict[str, Any] = {"keepLast": 1, "grace": 3600}
    age = "UPDATE checkpointstore_retention_blobs SET at = at - interval '{} minutes'"
    with store.saver() as saver, store.server.admin("app") as connection:
        graph = graphs.chat(saver)
        graphs.talk(graph, "thread", 1)
        store.prune(**policy)
        noted = connection.execute("SELECT FROM checkpointstore_retention_blobs").fetchall()
        alone = store.loose()
        assert len(noted) > len(alone), "the newest refers to values of one that went"
        connection.execute(age.format(50))
        graphs.talk(graph, "thread", 1, first=1)
        store.prune(**policy)
        connection.execute(age.format(20))
        assert store.prune(**policy).removed.blobs == len(alone)
        assert store.loose()
        connection.execute(age.format(50))
        assert store.prune(**policy).removed.blobs > 0
        assert store.loose() == []


def test_threads_go_from_their_last_write_and_no_other(store: Store) -> None:
    with store.saver() as saver:
        graph = graphs.chat(saver)
        for thread in ("old", "new"):
            graphs.talk(graph, thread, 3)
        with store.server.admin("app") as connection:
            row = connection.execute("SELECT max(checkpoint_id) AS id FROM checkpoints WHERE thread_id = 'old'")
            last = row.fetchone()
        assert last is not None
        assert store.prune(deleteAfter=3600.0).removed.threads == 0
        _age(store, "old", hours=2)
        before = store.read("new")
        removed = store.prune(deleteAfter=3600.0).removed
        assert (removed.threads, store.read("old")) == (1, {})
        assert store.read("new") == before
        assert store.loose() == []
        assert removed.blobs > 0


@pytest.mark.parametrize("dry", [True, False])
def test_a_dry_run_changes_nothing_and_tells_what_would_go(store: Store, dry: bool) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "a", 12)
        graphs.talk(graphs.remembering(saver), "b", 6)
        graphs.talk(graphs.chat(saver), "old", 3)
    _age(store, "old", hours=2)
    policy: dict[str, Any] = {"keepLast": 4, "deleteAfter": 3600.0}
    before = store.rows()
    told = store.prune(**policy, dryRun=True)
    assert store.rows() == before
    assert told.dry_run
    done = store.prune(**policy)
    print(done)
    assert told.removed == done.removed


def test_on_somebody_elses_server_it_works_as_the_owner(external: Job, server: Server) -> None:
    assert external.run().code == 0
    with PostgresSaver.from_conn_string(server.uri("app_a", PASSWORDS["app_a"])) as saver:
        graphs.talk(graphs.chat(saver), "thread", 5)
    request = {"store": "shop/agents", "provider": "External", "keepLast": 2, "share": 1}
    request |= {"owner": "shop_agents_owner", "group": "shop_agents"}
    environ = {"CHECKPOINTSTORE_JOB": json.dumps(request), "CHECKPOINTSTORE_ADMIN_DIR": str(external.admin)}
    outcome, code = retention.conclude(environ)
    assert (code, outcome.reason, outcome.removed.checkpoints) == (0, "", 13)
    with (
        psycopg.connect(server.uri("app_a", PASSWORDS["app_a"])) as application,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        application.execute("SELECT FROM checkpointstore_retention_blobs")
    with server.admin("app") as connection:
        connection.execute("REVOKE shop_agents_owner FROM dba")
    outcome, code = retention.conclude(environ)
    assert (code, outcome.reason) == (64, "InsufficientPrivilege")


def test_what_it_cannot_understand_or_do_is_told(store: Store, tmp_path: Path) -> None:
    assert retention.conclude({"CHECKPOINTSTORE_JOB": "{}"})[0].reason == "InvalidRequest"
    missing = store.environ() | {"CHECKPOINTSTORE_ADMIN_DIR": str(tmp_path)}
    assert retention.conclude(missing)[0].reason == "SecretIncomplete"
    outcome, code = retention.conclude(store.environ(keepLast=1, port=1))
    assert (code, outcome.reason) == (1, "Unavailable")
    with store.server.admin("app") as connection:
        connection.execute("DROP TABLE checkpoint_writes")
    assert store.prune(keepLast=1).threads == 0, "tables that are not there have nothing to remove"


def test_the_program_writes_its_outcome_for_kubernetes(store: Store, tmp_path: Path) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "thread", 3)
    assert store.start(tmp_path / "result", keepLast=2).wait() == 0
    said = Outcome.read(json.loads((tmp_path / "result").read_text()))
    assert said is not None
    assert (said.threads, said.removed.checkpoints, said.complete) == (1, 7, True)


def _age(store: Store, thread: str, hours: int) -> None:
    """Let a thread be older by its ids."""
    with store.server.admin("app") as connection:
        for table in ("checkpoints", "checkpoint_writes"):
            found = f"SELECT DISTINCT checkpoint_id AS id FROM {table} WHERE thread_id = %s"
            for row in connection.execute(found, [thread]).fetchall():
                values = [shifted(row["id"], hours), thread, row["id"]]
                update = f"UPDATE {table} SET checkpoint_id = %s WHERE thread_id = %s AND checkpoint_id = %s"
                connection.execute(update, values)
