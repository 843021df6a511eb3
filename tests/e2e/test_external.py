"""Stores on a server of somebody else, which here is another store's; and applications that are too early."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from demo import agentjob
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import Kubectl
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject, stamp

EARLY = 6
# The schema Job has begun as soon as the store's roles are there.
JOB_BEGAN = "select exists (select from pg_roles where rolname like 'cps_{name}_%')"
TABLES = {"checkpoint_migrations", "checkpoints", "checkpoint_blobs", "checkpoint_writes"}


@dataclass(frozen=True)
class Guest:
    """A database of its own on the server, with an owner that may make roles, and the store that uses it."""

    server: Subject
    store: Subject
    password: str

    @classmethod
    def on(cls, server: Subject, name: str) -> "Guest":
        password = secrets.token_urlsafe(18)
        server.psql(f"create role {name} login createrole password '{password}'")
        server.psql(f"create database {name} owner {name}")
        return cls(server, Subject(server.kubectl, server.namespace, name), password)

    def publish(self, secret: str) -> None:
        """Make the Secret that the store reads; agents mount it too, for its `uri`."""
        name, binding = self.store.name, self.server.secret(f"{self.server.name}-app")
        host = binding["direct-host"]
        data = {
            "host": host,
            "port": "5432",
            "database": name,
            "username": name,
            "password": self.password,
            "ca.crt": binding["ca.crt"],
            "uri": f"postgresql://{name}:{self.password}@{host}:5432/{name}?sslmode=require",
        }
        metadata = {"name": secret, "namespace": self.server.namespace}
        self.server.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    def apply(self, secret: str) -> None:
        """Make the store."""
        external = {"provider": "External", "external": {"secretRef": {"name": secret}}}
        self.store.apply({"postgres": external, "pooler": {"instances": 1}})

    def schema(self) -> list[str]:
        """The savers' tables as pg_dump writes them, whoever owns them."""
        command = ["pg_dump", "-h", "/run/postgresql", "-U", "postgres", "-s", "-t", "public.checkpoint*"]
        text = self.server.inside([*command, "--no-owner", "--no-privileges", self.store.name])
        # Each dump has a random word in its \restrict.
        return [line for line in text.splitlines() if line and not line.startswith(("\\", "--"))]


@pytest.fixture(scope="module")
def early(installation: Installation, namespace: str) -> list[Agent]:
    """Six applications on a store that does not exist yet."""
    settings = {"MESSAGES": "3", "PAUSE": "0"}
    return [
        agentjob.start(
            installation.kubectl,
            namespace,
            installation.agent_image,
            "conversation.py",
            store="server",
            name=f"early-{number}",
            environment={**settings, "THREAD": f"early-{number}"},
        )
        for number in range(EARLY)
    ]


@pytest.fixture(scope="module")
def server(early: list[Agent], kubectl: Kubectl, namespace: str) -> Subject:
    """The store whose PostgreSQL is somebody else's for all other stores here."""
    made = Subject(kubectl, namespace, "server")
    made.apply({"pooler": {"instances": 1}})
    made.ready()
    return made


@pytest.fixture(scope="module")
def guest(server: Subject) -> Guest:
    """A store on that server, before its Secret is there."""
    made = Guest.on(server, "guest")
    made.apply("guest-server")
    return made


@pytest.fixture(scope="module")
def served(guest: Guest) -> Guest:
    """The same store when it has its Secret and is Ready."""
    guest.publish("guest-server")
    guest.store.changed("Ready", lambda: guest.store.condition("Ready").get("status") == "True")
    return guest


def test_applications_before_the_schema_all_wait_and_succeed(
    server: Subject, early: list[Agent], figures: Figures
) -> None:
    # A kubelet puts off the next look for a Secret that was not there by up to two minutes.
    results = [agent.follow(240).result() for agent in early]
    figures.note("early_applications_succeeded", sum(result["ok"] for result in results), "applications", f">={EARLY}")
    figures.note("early_applications_failed_tries", sum(result["retries"] for result in results), "tries", "<=0")
    assert [(result["ok"], result["retries"]) for result in results] == [(True, 0)] * EARLY
    pods = server.kubectl.items("pods", "-n", server.namespace, "-l", "app.kubernetes.io/name=agent")
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods} == {0}


