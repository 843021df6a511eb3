"""Changes to a serving store under a writer of 200 writes a second, and what a quiet store does when commanded."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from demo import store
from demo.agentjob import Agent
from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e import outage
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject, stamp
from tests.e2e.writing import Writer

PATIENCE = 150


@pytest.fixture(scope="module")
def busy(kubectl: Kubectl, namespace: str) -> Subject:
    """A store of two instances that serves all the while, made beside a quiet one."""
    made = Subject(kubectl, namespace, "busy")
    made.apply({"postgres": {"instances": 2}})
    Subject(kubectl, namespace, "quiet").apply({"postgres": {"updateStrategy": "Supervised"}})
    made.ready(PATIENCE)
    return made


@pytest.fixture(scope="module")
def writer(busy: Subject, start_agent: Callable[..., Agent], figures: Figures) -> Iterator[Writer]:
    """One writer through all changes of the busy store."""
    started = Writer.start(start_agent, figures, busy.name, "changes")
    yield started
    if not started.ended:
        started.stop()


@pytest.fixture(scope="module")
def quiet(busy: Subject) -> Subject:
    """A store of one instance that restarts only when told."""
    made = Subject(busy.kubectl, busy.namespace, "quiet")
    made.ready(PATIENCE)
    return made


def test_leaf_renewal_restarts_nothing(busy: Subject, writer: Writer) -> None:
    before, lives = busy.secret("busy-postgres-tls")["tls.crt"], busy.lives()
    wait_for("the certificate to be served", lambda: busy.served() == {before}, 30)
    with writer.through("leaf_renewal"):
        busy.kubectl("delete", "secret", "busy-postgres-tls", "-n", busy.namespace)
        busy.poke()

        def taken_up() -> bool:
            wanted = busy.secret("busy-postgres-tls").get("tls.crt", before)
            return wanted != before and busy.served() == {wanted}

        busy.changed("the new certificate to be served", taken_up)
    assert busy.lives() == lives


def test_credential_rotation(
    busy: Subject, writer: Writer, start_agent: Callable[..., Agent], figures: Figures
) -> None:
    """The first writer read the binding once and keeps its login; a second one gets the new one; both work."""
    old, poolers = busy.login(), busy.lives("pooler")
    with writer.through("credential_rotation", failed=0):
        busy.command("rotate-credentials", stamp())
        busy.changed("another login in the binding", lambda: busy.login() != old)
        second = start_agent("writer.py", busy.name, {"SECONDS": "2", "RATE": "50", "RUN": "rotated"})
        result = second.result()
    figures.note("credential_rotation_failed_calls_of_a_new_application", result["failed"], "calls", "<=0")
    assert (result["failed"], result["lost"]) == (0, 0), second.tail()
    said = [line for agent in (writer.agent, second) for line in agent.lines if line["event"] == "start"]
    assert [line["user"] for line in said] == [old, busy.login()]
    assert busy.lives("pooler") == poolers


def test_poolers_reload_without_letting_clients_go(busy: Subject, writer: Writer) -> None:
    """Another certificate, other settings: each pod goes on with the clients that it has."""
    before, old = busy.lives("pooler"), busy.secret("busy-pooler")["tls.crt"]
    with writer.through("pooler_reload", failed=0):
        busy.kubectl("delete", "secret", "busy-pooler-tls", "-n", busy.namespace)
        busy.poke()
        busy.changed("another certificate to be loaded", lambda: busy.secret("busy-pooler")["tls.crt"] != old)
    with writer.through("pooler_scaled_2_3", failed=0):
        busy.patch({"pooler": {"instances": 3}})
        busy.changed("3 pooler pods", partial(has_poolers, busy, 3))
    assert before < busy.lives("pooler")
    with writer.through("pooler_scaled_3_2"):
        busy.patch({"pooler": {"instances": 2}})
        busy.changed("2 pooler pods", partial(has_poolers, busy, 2))


def test_pooler_rollout(busy: Subject, writer: Writer) -> None:
    before = set(busy.pods("pooler"))
    with writer.through("pooler_rollout"):
        busy.patch({"pooler": {"resources": {"requests": {"cpu": "60m", "memory": "64Mi"}}}})
        busy.changed("new pooler pods", lambda: not before & set(busy.pods("pooler", going=True)))


def test_parameter_that_needs_a_restart(busy: Subject, writer: Writer) -> None:
    with writer.through("restart_parameter"):
        busy.patch({"postgres": {"parameters": {"max_connections": "140"}}})
        busy.changed("max_connections", lambda: shown(busy, "max_connections") == "140")
    # The StatefulSet's controller counts later than the operator.
    wait_for("both instances", busy.whole, 30)


def test_switchover(busy: Subject, writer: Writer) -> None:
    before = busy.primary()
    (target,) = set(busy.pods()) - {before}
    with writer.through("switchover"):
        busy.command("switchover", target)
        busy.changed(f"{target} to lead", lambda: busy.primary() == target)

        def acknowledged() -> bool:
            return "checkpointstore.dev/switchover" not in busy.seen()["metadata"].get("annotations", {})

        wait_for("the annotation to go", acknowledged, 60)


def test_restart(busy: Subject, writer: Writer) -> None:
    before = {life[0] for life in busy.lives()}
    with writer.through("restart"):
        busy.command("restart", stamp())
        busy.changed("other pods", lambda: busy.whole() and not before & {life[0] for life in busy.lives()})


def test_a_node_that_is_drained(busy: Subject, writer: Writer) -> None:
    """What an admin does to a node before its upgrade; only what the store has there is evicted here."""
    before = busy.primary()
    node = busy.pods()[before]["spec"]["nodeName"]
    evicted = f"--pod-selector=checkpointstore.dev/store={busy.name}"
    with outage.cordoned(busy.kubectl, [node]):
        with writer.through("drained_node"):
            busy.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", evicted, "--timeout=120s")
            wait_for("another instance to lead", lambda: busy.primary() not in ("", before), 60)
        told = [event["message"] for event in busy.events("Switchover")]
        assert f"Handed the primary over from {before} to {busy.primary()} as its pod is told to go" in told
        assert not [pod for pod in busy.pods("pooler").values() if pod["spec"].get("nodeName") == node]
    busy.changed("both instances", busy.whole)


def test_instances_2_3_1(busy: Subject, writer: Writer) -> None:
    with writer.through("instances_2_3"):
        busy.patch({"postgres": {"instances": 3}})
        busy.changed("3 instances", lambda: len(busy.pods()) == 3 and busy.whole())
    with writer.through("instances_3_1"):
        busy.patch({"postgres": {"instances": 1}})
        busy.changed("1 instance", lambda: set(busy.pods()) == {"busy-0"} and busy.whole())


def test_nothing_was_lost_and_the_store_is_at_rest(busy: Subject, writer: Writer, figures: Figures) -> None:
    result = writer.stop()
    figures.note("changes_rows_acknowledged", result["acknowledged"], "rows")
    figures.note("changes_rows_lost", result["lost"], "rows", "<=0")
    figures.note("changes_committed_but_unacknowledged", result["unacknowledged_commits"], "rows", "<=0")
    found = store.conditions(busy.ready())
    states = {kind: found[kind]["status"] for kind in ("Ready", "Reconciling", "Stalled")}
    assert states == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}


def test_supervised_waits_for_the_command(quiet: Subject) -> None:
    lives = quiet.lives()
    quiet.patch({"postgres": {"parameters": {"max_connections": "70"}}})
    message = quiet.said("PostgresAvailable", "RestartRequired", 60)
    assert "quiet-0 must restart" in message
    assert "checkpointstore.dev/restart" in message
    assert (quiet.lives(), quiet.condition("Ready")["status"]) == (lives, "True")
    quiet.command("restart", stamp())
    quiet.changed("max_connections", lambda: shown(quiet, "max_connections") == "70")


def test_paused_changes_nothing(quiet: Subject) -> None:
    quiet.command("paused", "true")
    quiet.patch({"pooler": {"instances": 1}})
    assert quiet.said("Reconciling", "Paused", 60) is not None
    before = set(quiet.pods("pooler"))
    quiet.poke()
    for _ in range(6):
        time.sleep(1)
        assert set(quiet.pods("pooler")) == before
    quiet.command("paused", None)
    quiet.changed("1 pooler pod", lambda: len(quiet.pods("pooler")) == 1)


def test_hibernated_store_keeps_its_data(quiet: Subject, run_agent: Callable[..., Any], figures: Figures) -> None:
    quiet.psql("create table if not exists kept as select 42 as answer")
    quiet.command("hibernate", "true")
    assert "volumes stay" in quiet.said("PostgresAvailable", "Hibernated", 60)
    wait_for("no pods", lambda: not quiet.pods(going=True) and not quiet.pods("pooler", going=True), 90)
    with figures.timed("resume_from_hibernation"):
        quiet.command("hibernate", None)
        quiet.changed("a primary", quiet.pods)
    assert quiet.psql("select answer from kept") == "42"
    result, agent = run_agent("drivers.py", quiet.name)
    assert result["ok"], agent.tail()


def test_growth_that_the_storage_refuses_is_told_and_can_be_taken_back(
    quiet: Subject, say: Callable[[str], None]
) -> None:
    claim = quiet.kubectl.get("pvc", "data-quiet-0", "-n", quiet.namespace)
    kind = quiet.kubectl.get("storageclass", claim["spec"]["storageClassName"])
    if kind.get("allowVolumeExpansion"):
        pytest.skip("this cluster's StorageClass grows volumes")
    quiet.patch({"postgres": {"storage": {"size": "20Gi"}}})
    wait_for("Stalled", lambda: quiet.condition("Stalled").get("status") == "True", 60)
    stalled = quiet.condition("Stalled")
    say(f"  a person sees: Stalled {stalled['reason']}: {stalled['message']}")
    assert "data-quiet-0" in stalled["message"]
    assert "resize" in stalled["message"]
    assert quiet.condition("Ready")["status"] == "True"
    with pytest.raises(CommandFailed, match="storage cannot shrink"):
        quiet.patch({"postgres": {"storage": {"size": "9Gi"}}})
    quiet.patch({"postgres": {"storage": {"size": "10Gi"}}})
    quiet.ready()
    assert quiet.condition("Stalled")["status"] == "False"
    wait_for("its instance", quiet.whole, 30)


def has_poolers(subject: Subject, count: int) -> bool:
    """Whether so many pooler pods are there, those that drain counted."""
    return len(subject.pods("pooler", going=True)) == count


def shown(subject: Subject, parameter: str) -> str:
    """A parameter's value on the primary, empty while there is none to ask."""
    try:
        return subject.psql(f"show {parameter}")
    except (CommandFailed, KeyError):
        return ""
