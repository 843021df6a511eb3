"""What strangers edit, add or own: what is ours is mended, the rest stays, and what is theirs is not touched."""

from typing import Any

import pytest

from tests.contract.world import NAMESPACE, World
from tests.golden.backup import BACKUP, OUTSIDE, RECOVERY
from tests.unit.backup.story import level


def test_a_stranger_edit_of_what_is_ours_is_undone_and_the_rest_stays() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 2}})
        world.settle()
        before = {key: world.need(*key) for key in world.children() if key[0] in ("Deployment", "Service", "Role")}
        for kind, name in before:
            world.edit(kind, name, {"metadata": {"annotations": {"theirs": "1"}, "labels": {"theirs": "1"}}})
        world.edit("Deployment", "agents-pooler", {"spec": {"replicas": 9, "template": {"spec": {"volumes": None}}}})
        world.edit("Service", "agents-rw", {"spec": {"ports": None}})
        world.edit("Role", "agents", {"rules": []})
        world.settle()
        for (kind, name), was in before.items():
            now = world.need(kind, name)
            assert now["metadata"]["annotations"]["theirs"] == now["metadata"]["labels"]["theirs"] == "1"
            assert {key: now.get(key) for key in ("rules", "data")} == {key: was.get(key) for key in ("rules", "data")}
            assert now.get("spec") == was.get("spec"), (kind, name)


@pytest.mark.parametrize("name", ["agents-app", "agents-blobs", "agents-pooler", "agents-repository"])
def test_what_somebody_adds_to_a_published_secret_asks_for_nothing(name: str) -> None:
    with World() as world:
        world.buckets().make({"backup": BACKUP, **OUTSIDE}).settle()
        before = world.secret(name)
        world.edit("Secret", name, {"data": {"theirs": "YQ=="}}).settle()
        assert world.secret(name) == {**before, "theirs": "a"}
        assert (world.look(), level(world)["Reconciling"]) == (0, ("False", "Converged"))
        [key, *_] = before
        for edit in ("YQ==", None):
            world.edit("Secret", name, {"data": {key: edit}}).settle()
            assert world.secret(name) == {**before, "theirs": "a"}, "what is ours is mended"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ConfigMap", "agents-postgres"),
        ("Role", "agents"),
        ("Secret", "agents-app"),
        ("Secret", "agents-ca"),
        ("Secret", "agents-pooler"),
        ("Service", "agents-rw"),
    ],
)
def test_a_foreign_object_is_never_touched(kind: str, name: str) -> None:
    with World() as world:
        meta = {"name": name, "namespace": NAMESPACE, "labels": {"whose": "theirs"}}
        world.server.create({"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": {}}, "kubectl-create")
        before = world.need(kind, name)
        world.make()
        for _ in range(6):
            world.look()
            world.tick()
        assert world.need(kind, name) == before
        assert world.condition("Stalled")["reason"] == "NameTaken"
        assert f"{kind}/{name}" in world.condition("Stalled")["message"]
        world.delete(kind, name)
        world.settle()
        assert world.status["phase"] == "Ready"


@pytest.mark.parametrize(("kind", "name"), [("ConfigMap", "agents-postgres"), ("Secret", "agents-ca")])
def test_what_a_deleted_store_of_the_name_left_is_waited_for(kind: str, name: str) -> None:
    with World() as world:
        owner = {
            "apiVersion": "checkpointstore.dev/v1alpha1",
            "kind": "CheckpointStore",
            "name": "agents",
            "uid": "earlier",
            "controller": True,
        }
        meta = {"name": name, "namespace": NAMESPACE, "ownerReferences": [owner]}
        world.server.create({"apiVersion": "v1", "kind": kind, "metadata": meta}, "earlier")
        before = world.need(kind, name)
        world.make()
        for _ in range(3):
            world.look()
        assert world.need(kind, name) == before
        assert world.states["Ready"] == ("False", "PredecessorTerminating")
        assert world.states["Reconciling"] == ("True", "PredecessorTerminating")
        assert world.states["Stalled"] == ("False", "Progressing")
        assert f"{kind}/{name}" in world.condition("Ready")["message"]
        stranger = {"name": "agents-pooler", "namespace": NAMESPACE}
        world.server.create({"apiVersion": "v1", "kind": "Secret", "metadata": stranger}, "kubectl-create")
        world.look()
        assert world.states["Stalled"] == ("True", "NameTaken"), "somebody else's stays"
        assert f"{kind}/{name}" not in world.condition("Stalled")["message"]
        world.delete("Secret", "agents-pooler")
        world.tick().settle()
        assert world.status["phase"] == "Ready"


@pytest.mark.parametrize("bootstrap", [{}, {"adopt": True}, {"recovery": RECOVERY}])
def test_a_volume_that_is_being_deleted_is_neither_taken_over_nor_in_the_way(bootstrap: dict[str, Any]) -> None:
    with World() as world:
        world.make().settle()
        world.delete("CheckpointStore", "agents").tick(5)
        volume = ("PersistentVolumeClaim", "data-agents-0")
        # A pod that is on its way out still uses it.
        world.edit(*volume, {"metadata": {"deletionTimestamp": "2026-01-01T00:01:00Z"}})
        world.bucket().make({"bootstrap": bootstrap})
        for _ in range(5):
            world.look()
            world.tick()
        assert world.states["Initialized"] == ("False", "PredecessorTerminating")
        assert world.states["Stalled"] == ("False", "Progressing")
        assert "PersistentVolumeClaim/data-agents-0" in world.condition("Initialized")["message"]
        assert world.server.get("StatefulSet", NAMESPACE, "agents") is None
        world.delete(*volume)
        world.settle()
        assert world.status["phase"] == "Ready"


@pytest.mark.parametrize("bootstrap", [{}, {"adopt": True}, {"recovery": RECOVERY}])
def test_a_volume_that_the_garbage_collector_has_yet_to_come_to_is_waited_for(bootstrap: dict[str, Any]) -> None:
    with World() as world:
        world.make().settle()
        world.delete("CheckpointStore", "agents").tick(5)
        gone = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "agents", "uid": "earlier"}
        world.edit("PersistentVolumeClaim", "data-agents-0", {"metadata": {"ownerReferences": [gone]}})
        world.bucket().make({"bootstrap": bootstrap}).look()
        assert world.states["Initialized"] == ("False", "PredecessorTerminating")
        assert world.states["Stalled"] == ("False", "Progressing")
        world.settle()
        assert world.status["phase"] == "Ready"
        assert world.need("PersistentVolumeClaim", "data-agents-0")["metadata"].get("ownerReferences") is None


def test_a_stranger_in_a_list_that_is_one_value_is_sent_away() -> None:
    with World() as world:
        world.make().settle()
        live = world.need("RoleBinding", "agents")
        stranger = {"kind": "ServiceAccount", "name": "stranger", "namespace": NAMESPACE}
        world.edit("RoleBinding", "agents", {"subjects": [*live["subjects"], stranger]})
        world.settle()
        assert world.need("RoleBinding", "agents")["subjects"] == live["subjects"]
