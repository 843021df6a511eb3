"""Which instance is next in a rolling change, as a table: each row says why."""

import json
from dataclasses import replace
from typing import Any

import pytest

from checkpointstore.kernel.action import Action, Delete, Emit, Ref, Restart, Switchover
from checkpointstore.kernel.command import Commands
from checkpointstore.kernel.env import Env, Images
from checkpointstore.kernel.naming import SHAPE
from checkpointstore.kernel.observed import Observed
from checkpointstore.providers.patroni.member import Member, members
from checkpointstore.providers.patroni.rolling import Step, evacuate, roll, switchover
from checkpointstore.providers.patroni.workload import digest
from checkpointstore.providers.spec import Postgres, Synchronous, UpdateStrategy

ENV = Env("agents", "shop", "uid", Images("postgres:1", "pgbouncer:1", "operator:1"), "cluster.local", "system")
SPEC = Postgres(instances=2)
SHAPED = digest(SPEC, ENV, Commands())


def member(name: str, **change: Any) -> Member:
    calm = Member(
        name=name,
        ready=True,
        timeline=1,
        pending_restart=False,
        lowers=False,
        leaving=False,
        address="198.18.1.1",
        shape=SHAPED,
        image="postgres:1",
        restarted="",
    )
    return replace(calm, **change)


def statefulset(shape: str = SHAPED, seen: int = 1) -> dict[Ref, dict[str, Any]]:
    template = {"metadata": {"annotations": {SHAPE: shape}}}
    live = {"metadata": {"name": "agents", "generation": 1}, "spec": {"template": template}}
    return {Ref("StatefulSet", "agents"): {**live, "status": {"observedGeneration": seen}}}


def step(*found: Member, spec: Postgres = SPEC, observed: Observed | None = None) -> Step:
    return roll(spec, ENV, observed or Observed(objects=statefulset()), Commands(), found, "agents-0")


LEAD, STANDBY = member("agents-0"), member("agents-1")
PENDING: dict[str, Any] = {"pending_restart": True}
LOWERS: dict[str, Any] = {"pending_restart": True, "lowers": True}
OLD: dict[str, Any] = {"shape": "other"}
ROWS = [
    ("nothing is due", (LEAD, STANDBY), []),
    ("a standby's pod is replaced before the primary's", (replace(LEAD, **OLD), replace(STANDBY, **OLD)), ["agents-1"]),
    ("parameters alone need no new pod", (replace(LEAD, **PENDING), replace(STANDBY, **PENDING)), ["restart agents-1"]),
    ("the primary last, after a switchover", (replace(LEAD, **PENDING), STANDBY), ["switchover"]),
    ("lowering goes to the primary first", (replace(LEAD, **LOWERS), replace(STANDBY, **LOWERS)), ["restart agents-0"]),
    (
        "a pod of the old shape that does not run goes at once",
        (LEAD, replace(STANDBY, ready=False, **OLD)),
        ["agents-1"],
    ),
    ("a pod that goes already is not told again", (LEAD, replace(STANDBY, ready=False, leaving=True, **OLD)), []),
    ("a pod that is only starting is waited for", (LEAD, replace(STANDBY, ready=False, **PENDING)), []),
    ("nobody goes while one is missing", (replace(LEAD, **OLD),), []),
]


def told(result: Step) -> list[str]:
    return [text for action in result.actions if (text := _text(action))]


def _text(action: object) -> str:
    match action:
        case Delete(target):
            return target.name
        case Restart(at):
            return f"restart {at.host.split('.')[0]}"
        case Switchover():
            return "switchover"
    return ""


