"""Looking and acting: what is read of secrets, what is written to them, and what happens when something refuses."""

import asyncio
import base64
from datetime import UTC, datetime

import pytest

from checkpointstore.adapters import certificate
from checkpointstore.features.pooler.configuration import OPERATORS
from checkpointstore.kernel.action import Delete, Emit, GeneratePassword, IssueAuthority, Ref
from checkpointstore.kernel.errors import Refused, StoreError, Unavailable
from checkpointstore.kernel.naming import ROTATION, SINCE, SOURCE
from checkpointstore.runtime import observe
from checkpointstore.runtime.execute import _escaped, emit, execute
from tests.contract.twin import Twin
from tests.contract.world import NAMESPACE, World
from tests.golden.case import EXTERNAL


def b64(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def secret(annotations: dict[str, str] | None = None, uid: str = "u", **data: str | bytes) -> dict[str, object]:
    meta = {
        "name": "s",
        "uid": "1",
        "resourceVersion": "7",
        "annotations": annotations,
        "ownerReferences": [{"uid": uid}],
    }
    return {"metadata": meta, "data": {key.replace("_", "."): b64(value) for key, value in data.items()}}


def test_of_a_secret_only_the_public_side_is_seen() -> None:
    pem, key = certificate.authority("an authority")
    leaf, leaf_key = certificate.leaf(pem, key, "standby", ("agents-rw", "*.agents-pods"))
    fact = observe.fact(secret(tls_crt=leaf, tls_key=leaf_key, ca_crt=pem + pem, password="hunter2"), "u")
    assert fact.certificate is not None
    assert (fact.certificate.common_name, fact.certificate.dns_names) == ("standby", ("agents-rw", "*.agents-pods"))
    assert fact.certificate.issuer_key == certificate.facts(pem).issuer_key  # type: ignore[union-attr]
    assert len(fact.trust) == 2
    assert fact.keys == {"tls.crt", "tls.key", "ca.crt", "password"}
    assert (fact.ours, fact.version, fact.intact) == (True, "7", True)
    assert "hunter2" not in repr(fact)
    assert b64(leaf_key) not in repr(fact)


def test_a_secret_without_anything_is_seen_too() -> None:
    fact = observe.fact({"metadata": {"name": "s", "uid": "1", "resourceVersion": "1"}, "data": None}, "u")
    assert (fact.ours, fact.certificate, fact.username, fact.trust, fact.keys) == (False, None, "", (), frozenset())


def test_what_annotations_of_a_secret_say() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    marks = {
        ROTATION: "r",
        SOURCE: "s",
        SINCE: since.isoformat(),
        observe.DIGEST: observe.digest({"username": b64("app_a")}),
    }
    fact = observe.fact(secret(marks, username="app_a"), "u")
    assert (fact.rotation, fact.source, fact.since, fact.username, fact.intact) == ("r", "s", since, "app_a", True)
    assert not observe.fact(secret(marks, username="app_b"), "u").intact


def test_a_leaf_of_no_authority_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        certificate.leaf(b"none", b"none", "x", ())
    assert caught.value.reason == "BrokenAuthority"
    assert certificate.facts(b"none") is None
    assert certificate.fingerprints(b"none") == ()


def test_a_password_in_a_uri_is_quoted_and_elsewhere_is_not() -> None:
    values = {"password": "a/b@c"}
    assert _escaped(values, "postgresql://{password}@host") == {"password": "a%2Fb%40c"}
    assert _escaped(values, "{password}") == values


def test_where_storage_classes_may_not_be_listed_they_are_assumed() -> None:
    with World() as world:
        world.make()
        world.delete_class()
        assert not world.observed().storage_class

        class Denied(Twin):
            async def all(self, kind: str, namespace: str | None, selector: str = "") -> list[dict[str, object]]:
                if kind == "StorageClass":
                    raise Refused("Forbidden", "no")
                return await super().all(kind, namespace, selector)

        seen = asyncio.run(observe.observe(Denied(world.server), world.store(), (), frozenset()))
        assert seen.storage_class


def test_addresses_of_the_nodes_that_carry_poolers() -> None:
    with World() as world:
        world.make()
        assert observe.node_addresses(world.observed()) == frozenset()
        world.settle()
        assert observe.node_addresses(world.observed()) == {"198.18.1.1", "198.18.1.2"}


def act(world: World, *actions: object, **faults: StoreError) -> frozenset[Ref]:
    twin = Twin(world.server, faults={int(name[1:]): fault for name, fault in faults.items()})
    return asyncio.run(execute(twin, world.store(), actions))  # type: ignore[arg-type]


def test_one_refusal_keeps_nothing_else_from_being_done() -> None:
    with World() as world:
        world.make()
        plan = world.plan()
        with pytest.raises(Refused, match="no"):
            act(world, Emit("Normal", "First", "x"), *plan.actions, _1=Refused("Forbidden", "no"))
        assert world.need("StatefulSet", "agents")
        assert world.need("Secret", "agents-postgres-tls")


def test_what_may_pass_by_itself_is_told_before_a_refusal() -> None:
    """A pass that failed for both is tried again soon."""
    with World() as world:
        world.make()
        world.settle()
        world.delete("Service", "agents-ro").delete("Service", "agents-rw")
        with pytest.raises(Unavailable):
            act(world, *world.plan().actions, _1=Refused("Forbidden", "no"), _2=Unavailable("no"))


def test_who_was_there_first_keeps_the_name() -> None:
    with World() as world:
        world.make()
        theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "agents-ca", "namespace": NAMESPACE}}
        world.server.create({**theirs, "data": {"whose": b64("theirs")}})
        issue = IssueAuthority({**theirs}, "ours", "")
        assert act(world, issue) == {Ref("Secret", "agents-ca")}
        assert world.secret("agents-ca") == {"whose": "theirs"}


