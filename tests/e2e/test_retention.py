"""History beyond the policy goes while agents go on, by Jobs that may be killed, and every thread can be resumed."""

from collections.abc import Callable
from typing import Any

import pytest

from demo.agentjob import Agent, Line
from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject, stamp

NAME = "brief"
KEPT = 3
# Runs come when they are asked for; values of what one removed are taken only an hour later.
SPEC: dict[str, Any] = {"retention": {"history": {"keepLast": KEPT}, "schedule": "0 0 1 1 *"}}
COUNT = "select count(*) from checkpoints where thread_id = 'conversation' and checkpoint_ns = ''"


def test_history_goes_and_conversations_go_on(
    kubectl: Kubectl,
    namespace: str,
    make_store: Callable[..., dict[str, Any]],
    run_agent: Callable[..., tuple[Line, Agent]],
    start_agent: Callable[..., Agent],
    figures: Figures,
    say: Callable[[str], None],
) -> None:
    make_store(NAME, {"limits": {"checkpointSize": "1Mi"}})
    brief = Subject(kubectl, namespace, NAME)
    result, agent = run_agent("conversation.py", NAME, MESSAGES="8")
    assert result["ok"], agent.tail()
    before = int(brief.psql(COUNT))
    assert before > KEPT
    going = start_agent("conversation.py", NAME, {"MESSAGES": "600", "PAUSE": "0.5", "THREAD": "going"})
    brief.patch(SPEC)
    brief.command("run-retention", stamp())
    brief.kill_a_run("retention")
    with figures.timed("retention_killed_to_done", "<=120"):
        say(f"  {brief.said('RetentionSucceeded', 'Succeeded', 150)}")
    assert brief.condition("Ready")["status"] == "True"
    assert brief.condition("Reconciling")["status"] == "False"
    # Whoever was pruned while it wrote has lost nothing that it goes on from.
    result = going.stop()
    assert result["ok"], going.tail()
    figures.note("retention_failed_calls", result["retries"], "calls", "<=0")
    # A thread that was written just then is left for the next.
    wait_for("the rest to go", lambda: brief.run("retention") and int(brief.psql(COUNT)) == KEPT, 150)
    result, agent = run_agent("conversation.py", NAME, MESSAGES="10")
    assert result["ok"], agent.tail()
    # Where the pod was done before it was killed, its figures went with it; there is something to remove again.
    known = brief.run("retention")
    assert known["deleted"]["checkpoints"]
    assert known["lastSuccessful"]


def test_a_checkpoint_that_is_too_large_is_refused(kubectl: Kubectl, namespace: str) -> None:
    """In the PostgreSQL of the image, as the application; savers' own errors are in tests/integration."""
    large = (
        "set role app; begin; "
        "insert into checkpoint_blobs "
        "values ('t', '', 'words', '1', 'bytes', convert_to(repeat('x', 1100000), 'utf8')); "
        "insert into checkpoints (thread_id, checkpoint_id, checkpoint) "
        "values ('t', '1', '{\"channel_versions\": {\"words\": \"1\"}}'); commit"
    )
    with pytest.raises(
        CommandFailed, match='checkpoint of thread "t" would have 1074 kB, more than the limit of 1024 kB'
    ):
        Subject(kubectl, namespace, NAME).psql(large)
