"""The operator is killed at any moment of a store's life; test_rest looks at how it is afterwards."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from demo import store
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e import inventory, operators
from tests.e2e.conftest import starter
from tests.e2e.figure import Figures
from tests.e2e.subject import DOMAIN, PASSING, Subject, stamp

SEED = 20261121
STEPS = ("create", "scale", "change", "rotate", "delete")
# One of the two in each lifecycle; four lifecycles try both with one instance and with two.
RELOADED, RESTARTED = ("work_mem", "9MB"), ("max_connections", "140")
CREDENTIALS = ("kubernetes.io/basic-auth", "servicebinding.io/postgresql")
MOST_SECONDS_TO_KILL = 3.0
PATIENCE = 180


class Killer:
    """Kills the operator that leads at random moments, and counts how often in which step."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl, self._chance = kubectl, random.Random(SEED)
        self._alive: dict[str, Any] | None = None
        self.kills: Counter[str] = Counter()

    def deal(self, lifecycles: int) -> list[set[str]]:
        """The steps of each lifecycle in which it kills: all of a single one's, or each step once in two lifecycles."""
        if lifecycles == 1:
            return [set(STEPS)]
        hands: list[set[str]] = []
        while len(hands) < lifecycles:
            order = self._chance.sample(STEPS, len(STEPS))
            hands += [set(order[:3]), set(order[3:])]
        return hands[:lifecycles]

    def during(self, step: str, begin: Callable[[], None]) -> float:
        """Begin a step and kill once, or once more when an operator leads again; gives the moment of the last kill."""
        victim = self._leader()
        begin()
        for _ in range(self._chance.choice((1, 1, 1, 2))):
            time.sleep(self._chance.uniform(0, MOST_SECONDS_TO_KILL))
            operators.kill(victim)
            killed = time.monotonic()
            self.kills[step] += 1
            victim = self._alive = operators.wait_successor(self._kubectl, victim)
        return killed

    def _leader(self) -> dict[str, Any]:
        """The pod that leads, in the life in which the last kill left it."""
        found, last = operators.wait_leader(self._kubectl), self._alive
        if last is not None and found["metadata"]["uid"] == last["metadata"]["uid"]:
            assert operators.life(found) == operators.life(last), (
                f"the operator ended by itself: {operators.container(found)}"
            )
        return found


