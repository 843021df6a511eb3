"""What must hold of a store at every moment, and what must hold of it once it has come to rest."""

from collections import Counter

from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.condition import READY, RECONCILING, STALLED
from checkpointstore.kernel.naming import ROTATION
from tests.contract.database import LOADED
from tests.contract.world import NAMESPACE, World


class Witness:
    """Looks at a world after each event and remembers what must not change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._passwords: dict[tuple[str, str], str] = {}

    def look(self) -> None:
        self._password_stands()
        # Whatever an operator sees or misses, it takes nothing away that clients or data hang on.
        source = ("Secret", f"{self.world.name}-source")
        assert {kind for kind, name in self.world.removed if (kind, name) != source} <= {"Job", "Pod"}
        if self.world.status:
            self._status_is_sound()

    def _password_stands(self) -> None:
        """A password changes with its Secret's life or with a rotation, and with nothing else."""
        secret = self.world.server.get("Secret", NAMESPACE, f"{self.world.name}-credentials")
        if secret is None:
            return
        meta = secret["metadata"]
        life = meta["uid"], meta.get("annotations", {}).get(ROTATION, "")
        assert self._passwords.setdefault(life, secret["data"]["password"]) == secret["data"]["password"]

    def _status_is_sound(self) -> None:
        status = self.world.status
        assert 1 <= status["observedGeneration"] <= self.world.body["metadata"]["generation"]
        types = Counter(item["type"] for item in status["conditions"])
        assert types[READY] == types[RECONCILING] == types[STALLED] == 1
        assert set(types.values()) == {1}, types
        states = {item["type"]: item["status"] for item in status["conditions"]}
        assert not (states[RECONCILING] == states[STALLED] == "True")
        assert all(item["observedGeneration"] == status["observedGeneration"] for item in status["conditions"])


def at_rest(world: World) -> None:
    """Everything is there once, belongs to somebody, and nothing is left to do."""
    assert world.status["phase"] == "Ready", world.status["conditions"]
    assert world.status["observedGeneration"] == world.body["metadata"]["generation"]
    assert world.plan().actions == ()
    assert {pod["metadata"]["annotations"][LOADED] for pod in instances(world)} == {
        world.status["postgres"]["revision"]
    }
    assert orphans(world) == []
    assert [kind for kind, _ in world.children()].count("Job") == 1
    assert not [item for item in world.server.deleted if item["kind"] == "PersistentVolumeClaim"]
    binding, credentials = (world.secret(f"{world.name}-{name}") for name in ("app", "credentials"))
    assert {key: binding[key] for key in ("username", "password")} == credentials


def instances(world: World) -> list[Manifest]:
    return world.server.all("Pod", NAMESPACE, {"app.kubernetes.io/component": "postgres"})


def orphans(world: World) -> list[tuple[str, str]]:
    """What carries the store's label and would outlive it without anybody's consent."""
    known = {item["metadata"]["uid"] for item in world.server.objects.values()}
    return [
        (kind, name)
        for kind, name in world.children()
        if not any(owner["uid"] in known for owner in world.need(kind, name)["metadata"].get("ownerReferences", ()))
        # Volumes and backups stay by promise; Endpoints go with the Service of their name.
        and kind not in ("PersistentVolumeClaim", "CheckpointBackup")
        and not (kind == "Endpoints" and world.server.get("Service", NAMESPACE, name))
    ]
