"""What a person reads who asks for something that cannot be: every row of docs/api.md that this cluster can show."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from checkpointstore.api.refusal import CHANGED, CHANGED_BACKUP, CHANGED_LATER, CREATED, TOLD
from checkpointstore.api.refused import Refused
from demo import store
from demo.installation import Installation
from demo.kubectl import ROOT, CommandFailed, Kubectl, wait_for
from tests.e2e.subject import Subject

SAMPLES = ROOT / "manifests" / "samples"
NAME = "agents"
AFTER_INITIALIZED = "another bootstrap, once the store is Initialized"
SHALLOW = """
create table checkpoints (thread_id text not null, checkpoint_ns text not null default '', type text,
  checkpoint jsonb not null, metadata jsonb not null default '{}', primary key (thread_id, checkpoint_ns));
create table checkpoint_migrations (v integer primary key);
"""
NEWER = """
create table checkpoint_migrations (v integer primary key);
insert into checkpoint_migrations select generate_series(0, 10);
"""
Say = Callable[[str], None]


def told(what: str) -> tuple[str, str, str]:
    """Condition, reason and message that docs/api.md promises for a row."""
    (row,) = [row for row in TOLD if row.what == what]
    return row.condition, row.reason, row.message


def answer(kubectl: Kubectl, namespace: str, name: str, spec: Mapping[str, Any]) -> str:
    """What kubectl prints for a spec that is refused; nothing is stored."""
    text = json.dumps(store.manifest(name, namespace, dict(spec)))
    try:
        kubectl("apply", "--dry-run=server", "-f", "-", text=text)
    except CommandFailed as error:
        return str(error)
    return "accepted"


def show(say: Say, what: str, text: str) -> None:
    say(f"  {what}: {text.partition('ended with 1: ')[2] or text}")


@pytest.fixture(scope="module")
def agents(kubectl: Kubectl, namespace: str) -> Subject:
    """The store of minimal.yaml, with somebody else's ConfigMap in its way, which goes later."""
    metadata = {"name": f"{NAME}-postgres", "namespace": namespace}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"whose": "another's"}})
    kubectl("apply", "-n", namespace, "-f", str(SAMPLES / "minimal.yaml"))
    return Subject(kubectl, namespace, NAME)


def expect(subject: Subject, what: str, say: Say, timeout: float = 60) -> None:
    """Wait for the condition that docs/api.md gives for a row, in exactly its words."""
    condition, reason, wanted = told(what)
    message = subject.said(condition, reason, timeout)
    show(say, what, f"{condition} {reason}: {message}")
    assert message == wanted
    wait_for("Stalled", partial(stalls, subject, reason), 30)


def test_a_taken_name_is_told_and_not_touched(agents: Subject, say: Say) -> None:
    expect(agents, "an object of a name that the store needs, by somebody else", say)
    found = agents.kubectl.find("configmap", f"{NAME}-postgres", agents.namespace) or {}
    assert found["data"] == {"whose": "another's"}
    agents.kubectl("delete", "configmap", f"{NAME}-postgres", "-n", agents.namespace)


@pytest.mark.parametrize("row", CREATED, ids=lambda row: row.what)
def test_refused_at_creation(kubectl: Kubectl, namespace: str, say: Say, row: Refused) -> None:
    said = answer(kubectl, namespace, "other", row.spec)
    show(say, row.what, said)
    assert row.answer in said


@pytest.mark.parametrize("row", [row for row in CHANGED if row.what != AFTER_INITIALIZED], ids=lambda row: row.what)
def test_refused_as_a_change(kubectl: Kubectl, namespace: str, say: Say, row: Refused) -> None:
    name = f"change-{CHANGED.index(row)}"
    Subject(kubectl, namespace, name).apply(dict(row.before or {}), {"paused": "true"})
    said = answer(kubectl, namespace, name, row.spec)
    show(say, row.what, said)
    assert row.answer in said
    kubectl("delete", "cps", name, "-n", namespace, "--wait=false")


def test_a_name_that_is_too_long(kubectl: Kubectl, namespace: str, say: Say) -> None:
    said = answer(kubectl, namespace, "a" * 41, {})
    show(say, "a name of 41 characters", said)
    assert "metadata.name: at most 40 characters" in said


def test_a_spec_that_only_the_operator_refuses(kubectl: Kubectl, namespace: str, say: Say) -> None:
    subject = Subject(kubectl, namespace, "upper")
    subject.apply({"postgres": {"parameters": {"FSYNC": "off"}}})
    expect(subject, "a parameter that the operator owns, in another case", say)
    kubectl("delete", "cps", "upper", "-n", namespace, "--wait=false")