def test_missing_secret_is_told_and_taken_up(guest: Guest, figures: Figures, say: Callable[[str], None]) -> None:
    message = guest.store.said("Ready", "SecretMissing", 60)
    say(f"  a person sees: Ready SecretMissing: {message}")
    assert message.startswith("Secret guest-server is not in this namespace: create it with the keys host, port,")
    with figures.timed("external_secret_to_ready"):
        guest.publish("guest-server")
        guest.store.changed("Ready", lambda: guest.store.condition("Ready").get("status") == "True")
    kinds = "statefulsets,persistentvolumeclaims"
    assert not guest.store.kubectl.items(kinds, "-n", guest.store.namespace, "-l", "checkpointstore.dev/store=guest")


def test_stock_savers_on_an_external_server(served: Guest, start_agent: Callable[..., Agent]) -> None:
    settings = {"MESSAGES": "12", "PAUSE": "0"}
    agents = [start_agent(script, "guest", settings) for script in ("conversation.py", "conversation_sync.py")]
    for agent in agents:
        result = agent.result()
        assert (result["ok"], result["acknowledged"], result["forgotten"]) == (True, 12, []), agent.tail()


def test_rotation_on_an_external_server(served: Guest, run_agent: Callable[..., Any], start_agent: Any) -> None:
    """Who holds the old login goes on with it; who reads the binding afterwards has the new one."""
    old = served.store.login()
    before = start_agent("writer.py", "guest", {"SECONDS": "900", "RATE": "50", "RUN": "before"})
    before.wait_line("its first rows", lambda line: line.get("acknowledged", 0) > 0)
    served.store.command("rotate-credentials", stamp())
    served.store.changed("another login in the binding", lambda: served.store.login() != old)
    result, agent = run_agent("writer.py", "guest", SECONDS="2", RUN="after")
    assert (result["failed"], result["lost"]) == (0, 0), agent.tail()
    earlier = before.stop()
    assert earlier["lost"] == 0, before.tail()
    assert earlier["failed"] <= 2, before.tail()
    assert [line["user"] for line in (before.lines[0], agent.lines[0])] == [old, served.store.login()]


def test_applications_that_race_the_job(
    served: Guest, start_agent: Callable[..., Agent], run_agent: Callable[..., Any], figures: Figures, soak: bool
) -> None:
    """They set up themselves while the Job does; the catalog ends as if they had not, and one retry succeeds."""
    alone, rounds, failed, retries = served.schema(), 20 if soak else 1, 0, 0
    assert {table for table in TABLES if any(f" public.{table} " in line for line in alone)} == TABLES
    for number in range(rounds):
        raced = Guest.on(served.server, f"raced{number}")
        secret = f"{raced.store.name}-admin"
        raced.publish(f"{secret}-app")
        agent = start_agent("race.py", secret, {"START_WHEN": JOB_BEGAN.format(name=raced.store.name)})
        agent.wait_line("being armed", lambda line: line["event"] == "armed")
        raced.apply(f"{secret}-app")
        failed += agent.result()["failed"]
        raced.store.ready()
        result, again = run_agent("race.py", secret)
        assert result["ok"], again.tail()
        retries += result["failed"]
        assert raced.schema() == alone
        raced.store.kubectl("delete", "cps", raced.store.name, "-n", raced.store.namespace, "--wait=false")
    figures.note("external_race_rounds", rounds, "rounds of 6 applications")
    figures.note("external_race_first_tries_failed", failed, f"of {6 * rounds} tries")
    figures.note("external_race_retries_failed", retries, f"of {6 * rounds} retries", "<=0")