def test_a_password_is_made_once() -> None:
    with World() as world:
        world.make()
        made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "p", "namespace": NAMESPACE}}
        assert act(world, GeneratePassword(made, "app_a")) == frozenset()
        first = world.secret("p")
        assert len(first["password"]) >= 32
        assert act(world, GeneratePassword(made, "app_a")) == {Ref("Secret", "p")}
        assert world.secret("p") == first


def test_deleting_what_is_gone_is_fine() -> None:
    with World() as world:
        world.make()
        assert act(world, Delete(Ref("Pod", "nobody")), Delete(Ref("Job", "nobody"))) == frozenset()


def test_an_external_rotation_keeps_the_previous_login_for_a_while() -> None:
    """Clients that have not read the new binding yet go on; the one before that is out."""
    with World() as world:
        world.rds()
        world.make(EXTERNAL).settle()
        logins = [[line.split('"')[1] for line in world.secret("agents-pooler")["userlist.txt"].splitlines()]]
        for command in ("1", "2", "3"):
            world.command("rotate-credentials", command).settle()
            text = world.secret("agents-pooler")["userlist.txt"]
            logins.append([line.split('"')[1] for line in text.splitlines()])
            assert world.secret("agents-credentials")["password"] not in text
            assert "SCRAM-SHA-256$" in text
        fixed = [line.split('"')[1] for line in OPERATORS]
        a, b = (name for name in (f"{logins[0][2][:-1]}{end}" for end in "ab"))
        assert logins == [[*fixed, a], [*fixed, b, a], [*fixed, a, b], [*fixed, b, a]]


def test_an_event_is_short_and_points_at_the_store() -> None:
    with World() as world:
        world.make()
        asyncio.run(emit(Twin(world.server), world.body, "Warning", "Reason", "x" * 5000))
        (event,) = world.server.all("Event")
        assert len(event["message"]) == 1000
        assert event["involvedObject"]["uid"] == world.body["metadata"]["uid"]