@dataclass
class Lifecycle:
    """One store from its creation to its deletion, with the operator killed in some of the steps."""

    subject: Subject
    number: int
    killer: Killer
    killed_in: set[str]
    instances: int = 1
    waits: list[float] = field(default_factory=list)

    def run(self, start_agent: Callable[..., Agent]) -> list[str]:
        """Live through every step; gives the passwords that the store had."""
        self.create()
        first = self.credentials()
        self.scale()
        self.change()
        kept = self.credentials() == first
        assert kept, "credentials changed though nobody asked"
        self.rotate()
        second = self.credentials()
        rotated = second.password != first.password
        assert rotated, "the new login has the old one's password"
        self.log_in(start_agent)
        self.delete()
        return [first.password, second.password]

    def create(self) -> None:
        spec = {"postgres": {"instances": 1}, "pooler": {"instances": 1}}
        self._step("create", lambda: self.subject.apply(spec), self.state, (1, 1, "app_a"))

    def scale(self) -> None:
        self.instances = 2 if self.number % 2 == 0 else 1
        spec = {"postgres": {"instances": self.instances}, "pooler": {"instances": 2}}
        self._step("scale", lambda: self.subject.patch(spec), self.state, (self.instances, 2, "app_a"))

    def change(self) -> None:
        name, value = (RESTARTED, RELOADED)[(self.number + self.number // 2) % 2]
        spec = {"postgres": {"parameters": {name: value}}}

        def shown() -> object:
            return *self.state(), self.subject.psql(f"show {name}")

        self._step("change", lambda: self.subject.patch(spec), shown, (self.instances, 2, "app_a", value))

    def rotate(self) -> None:
        """Two logins take turns, so a store that rotated twice has the old one again."""
        command = partial(self.subject.command, "rotate-credentials", stamp())
        self._step("rotate", command, self.state, (self.instances, 2, "app_b"))

    def log_in(self, start_agent: Callable[..., Agent]) -> None:
        """Stock drivers log in with each URI of the binding, as the login that it names."""
        agent = start_agent("drivers.py", self.subject.name)
        assert agent.result()["ok"], agent.tail()
        said = [line["detail"] for line in agent.lines if line["event"] == "driver"]
        assert said, agent.tail()
        assert all(f" as {self.subject.login()}," in detail for detail in said), said
        self._kubectl("delete", "job", agent.name, "--cascade=foreground")

    def delete(self) -> None:
        """Nothing stays but the volumes, and these go by hand."""
        name = self.subject.name
        volumes = {f"PersistentVolumeClaim/data-{name}-{ordinal}" for ordinal in range(self.instances)}
        command = partial(self._kubectl, "delete", "checkpointstore", name, "--wait=false")
        self._step("delete", command, self.left, volumes)
        self._kubectl("delete", *sorted(volumes))

    def credentials(self) -> "Credentials":
        """The store's login, of which there is one, alike in both of its Secrets; one schema Job made it."""
        chosen = f"{DOMAIN}/store={self.subject.name}"
        listed = self.subject.kubectl.items("secrets", "-n", self.subject.namespace, "-l", chosen)
        found = {kind: [item["metadata"]["name"] for item in listed if item["type"] == kind] for kind in CREDENTIALS}
        names = [f"{self.subject.name}-{part}" for part in ("credentials", "app")]
        assert list(found.values()) == [[name] for name in names], f"Secrets with a login: {found}"
        made, bound = (Credentials(**pick(self.subject.secret(name))) for name in names)
        alike = made == bound
        assert alike, f"{names[1]} has not the login of {names[0]}"
        jobs = self.subject.kubectl.items("jobs", "-n", self.subject.namespace, "-l", chosen)
        assert len(jobs) <= 1, f"schema Jobs: {[job['metadata']['name'] for job in jobs]}"
        return made

    def state(self) -> tuple[object, ...]:
        """How many instances and poolers there are, or the names of those not ready; and the login in the binding."""
        found = [self.subject.pods(component) for component in ("postgres", "pooler")]
        unready = [[name for name, pod in pods.items() if not is_ready(pod)] for pods in found]
        return *(few or len(pods) for few, pods in zip(unready, found, strict=True)), self.subject.login()

    def left(self) -> object:
        """What there is of the store."""
        return inventory.of_store(self.subject.kubectl, self.subject.namespace, self.subject.name)

    def _kubectl(self, verb: str, *arguments: str) -> None:
        self.subject.kubectl(verb, *arguments, "-n", self.subject.namespace)

    def _step(self, step: str, begin: Callable[[], None], look: Callable[[], object], wanted: object) -> None:
        """Begin a step, kill the operator if it is one of those, and wait until all is as wanted and at rest."""
        killed = 0.0
        if step in self.killed_in:
            killed = self.killer.during(step, begin)
        else:
            begin()
        seen: list[object] = [None]

        def converged() -> bool:
            try:
                seen[0] = look()
            except (CommandFailed, KeyError) as error:
                # Nobody to ask, while the only instance restarts.
                seen[0] = f"{type(error).__name__}: {error}"
            return seen[0] == wanted and (step == "delete" or store.is_ready(self.subject.seen()))

        def told() -> str:
            found = self.subject.seen()
            generations = found.get("metadata", {}).get("generation"), found.get("status", {}).get("observedGeneration")
            return f"Wanted {wanted}, is {seen[0]}; generation, observed: {generations}\n{store.described(found)}"

        wait_for(f"{self.subject.name} to converge after {step}", converged, PATIENCE, every=0.5, seen=told)
        if killed:
            self.waits.append(time.monotonic() - killed)


@dataclass(frozen=True)
class Credentials:
    """A login; asserts look at bare truths of it, as pytest prints what it compares."""

    username: str
    password: str = field(repr=False)


def pick(secret: dict[str, str]) -> dict[str, str]:
    """The login in a Secret."""
    return {key: secret[key] for key in ("username", "password")}


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether Kubernetes takes a pod for ready."""
    conditions = pod["status"].get("conditions", ())
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)


def test_killed_during_lifecycles_always_converges(
    survivor: Subject, installation: Installation, figures: Figures, say: Callable[[str], None], soak: bool
) -> None:
    start_agent = starter(installation, survivor.namespace)
    killer, lives = Killer(survivor.kubectl), survivor.lives() | survivor.lives("pooler")
    hands = killer.deal(50 if soak else 1)
    passwords: list[str] = []
    waits: list[float] = []
    for number, steps in enumerate(hands):
        began, before = time.monotonic(), killer.kills.copy()
        subject = Subject(survivor.kubectl, survivor.namespace, f"{PASSING}-{number:02}")
        say(f"  lifecycle {number + 1} of {len(hands)}, to be killed in {', '.join(filter(steps.__contains__, STEPS))}")
        lifecycle = Lifecycle(subject, number, killer, steps)
        passwords += lifecycle.run(start_agent)
        waits += lifecycle.waits
        say(f"    {time.monotonic() - began:.0f} s, killed: {dict(killer.kills - before)}")
    figures.note("operator_killed_lifecycles", len(hands), "lifecycles")
    for step in STEPS:
        figures.note(f"operator_kills_in_{step}", killer.kills[step], "kills")
    figures.note("operator_killed_to_converged_longest", max(waits), "s")
    repeated = len(passwords) - len(set(passwords))
    figures.note("operator_killed_duplicate_passwords", repeated, "passwords", "<=0")
    assert repeated == 0
    assert survivor.lives() | survivor.lives("pooler") == lives, "a store that nobody touched was restarted"
