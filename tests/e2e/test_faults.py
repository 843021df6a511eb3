"""Nodes cut off, the API server away, the operator's leader killed: what a checking writer sees of each."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from demo import installation as operator
from demo import store
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e import operators, outage, process
from tests.e2e.figure import Figures
from tests.e2e.subject import SOCKET, Subject, stamp
from tests.e2e.writing import Writer, wrote

NAME = "pair"
PATIENCE = 180
# The server is killed, and the one that Patroni starts is stopped before it has begun to read its configuration.
STARTING = """
import os, signal, time
def servers():
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{number}/cmdline").read().split(chr(0))
        except OSError:
            continue
        if words[0].endswith("/postgres") and "-D" in words:
            yield int(number)
old = set(servers())
for number in old:
    os.kill(number, signal.SIGKILL)
while not (new := set(servers()) - old):
    time.sleep(0.01)
for number in new:
    os.kill(number, signal.SIGSTOP)
time.sleep(20)
for number in new:
    os.kill(number, signal.SIGCONT)
"""


@pytest.fixture(scope="module")
def pair(installation: Installation, namespace: str) -> Subject:
    """Two synchronous instances on nodes that can be cut off."""
    if installation.cluster.name != "local":
        pytest.skip(f"nothing can be broken on a {installation.cluster.name} cluster from here")
    terms = [{"key": "kubernetes.io/hostname", "operator": "In", "values": outage.workers(installation)}]
    required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    made = Subject(installation.kubectl, namespace, NAME)
    synchronous = {"number": 1, "dataDurability": "Preferred"}
    made.apply({"postgres": {"instances": 2, "synchronous": synchronous, "scheduling": {"affinity": affinity}}})
    made.ready(PATIENCE)
    assert len({pod["spec"]["nodeName"] for pod in made.pods().values()}) == 2, "one node would take both"
    return made


def test_operator_leader_killed_among_two(pair: Subject, kubectl: Kubectl, figures: Figures) -> None:
    pod = operators.wait_leader(kubectl)
    leader, old = pod["metadata"]["name"], pair.login()
    # Without a word: one that is merely deleted gives its Lease back.
    assert process.kill(pod["metadata"]["uid"]) > 0, "the operator's process is not on this host"
    kubectl("delete", "pod", leader, "-n", operator.NAMESPACE, "--grace-period=0", "--force")
    began = time.monotonic()
    pair.command("rotate-credentials", stamp())
    wait_for("another leader", lambda: bool({operator.holder(kubectl)} - {leader, ""}), 60)
    figures.note("operator_leader_killed_to_successor", time.monotonic() - began, "s")
    pair.changed("the successor's work", lambda: pair.login() != old)


def test_api_server_away(
    pair: Subject, installation: Installation, start_agent: Callable[..., Agent], figures: Figures, soak: bool
) -> None:
    # Kubelets look for it again after as long as it was away, or twice that.
    seconds = 600 if soak else 10
    server = outage.api_server()
    writer = Writer.start(start_agent, figures, NAME, "api-away")
    with outage.killed(installation, server):
        time.sleep(seconds)
    writer.next_second()
    result = writer.stop()
    figures.note("api_server_away_for", seconds, "s")
    figures.note("api_server_away_failed_calls", result["failed"], "calls", "<=0")
    figures.note("api_server_away_longest_gap", result["longest_gap"], "s")
    assert result["failed"] == 0, writer.agent.tail()
    old, began = pair.login(), time.monotonic()
    pair.command("rotate-credentials", stamp())
    pair.changed("the operator to work again", lambda: pair.login() != old, 240)
    figures.note("api_server_away_to_next_rotation", time.monotonic() - began, "s")


@pytest.mark.skipif("not config.getoption('--soak')", reason="a minute and a half: run by `make soak`")
def test_api_server_hangs(pair: Subject, start_agent: Callable[..., Agent], figures: Figures) -> None:
    """For some seconds while a rotation waits for kubelets.

    They look for an API server that was away again after up to a minute, and after another when it had only half
    started, and give pods no new Secrets before.
    """
    old = pair.login()
    pair.command("rotate-credentials", stamp())
    began = time.monotonic()
    server = outage.api_server()
    writer = Writer.start(start_agent, figures, NAME, "api-hangs")
    with outage.stopped(server):
        time.sleep(30)
    writer.next_second()
    result = writer.stop()
    figures.note("api_server_hangs_failed_calls", result["failed"], "calls", "<=0")
    figures.note("api_server_hangs_longest_gap", result["longest_gap"], "s")
    assert result["lost"] == 0, writer.agent.tail()
    pair.changed("the operator to work again", lambda: pair.login() != old, 240)
    figures.note("api_server_hanging_to_next_rotation", time.monotonic() - began, "s")


@pytest.mark.skipif("not config.getoption('--soak')", reason="half a minute: run by `make soak`")
def test_a_parameter_that_changes_while_an_instance_starts(pair: Subject, figures: Figures) -> None:
    """Patroni takes it for loaded."""
    (standby,) = set(pair.pods()) - {pair.primary()}
    with ThreadPoolExecutor(1) as beside:
        starting = beside.submit(pair.inside, ["python3", "-"], STARTING, standby)
        time.sleep(5)
        pair.patch({"postgres": {"parameters": {"work_mem": "9MB"}}})
        starting.result()
    shows = ["psql", "-h", SOCKET, "-U", "postgres", "-XAtqc", "show work_mem"]

    def shown() -> bool:
        try:
            return pair.inside(shows, pod=standby) == "9MB"
        except CommandFailed:
            return False

    with figures.timed("parameter_missed_while_starting_to_loaded"):
        wait_for("the standby to have loaded it", shown, 60)
    pair.ready(PATIENCE)


def test_standby_node_cut(faults: "Faults", soak: bool) -> None:
    faults.rounds("standby", 10 if soak else 1, median="<=10", longest="")


def test_primary_node_cut(faults: "Faults", soak: bool) -> None:
    faults.rounds("primary", 10 if soak else 1, median="<=25", longest="<=28")


@pytest.fixture
def faults(
    pair: Subject,
    installation: Installation,
    start_agent: Callable[..., Agent],
    figures: Figures,
) -> "Faults":
    """Rounds in each of which another operator leads."""
    return Faults(pair, installation, start_agent, figures)


class Faults:
    """Rounds in which a node of the store is cut off under a writer on a node that stays."""

    def __init__(self, pair: Subject, installation: Installation, start_agent: Any, figures: Figures) -> None:
        self._pair, self._installation, self._start, self._figures = pair, installation, start_agent, figures
        self._gaps: list[float] = []
        self._lost, self._left, self._leader_lost = 0, [0.0], 0

    def rounds(self, role: str, count: int, median: str, longest: str) -> None:
        """Cut off the node of that role `count` times, another operator leading each time, and note what was seen."""
        for number in range(count):
            if number:
                self._change_leader()
            self._cut(number, role)
        self._note(f"{role}_node_cut", median, longest)

    def _change_leader(self) -> None:
        """Delete the operator that leads; a new one waits, on another node, when the other has taken over."""
        kubectl = self._installation.kubectl
        leader = wait_for("an operator that leads", lambda: operator.holder(kubectl) or None, 60)
        kubectl("delete", "pod", leader, "-n", operator.NAMESPACE)
        wait_for("another leader", lambda: bool({operator.holder(kubectl)} - {leader, ""}), 60)
        kubectl("rollout", "status", f"deployment/{operator.OPERATOR}", "-n", operator.NAMESPACE)

    def _cut(self, number: int, role: str) -> None:
        """One round: place the poolers, write, cut, wait until every client writes again, heal."""
        primary = self._pair.primary()
        members = {name: pod["spec"]["nodeName"] for name, pod in self._pair.pods().items()}
        node = next(where for name, where in members.items() if (name == primary) == (role == "primary"))
        self._place_poolers(number, node)
        survivor = next(name for name in self._installation.cluster.nodes() if name not in members.values())
        settings = {"RATE": "50", "RUN": f"{role}-{number}"}
        writer = Writer.start(self._start, self._figures, NAME, f"{role}-{number}", environment=settings, node=survivor)
        before = len(writer.told())
        on_node = addresses(self._pair, node)
        leader = wait_for("an operator that leads", lambda: operator.holder(self._installation.kubectl) or None, 60)
        leader_lost = leader in self._operators_on(node)
        self._leader_lost += leader_lost
        with outage.cut(self._installation, node) as began:
            self._left.append(self._poolers_left(on_node, began))
            wait_for("writes to stop or go on", lambda: time.monotonic() - began > 6, 10)
            wait_for(
                "every client to write",
                lambda: wrote(writer.told()),
                90,
                every=0.1,
                seen=lambda: troubles(self._pair, writer),
            )
            if role == "standby":
                # The primary gives the standby up only after its own timeouts.
                time.sleep(max(0.0, 20 - (time.monotonic() - began)))
                writer.next_second()
        result = writer.stop()
        self._gaps.append(max(line["gap"] for line in writer.told()[before:]))
        self._figures.out(
            f"  {role} on {node}, pooler there: {bool(on_node)}, left after {self._left[-1]:.1f} s, "
            f"leading operator there: {leader_lost}, gap {self._gaps[-1]:.1f} s"
        )
        self._lost += result["lost"]
        self._pair.changed("a whole pair", self._pair.whole, PATIENCE)

    def _place_poolers(self, number: int, node: str) -> None:
        """One pooler on the node that is cut, in the rounds with an even number; in others on none that is."""
        nodes = self._installation.cluster.nodes()
        away = [name for name in nodes if name != node][1:] if number % 2 == 0 else [node]
        kubectl = self._installation.kubectl
        before = set(self._pair.pods("pooler"))
        with outage.cordoned(kubectl, away):
            kubectl("delete", "pod", *before, "-n", self._pair.namespace, "--wait=false")
            self._pair.changed("poolers elsewhere", lambda: not before & set(self._pair.pods("pooler", going=True)))

    def _operators_on(self, node: str) -> set[str]:
        """The operator's pods on a node."""
        found = self._installation.kubectl.items("pods", "-n", operator.NAMESPACE, "-l", operator.PODS)
        return {pod["metadata"]["name"] for pod in found if pod["spec"].get("nodeName") == node}

    def _poolers_left(self, on_node: set[str], began: float) -> float:
        """Seconds after which the Service had no pooler of the cut node any more; 0 where none was there."""
        if not on_node:
            return 0.0
        wait_for("the cut pooler to leave the Service", lambda: not on_node & serving(self._pair), 120, every=0.1)
        return time.monotonic() - began

    def _note(self, what: str, median: str, longest: str) -> None:
        """Note all rounds; nothing acknowledged may be lost."""
        self._figures.note(f"{what}_rounds", len(self._gaps), "rounds")
        self._figures.note(f"{what}_rounds_with_the_leading_operator", self._leader_lost, "rounds")
        self._figures.note(f"{what}_gap_median", statistics.median(self._gaps), "s", median)
        self._figures.note(f"{what}_gap_max", max(self._gaps), "s", longest)
        self._figures.note(f"{what}_pooler_left_the_service", max(self._left), "s")
        self._figures.note(f"{what}_rows_lost", self._lost, "rows", "<=0")
        assert self._lost == 0