@pytest.mark.parametrize(("reason", "found", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_one_instance_is_next(reason: str, found: tuple[Member, ...], expected: list[str]) -> None:
    assert told(step(*found)) == expected, reason


SYNCHRONOUS = Postgres(instances=3, synchronous=Synchronous(number=1))


def synced(*names: str) -> Observed:
    """A store of three in which these standbys have all that was acknowledged."""
    record = {"metadata": {"name": "agents-rw-sync", "annotations": {"sync_standby": ",".join(names)}}}
    shaped = statefulset(digest(SYNCHRONOUS, ENV, Commands()))
    return Observed(objects={**shaped, Ref("Endpoints", "agents-rw-sync"): record})


def target(actions: tuple[Action, ...]) -> list[str]:
    return [action.target for action in actions if isinstance(action, Switchover)]


@pytest.mark.parametrize(
    ("names", "expected"), [(("agents-2",), ["agents-2"]), ((), []), (("agents-1",), ["agents-1"])]
)
def test_only_a_synchronous_standby_is_handed_to(names: tuple[str, ...], expected: list[str]) -> None:
    """Patroni refuses the others, and the change would never end."""
    shape = digest(SYNCHRONOUS, ENV, Commands())
    found = tuple(member(f"agents-{ordinal}", shape=shape, pending_restart=not ordinal) for ordinal in range(3))
    result = step(*found, spec=SYNCHRONOUS, observed=synced(*names))
    assert result.rolling
    assert target(result.actions) == expected
    assert not [action for action in result.actions if isinstance(action, Delete)]


def test_a_primary_whose_pod_goes_hands_over() -> None:
    going = replace(LEAD, ready=False, leaving=True)
    nobody = Observed(objects=statefulset())
    assert target(evacuate(SPEC, ENV, nobody, (going, STANDBY), "agents-0")) == ["agents-1"]
    assert not evacuate(SPEC, ENV, nobody, (LEAD, STANDBY), "agents-0"), "it stays"
    assert not evacuate(SPEC, ENV, nobody, (going, STANDBY), "agents-1"), "another leads"
    assert not evacuate(SPEC, ENV, nobody, (going, replace(STANDBY, ready=False)), "agents-0")
    assert not evacuate(SYNCHRONOUS, ENV, synced(), (going, STANDBY), "agents-0")


@pytest.mark.parametrize(
    ("asked", "told_"),
    [
        ("agents-1", "agents-1 is not synchronous: it may lack what was acknowledged"),
        ("agents-3", "agents-3 is not a ready standby of this store"),
        ("agents-2", "Handed the primary over from agents-0 to agents-2 as commanded"),
    ],
)
def test_a_person_may_switch_over_to_whom_patroni_lets_lead(asked: str, told_: str) -> None:
    found = tuple(member(f"agents-{ordinal}") for ordinal in range(3))
    actions = switchover(SYNCHRONOUS, ENV, synced("agents-2"), Commands(switchover=asked), found, "agents-0")
    told = [action.told if isinstance(action, Switchover) else action for action in actions]
    assert [item.message for item in told if isinstance(item, Emit)] == [told_]


def test_a_lone_instance_lowers_in_place_before_its_pod_is_replaced() -> None:
    alone = Postgres(instances=1)
    lead = replace(LEAD, **LOWERS, **OLD)
    observed = Observed(objects=statefulset(digest(alone, ENV, Commands())))
    assert told(step(lead, spec=alone, observed=observed)) == ["restart agents-0"]


def test_a_lone_instance_restarts_in_place_for_its_parameters() -> None:
    alone = Postgres(instances=1)
    lead = replace(LEAD, shape=digest(alone, ENV, Commands()), **PENDING)
    observed = Observed(objects=statefulset(lead.shape))
    assert told(step(lead, spec=alone, observed=observed)) == ["restart agents-0"]


@pytest.mark.parametrize("objects", [{}, statefulset("other"), statefulset(seen=0)])
def test_no_pod_goes_before_its_successor_would_be_as_wanted(objects: dict[Ref, dict[str, Any]]) -> None:
    result = step(LEAD, replace(STANDBY, **OLD), observed=Observed(objects=objects))
    assert result.rolling
    assert not result.actions


def test_a_new_release_waits_for_its_turn() -> None:
    found = (LEAD, replace(STANDBY, image="postgres:0", **OLD))
    assert step(*found, observed=Observed(objects=statefulset(), turn=False)) == Step(release=True)
    assert told(step(*found, observed=Observed(objects=statefulset(), turn=True))) == ["agents-1"]


def test_a_supervised_store_waits_and_says_for_whom() -> None:
    supervised = SPEC.model_copy(update={"update_strategy": UpdateStrategy.SUPERVISED})
    assert step(LEAD, replace(STANDBY, **PENDING), spec=supervised) == Step(waits=("agents-1",))


@pytest.mark.parametrize(
    ("reasons", "lowers"),
    [
        ({"max_connections": {"old_value": "128", "new_value": "90"}}, True),
        ({"max_connections": {"old_value": "128", "new_value": "150"}}, False),
        ({"shared_buffers": {"old_value": "2", "new_value": "1"}}, False),
        ("unreadable", False),
        ({"max_wal_senders": {"old_value": "?", "new_value": "1"}}, False),
    ],
)
def test_what_lowers_is_read_from_the_members_status(reasons: object, lowers: bool) -> None:
    status = json.dumps({"pending_restart": True, "pending_restart_reason": reasons})
    labels = {"app.kubernetes.io/component": "postgres"}
    pod = {
        "metadata": {"name": "agents-0", "labels": labels, "annotations": {"status": status}},
        "spec": {"containers": [{"image": "postgres:1"}]},
    }
    assert members(Observed(objects={Ref("Pod", "agents-0"): pod}))[0].lowers is lowers


def test_a_status_that_is_no_object_says_nothing() -> None:
    labels = {"app.kubernetes.io/component": "postgres"}
    for text in ("[]", "{", "1"):
        meta = {"name": "agents-0", "labels": labels, "annotations": {"status": text}}
        pod = {"metadata": meta, "spec": {"containers": [{"image": "postgres:1"}]}}
        assert members(Observed(objects={Ref("Pod", "agents-0"): pod}))[0].timeline == 0
