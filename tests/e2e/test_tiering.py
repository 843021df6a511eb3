"""Old threads go to the object store, a stock agent resumes one, and all of it comes back when it is asked for."""

from collections.abc import Callable
from typing import Any

import pytest

from demo import bucket
from demo.agentjob import Agent, Line
from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, wait_for
from localcluster.objectstore import LOCAL, ObjectStore
from tests.e2e.ages import older
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject, stamp

NAME, THREAD, SECOND = "cold", "conversation", "second"
FOLDER = bucket.folder("tiering")
COUNT = f"select count(*) from checkpoints where thread_id = '{THREAD}' and checkpoint_ns = ''"
AGED = "; ".join(
    (
        "set session_replication_role = replica",
        f"update checkpoints set checkpoint_id = {older('checkpoint_id')}, "
        f"parent_checkpoint_id = {older('parent_checkpoint_id')}",
        "update checkpoints set checkpoint = jsonb_set(checkpoint, '{id}', to_jsonb(checkpoint_id)), "
        f"metadata = case when metadata #> '{{parents,\"\"}}' is null then metadata else jsonb_set(metadata, "
        f"'{{parents,\"\"}}', to_jsonb({older('(metadata -> $$parents$$ ->> $$$$)')})) end",
        f"update checkpoint_writes set checkpoint_id = {older('checkpoint_id')}",
    )
)
RECALL = f"set role app; select checkpointstore.recall('{THREAD}')"


def test_a_thread_goes_and_comes_back(
    kubectl: Kubectl,
    server: ObjectStore,
    namespace: str,
    make_store: Callable[..., dict[str, Any]],
    run_agent: Callable[..., tuple[Line, Agent]],
    figures: Figures,
    say: Callable[[str], None],
) -> None:
    make_store(NAME, {})
    cold = Subject(kubectl, namespace, NAME)
    for thread in (THREAD, SECOND):
        result, agent = run_agent("conversation.py", NAME, MESSAGES="8", THREAD=thread)
        assert result["ok"], agent.tail()
    before = int(cold.psql(COUNT))
    cold.psql(AGED)
    bucket.give(kubectl, namespace, server)
    there = {"objectStore": bucket.object_store(server, FOLDER), "tiers": [{"name": "cold", "after": "1h"}]}
    cold.patch({"tiering": there})
    cold.command("run-tiering", stamp())
    cold.kill_a_run("tiering")
    with figures.timed("tiering_killed_to_cold", "<=150"):
        wait_for("all but the newest checkpoint to go", lambda: int(cold.psql(COUNT)) == 1, 150, every=1)
    cold.said("TieringSucceeded", "Succeeded", 150)
    # Where the pod was done before it was killed, its figures went with it, and the next run tells them.
    # A thread whose rows the killed one still held is left for a later run, too.
    wait_for("both threads to be told as cold", lambda: counted(cold.run("tiering")) == (2, 0), 150)
    say(f"  {cold.condition('TieringSucceeded')['message']}")
    assert cold.condition("Ready")["status"] == "True"

    result, agent = run_agent("conversation.py", NAME, MESSAGES="10")
    assert result["ok"], agent.tail()
    after = int(cold.psql(COUNT))

    # Whoever asks while the recaller is away is served by the next one.
    recaller = ("-n", namespace, "-l", f"checkpointstore.dev/store={NAME},app.kubernetes.io/component=recaller")
    kubectl("delete", "pod", *recaller, "--grace-period=0", "--force")
    with figures.timed("recall_without_a_recaller", "<=60"):
        assert answer(cold) == "Queued"
        wait_for("the thread to be hot", lambda: answer(cold) == "Hot", 150, every=0.5)
    assert int(cold.psql(COUNT)) == after + before - 1
    result, agent = run_agent("conversation.py", NAME, MESSAGES="12")
    assert result["ok"], agent.tail()


def test_our_saver_brings_back_what_it_needs(
    run_agent: Callable[..., tuple[Line, Agent]], say: Callable[[str], None]
) -> None:
    """Through the pooler: its pipelines, and the error in the middle of one."""
    result, agent = run_agent("cold.py", NAME, THREAD=SECOND)
    assert result["ok"], agent.tail()
    assert result["hot"] == 1
    say(f"  {result['checkpoints']} checkpoints were there {result['seconds']} s after they were asked for")


def counted(known: dict[str, Any]) -> tuple[int | None, int | None]:
    """Threads that are cold, and those of them that wait to come back; None where the run told no figures."""
    cold: dict[str, int] = known.get("cold") or {}
    return cold.get("threads"), cold.get("waiting")


def answer(subject: Subject) -> str:
    return subject.psql(RECALL).splitlines()[-1]


def test_an_application_sees_nothing_of_the_catalog(kubectl: Kubectl, namespace: str) -> None:
    with pytest.raises(CommandFailed, match="permission denied for table cold_threads"):
        Subject(kubectl, namespace, NAME).psql("set role app; select * from checkpointstore.cold_threads")


def test_cold_data_goes_with_its_store_where_that_is_said(
    kubectl: Kubectl, namespace: str, installation: Installation, server: ObjectStore, figures: Figures
) -> None:
    cold = Subject(kubectl, namespace, NAME)
    cold.patch({"reclaimPolicy": {"coldData": "Delete"}})
    wait_for("the operator to know", lambda: bool(cold.seen()["metadata"].get("finalizers")), 60)
    with figures.timed("store_and_cold_data_gone", "<=60"):
        kubectl("delete", "cps", NAME, "-n", namespace, timeout=330)
    if installation.cluster.name == "local":
        assert not [path for path in LOCAL.data.joinpath(server.bucket, FOLDER).rglob("*") if path.is_file()]
    events = kubectl("get", "events", "-n", namespace, "--field-selector=reason=ColdDataDeleted", "-o", "name")
    assert events.strip()
