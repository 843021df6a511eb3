"""What the stories of stores with backups have in common: time that passes, Jobs, and an operator that is killed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checkpointstore.kernel.action import Manifest
from tests.contract import apiserver
from tests.contract.apiserver import stamp
from tests.contract.world import NAMESPACE, World
from tests.golden.backup import BACKUP

REFUSED = {"reason": "CredentialsRejected", "message": "mend the credentials"}
FIRST = "agents-full-202601010000"
FRIDAY = "agents-differential-202601020300"
SOUND = {"Ready": ("True", "Serving"), "Reconciling": ("False", "Converged"), "Stalled": ("False", "Converged")}


def backed_up(world: World, **backup: Any) -> World:
    """A store whose first backup is made and verified, in an empty world."""
    spec = {"backup": {**BACKUP, **backup}}
    return known(world, json.dumps(spec), lambda first: first.bucket().make(spec).settle())


def backing_up(world: World) -> World:
    """A store whose first backup runs, and does not end."""
    spec = {"postgres": {"instances": 2}, "backup": BACKUP}
    known(world, "backing up", lambda first: stopped(first).bucket().make(spec).settle())
    return stopped(world)


def stopped(world: World) -> World:
    """Jobs do not end any more."""
    world.repository.works = False
    return world


def known(world: World, name: str, begin: Callable[[World], object]) -> World:
    """How a story begins, in an empty world; it is told once and then remembered."""
    if name not in _KNOWN:
        with World() as first:
            begin(first)
            _KNOWN[name] = Moment.of(first)
    return _KNOWN[name].onto(world)


def later(world: World, **time: float) -> World:
    """Time passes, and nothing happens in it."""
    world.server.now += timedelta(**time)
    return world


def deleted(world: World) -> World:
    """Somebody deletes the store: it is marked until nothing holds it."""
    return world.edit("CheckpointStore", "agents", {"metadata": {"deletionTimestamp": stamp(world.server.now)}})


def finalizers(world: World) -> list[str]:
    found: list[str] = world.body["metadata"].get("finalizers", [])
    return found


def at(world: World, moment: str) -> World:
    world.server.now = datetime.fromisoformat(moment)
    return world


def pass_by(world: World, count: int = 8) -> World:
    """Passes that come to no rest, as something does not end."""
    for _ in range(count):
        world.look()
        world.tick()
    return world


def jobs(world: World, component: str) -> list[Manifest]:
    labels = {"app.kubernetes.io/component": component, "checkpointstore.dev/store": world.name}
    return world.server.all("Job", NAMESPACE, labels)


def pods(world: World, component: str) -> list[Manifest]:
    labels = {"app.kubernetes.io/component": component, "checkpointstore.dev/store": world.name}
    return world.server.all("Pod", NAMESPACE, labels)


def names(world: World, component: str) -> list[str]:
    return [job["metadata"]["name"] for job in jobs(world, component)]


def request(job: Manifest) -> dict[str, Any]:
    """What a Job is told to do."""
    found: dict[str, Any] = json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    return found


def end(world: World, job: Manifest, type_: str, reason: str = "") -> World:
    """A Job ends, whatever its pods say."""
    condition = {"type": type_, "status": "True", "reason": reason, "lastTransitionTime": stamp(world.server.now)}
    name = job["metadata"]["name"]
    world.server.patch("Job", NAMESPACE, name, {"status": {"conditions": [condition]}}, "job-controller", "status")
    return world


def uids(found: list[Manifest]) -> list[str]:
    return [item["metadata"]["uid"] for item in found]


def made(world: World) -> int:
    """How many backups the repository has."""
    return len(world.repository.labels)


def looking(world: World) -> list[Manifest]:
    return [job for job in jobs(world, "recovery") if job["metadata"]["name"].startswith("agents-look-")]


def restoring(world: World) -> list[Manifest]:
    return [job for job in jobs(world, "recovery") if job["metadata"]["name"].startswith("agents-restore-")]


def kinds(world: World) -> set[str]:
    """Of everything that the store has."""
    return {kind for kind, _ in world.children()}


def events(world: World) -> list[str]:
    return [event["reason"] for event in world.server.all("Event")]


def phases(world: World) -> dict[str, str]:
    """Of every CheckpointBackup, by its name."""
    return {name: status.get("phase", "") for name, status in world.backups().items()}


def level(world: World) -> dict[str, tuple[str, str]]:
    """What kstatus reads."""
    return {type_: world.states[type_] for type_ in SOUND}


@dataclass(frozen=True)
class Moment:
    """A world as it was, to come back to."""

    server: apiserver.Moment
    labels: tuple[str, ...]

    @classmethod
    def of(cls, world: World) -> "Moment":
        return cls(world.server.moment(), tuple(world.repository.labels))

    def onto(self, world: World) -> World:
        """What runs has read its files."""
        world.server.back(self.server)
        world.repository.labels[:] = self.labels
        world.rest.starts()
        world.console.step()
        return world.start_anew()


_KNOWN: dict[str, Moment] = {}


def killed_anywhere(world: World, story: Callable[[], object]) -> Iterator[int]:
    """The story again and again, each time with an operator that dies before its first write or after another one.

    Between two writes it does not matter where it dies.
    """
    moment, writes = Moment.of(world), dict[int, int]()

    # The first that is seen of each: what follows are others' writes.
    def note(_: object) -> None:
        writes.setdefault(world.kube.writes.total(), world.kube.sent)

    world.start_anew().server.watchers.append(note)
    story()
    world.server.watchers.pop()
    lives = [sent for number, sent in writes.items() if number]
    for life in (lives[0] - 1, *lives):
        moment.onto(world).start_anew(life=life)
        story()
        yield life