REPOSITORY = {"objectStore": {"url": "s3://backups", "credentials": {"name": "bucket"}}}
SPECS: Mapping[str, Mapping[str, Any]] = {
    "a cron line that is never due": {"backup": {**REPOSITORY, "schedules": {"full": "0 2 */20 * 1#2"}}},
    "a cron line with an hour that no day has": {"backup": {**REPOSITORY, "schedules": {"full": "0 25 * * *"}}},
    "a recovery window of more than ten years": {"backup": {**REPOSITORY, "retentionPolicy": "4000d"}},
    "a CheckpointBackup to recover from that is not there": {
        "bootstrap": {"recovery": {"backup": {"name": "agents-full-202611240300"}}}
    },
}


@pytest.mark.parametrize("what", SPECS)
def test_what_only_the_operator_sees_of_backups(kubectl: Kubectl, namespace: str, say: Say, what: str) -> None:
    name = f"kept-{list(SPECS).index(what)}"
    subject = Subject(kubectl, namespace, name)
    subject.apply(dict(SPECS[what]))
    expect(subject, what, say)
    kubectl("delete", "cps", name, "-n", namespace, "--wait=false")


def test_a_backup_never_changes(kubectl: Kubectl, namespace: str, say: Say) -> None:
    (row,) = CHANGED_BACKUP
    meta = {"name": "of-nobody", "namespace": namespace}
    what = {"apiVersion": "checkpointstore.dev/v1alpha1", "kind": "CheckpointBackup", "metadata": meta}
    kubectl.apply({**what, "spec": {**dict(row.before or {}), "store": {"name": "nobody"}}})
    with pytest.raises(CommandFailed) as refused:
        kubectl.apply({**what, "spec": {**row.spec, "store": {"name": "nobody"}}})
    show(say, row.what, str(refused.value))
    assert row.answer in str(refused.value)


def test_a_storage_class_that_does_not_exist(kubectl: Kubectl, namespace: str, say: Say) -> None:
    subject = Subject(kubectl, namespace, "nowhere")
    subject.apply({"postgres": {"storage": {"storageClassName": "no-such-class"}}})

    def named() -> str | None:
        found = subject.condition("Ready")
        return f"{found['reason']}: {found['message']}" if "no-such-class" in found.get("message", "") else None

    message = wait_for("Ready to name the class", named, 60, seen=partial(described, subject))
    show(say, "a StorageClass that does not exist", f"Ready {message}")
    kubectl("delete", "cps", "nowhere", "-n", namespace, "--wait=false")


def test_adopting_what_an_earlier_store_left(agents: Subject, say: Say) -> None:
    agents.ready()
    agents.psql("create table left_behind as select 42 as answer")
    said = answer(agents.kubectl, agents.namespace, NAME, {"bootstrap": {"adopt": True}})
    show(say, AFTER_INITIALIZED, said)
    assert next(row.answer for row in CHANGED if row.what == AFTER_INITIALIZED) in said
    (row,) = CHANGED_LATER
    said = answer(agents.kubectl, agents.namespace, NAME, row.spec)
    show(say, row.what, said)
    assert row.answer in said
    agents.patch({"backup": REPOSITORY})
    expect(agents, "credentials of an object store that are not there", say)
    half = ["generic", "bucket", "-n", agents.namespace, "--from-literal=AWS_ACCESS_KEY_ID=x"]
    agents.kubectl("create", "secret", *half)
    expect(agents, "credentials of an object store that lack a key", say)
    assert agents.condition("Ready")["status"] == "True"
    agents.kubectl("delete", "cps", NAME, "-n", agents.namespace)
    wait_for("its pods to go", lambda: not agents.pods(going=True), 90)
    agents.kubectl("apply", "-n", agents.namespace, "-f", str(SAMPLES / "minimal.yaml"))
    expect(agents, "volumes of an earlier store of this name", say)
    agents.patch({"bootstrap": {"recovery": {"backup": {"name": "any"}}}})
    wait_for("another message", lambda: "recovery" in agents.condition("Initialized")["message"], 60)
    expect(agents, "volumes of an earlier store of this name, and a recovery", say)
    agents.patch({"bootstrap": {"recovery": None}})
    agents.kubectl("apply", "-n", agents.namespace, "-f", str(SAMPLES / "adopt.yaml"))
    agents.ready()
    assert agents.psql("select answer from left_behind") == "42"


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_api_server_takes_each_sample(kubectl: Kubectl, sample: Path) -> None:
    assert "created" in kubectl("apply", "--dry-run=server", "-n", "default", "-f", str(sample))


