"""From any state, and whatever befalls it on the way, a store comes to rest as its spec says, and stays there."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from checkpointstore import reconcile
from tests.contract.world import NAMESPACE, PLATFORM, World
from tests.golden.backup import BACKUP, RECOVERY

from .fault import Fault, Passes, faults
from .invariant import Witness, at_rest, orphans

ROUNDS = 40
SPECS = st.fixed_dictionaries(
    {
        "postgres": st.fixed_dictionaries(
            {"instances": st.integers(1, 3)}, optional={"updateStrategy": st.just("Supervised")}
        )
    },
    optional={"backup": st.just(BACKUP), "bootstrap": st.just({"recovery": RECOVERY})},
)


def calm(world: World) -> None:
    """Whatever holds a store back goes away; what a restart waits for is said."""
    world.silent = frozenset()
    world.start_anew()
    for annotation in ("paused", "hibernate", "switchover"):
        world.command(annotation, None)
    world.command("restart", "last")


@given(spec=SPECS, events=st.lists(faults, max_size=10))
def test_it_comes_to_rest_whatever_befalls_it(spec: dict[str, object], events: list[Fault]) -> None:
    with World() as world:
        world.bucket().make(spec)
        witness = Witness(world)
        for event in events:
            event.befall(world)
            witness.look()
        calm(world)
        world.settle(ROUNDS)
        witness.look()
        at_rest(world)


@given(life=st.integers(1, 120), passes=st.integers(0, 6), instances=st.integers(1, 2))
def test_an_operator_that_dies_at_any_request_loses_nothing(life: int, passes: int, instances: int) -> None:
    with World() as world:
        world.bucket().make({"postgres": {"instances": instances}, "backup": BACKUP})
        Passes(passes).befall(world)
        world.start_anew(life=life)
        for _ in range(4):
            world.look()
            world.tick()
        world.settle(ROUNDS)
        at_rest(world)


@given(events=st.lists(faults, max_size=6))
def test_the_same_facts_give_the_same_plan(events: list[Fault]) -> None:
    """Whatever order the API server lists things in."""
    with World() as world:
        world.make({"postgres": {"instances": 2}})
        for event in events:
            event.befall(world)
            seen = world.observed()
            backwards = replace(
                seen,
                objects=dict(reversed(list(seen.objects.items()))),
                secrets=dict(reversed(list(seen.secrets.items()))),
            )
            store, now = world.store(), world.server.now
            plan = reconcile.plan(store, seen, PLATFORM, now)
            assert reconcile.plan(store, seen, PLATFORM, now) == plan
            assert reconcile.plan(store, backwards, PLATFORM, now) == plan


@given(events=st.lists(faults, max_size=5))
def test_telling_twice_changes_nothing(events: list[Fault]) -> None:
    with World() as world:
        world.make()
        for event in events:
            event.befall(world)
            generation = world.body["metadata"]["generation"]
            once = reconcile.status(world.status, generation, world.plan(), world.server.now)
            world.tick(0)
            later = world.server.now.replace(year=2027)
            assert reconcile.status(once, generation, world.plan(), later) == once


@given(
    # Whoever deletes the StatefulSet of a store with `volumes: Delete` deletes its volumes.
    events=st.lists(faults.filter(lambda fault: getattr(fault, "kind", "") != "StatefulSet"), max_size=6),
    reclaim=st.sampled_from(("Retain", "Delete")),
)
def test_a_deleted_store_leaves_its_volumes_or_nothing(events: list[Fault], reclaim: str) -> None:
    with World() as world:
        world.make({"reclaimPolicy": {"volumes": reclaim}})
        for event in events:
            event.befall(world)
        calm(world)
        world.settle(ROUNDS)
        world.delete("CheckpointStore", world.name)
        world.tick(6)
        kinds = {kind for kind, _ in world.children()}
        assert kinds <= ({"PersistentVolumeClaim"} if reclaim == "Retain" else set())


def test_the_first_pass_tells_before_it_works() -> None:
    """Killed right after its first write, the operator has left Ready=False and the generation behind, and no work."""
    with World() as world:
        world.make()
        for life in range(1, 60):
            world.start_anew(life=life)
            world.look()
            if world.status:
                break
        assert world.status["observedGeneration"] == 1
        assert world.condition("Ready")["status"] == "False"
        assert world.condition("Reconciling")["status"] == "True"
        assert world.children() == []


def test_nothing_is_written_at_rest() -> None:
    with World() as world:
        world.make({"postgres": {"instances": 3}})
        world.settle()
        assert [world.look() for _ in range(3)] == [0, 0, 0]
        assert orphans(world) == []
        assert world.server.get("Secret", NAMESPACE, "agents-app") is not None