def troubles(subject: Subject, writer: Writer) -> str:
    """What the writer, the store and its poolers say of an outage that does not end."""
    chosen = ["-l", f"checkpointstore.dev/store={subject.name}", "-n", subject.namespace]
    logs = [
        f"{name} on {pod['spec']['nodeName']}:\n{log(subject, name)}" for name, pod in subject.pods("pooler").items()
    ]
    return "\n".join(
        (
            writer.agent.tail(),
            store.described(subject.seen()),
            subject.kubectl("get", "pods,endpointslices", "-o", "wide", *chosen),
            subject.kubectl("get", "endpoints", f"{subject.name}-rw", "-n", subject.namespace, "-o", "yaml"),
            *logs,
        )
    )


def log(subject: Subject, pod: str) -> str:
    """The end of a pooler's log, empty where its node does not give it."""
    try:
        return subject.kubectl(
            "logs", pod, "-n", subject.namespace, "-c", "pgbouncer", "--tail=40", "--request-timeout=5s"
        )
    except CommandFailed:
        return ""


def addresses(subject: Subject, node: str) -> set[str]:
    """Where the poolers of a node listen."""
    return {pod["status"]["podIP"] for pod in subject.pods("pooler").values() if pod["spec"]["nodeName"] == node}


def serving(subject: Subject) -> set[str]:
    """The addresses to which the pooler's Service sends clients now."""
    chosen = f"kubernetes.io/service-name={subject.name}-pooler"
    slices = subject.kubectl.items("endpointslices", "-n", subject.namespace, "-l", chosen)
    return {
        address
        for found in slices
        for endpoint in found.get("endpoints") or ()
        if endpoint["conditions"].get("ready")
        for address in endpoint["addresses"]
    }