def test_sample_agent_remembers(agents: Subject, installation: Installation) -> None:
    """The Deployment of the sample, in the image that holds what its comment asks for."""
    text = (SAMPLES / "agent-deployment.yaml").read_text()
    image = next(line.split("image: ")[1] for line in text.splitlines() if "image: " in line)
    agents.kubectl("apply", "-n", agents.namespace, "-f", "-", text=text.replace(image, installation.agent_image))
    log = ["logs", "deployment/chat-agent", "-n", agents.namespace, "--tail=20"]
    agents.kubectl("rollout", "status", "deployment/chat-agent", "-n", agents.namespace)
    wait_for("a second turn", lambda: "turn 2" in agents.kubectl(*log), 120, every=1)


def test_sample_external_becomes_ready(agents: Subject) -> None:
    """The sample with a server's address in it, under another name, as `agents` is taken here."""
    secret, wanted = yaml.safe_load_all((SAMPLES / "external.yaml").read_text())
    agents.psql("create role owner login createrole password 'change-me'")
    agents.psql("create database agents owner owner")
    secret["stringData"]["host"] = agents.secret(f"{NAME}-app")["direct-host"]
    wanted["metadata"]["name"] = "sampled"
    for manifest in (secret, wanted):
        manifest["metadata"]["namespace"] = agents.namespace
    agents.kubectl.apply(secret, wanted)
    Subject(agents.kubectl, agents.namespace, "sampled").ready()


def test_samples_of_stores_become_ready(kubectl: Kubectl, namespace: str) -> None:
    """The two that no other test applies, at once and under names of their own, as `agents` is taken here."""
    samples = ("highly-available", "network-policy")
    for sample in samples:
        wanted = yaml.safe_load((SAMPLES / f"{sample}.yaml").read_text())
        wanted["metadata"] |= {"name": sample, "namespace": namespace}
        kubectl.apply(wanted)
    for sample in samples:
        Subject(kubectl, namespace, sample).ready(300)
        kubectl("delete", "cps", sample, "-n", namespace, "--wait=false")


SERVERS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    # Name: the row or the reason expected, what its database holds, and what is wrong with its Secret.
    "shallow": ("tables made by ShallowPostgresSaver", SHALLOW, {}),
    "newer": ("tables made by a newer saver", NEWER, {}),
    "dba": ("an external user that may not make roles", "", {}),
    "half": ("SecretIncomplete", "", {"password": "", "database": ""}),
    "stranger": ("LoginRefused", "", {"password": "wrong"}),
    "homeless": ("DatabaseMissing", "", {"database": "no_such_database"}),
}


def test_external_servers_that_cannot_be_used(agents: Subject, say: Say) -> None:
    """Six at once, as each costs the start of a Job; nothing in their databases may be changed."""
    binding = agents.secret(f"{NAME}-app")
    for name, (_, content, wrong) in SERVERS.items():
        agents.psql(f"create role {name} login password 'pw-{name}' {'' if name == 'dba' else 'createrole'}")
        agents.psql(f"create database {name} owner {name}")
        agents.psql(f"set role {name}; {content}", name)
        data = {"host": binding["direct-host"], "port": "5432", "database": name, "username": name}
        data |= {"password": f"pw-{name}", "ca.crt": binding["ca.crt"], **wrong}
        external(agents, name, {key: value for key, value in data.items() if value})
    for name, (what, content, _) in SERVERS.items():
        subject = Subject(agents.kubectl, agents.namespace, name)
        if " " in what:
            expect(subject, what, say, 120)
        else:
            wait_for(what, partial(stalls, subject, what), 120, seen=partial(described, subject))
            show(say, what, subject.condition("Stalled")["message"])
        assert subject.condition("Ready")["status"] == "False"
        tables = agents.psql("select count(*) from pg_tables where schemaname = 'public'", name)
        assert int(tables) == content.count("create table")
        assert not subject.secret(f"{name}-app"), "no binding before the schema stands"


def stalls(subject: Subject, reason: str) -> bool:
    """Whether it is Stalled for this reason."""
    return bool(subject.condition("Stalled").get("reason") == reason)


def described(subject: Subject) -> str:
    """Its conditions, for a person."""
    return store.described(subject.seen())


def external(agents: Subject, name: str, data: Mapping[str, str]) -> None:
    """A store on a database of the server that `agents` runs."""
    metadata = {"name": f"{name}-server", "namespace": agents.namespace}
    agents.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(data)})
    reference = {"provider": "External", "external": {"secretRef": {"name": f"{name}-server"}}}
    Subject(agents.kubectl, agents.namespace, name).apply({"postgres": reference, "pooler": {"instances": 1}})
