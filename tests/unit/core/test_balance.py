"""Which pods let clients go, and how many: those that are full while others have room, until the load is even."""

import math
from dataclasses import replace

import pytest

from checkpointstore.features.pooler.balance import Balance, balance
from checkpointstore.features.pooler.decision import LINGER, State, decide
from checkpointstore.features.pooler.load import MISSING, Part
from checkpointstore.features.pooler.size import Size
from checkpointstore.kernel.prometheus import Gap

from .load import FULL, GAP, RULES, at, histories

COMING = Gap(MISSING, "pods that come have no two samples yet")
QUIET = replace(FULL, wait=0.0, waiting=0.0, busy=1, busiest=1, sustained=1, average=1, clients=600, processor=1.0)
CROWD = {"a": Part(300, 0.9), "b": Part(300, 0.1), "c": Part(0, 0.0)}


def test_who_is_full_while_others_have_room_keeps_as_many_clients_as_there_are_for_each() -> None:
    state = at(replace(QUIET, parts=CROWD), Size(3, 5))
    assert (state.size, state.balance) == (Size(3, 5), Balance(frozenset("a"), 200, QUIET.since))


@pytest.mark.parametrize(
    ("parts", "full"),
    [
        ({"a": Part(250, 0.9), "b": Part(200, 0.0), "c": Part(150, 0.0)}, set()),
        ({"a": Part(251, 0.9), "b": Part(200, 0.0), "c": Part(149, 0.0)}, {"a"}),
        ({"a": Part(300, 0.79), "b": Part(0, 0.0)}, set()),
        ({"a": Part(300, 0.8), "b": Part(0, 0.0)}, {"a"}),
        ({"a": Part(1599, 0.0), "b": Part(0, 0.0)}, set()),
        ({"a": Part(1600, 0.0), "b": Part(0, 0.0)}, {"a"}),
        # One client that does a lot would do it elsewhere too.
        ({"a": Part(100, 1.0), "b": Part(100, 0.0)}, set()),
        ({"a": Part(300, 1.0)}, set()),
        ({}, set()),
    ],
)
def test_full_is_a_thread_or_slots_where_others_have_fewer_clients(parts: dict[str, Part], full: set[str]) -> None:
    found = balance(parts, max(1, len(parts)), 0.8, 1.0, 2000, 0.0)
    assert (found.pods if found else set()) == full


@pytest.mark.parametrize(
    ("processor", "expected"),
    [(1.7, Balance(frozenset("a"), 200, QUIET.since)), (1.9, Balance(frozenset("ab"), 150, QUIET.since))],
)
def test_pods_that_come_are_given_their_share_of_the_clients_at_once(processor: float, expected: Balance) -> None:
    """Nothing has to be seen of them: they have none."""
    parts = {"a": Part(400, processor / 2), "b": Part(200, processor / 2)}
    grown = at(replace(QUIET, processor=processor, parts=parts), Size(2, 5))
    assert (grown.size.instances, grown.changed) == (math.ceil(processor / 0.6), 1000.0)
    assert grown.balance == expected
    coming = decide(COMING, grown, RULES, 1010.0)
    assert coming.balance == expected, "pods that come are not told of yet"
    assert decide(replace(QUIET, since=999.0, parts=parts), coming, RULES, 1010.0).balance == expected
    assert decide(COMING, grown, RULES, 1000.0 + LINGER + 1).balance is None, "they do not come"
    assert decide(GAP, grown, RULES, 1010.0).balance is None


def test_larger_pools_move_nobody() -> None:
    load = replace(FULL, clients=600, parts={"a": Part(400, 0.5), "b": Part(200, 0.2)})
    grown = at(load, Size(2, 5))
    assert (grown.size.instances, grown.balance) == (2, None)


def test_what_moving_clients_costs_is_no_load() -> None:
    moved = State(Size(4, 5), balance=Balance(frozenset("a"), 150, 990.0, due=False), balanced=1000.0)
    late = replace(QUIET, since=1009.9, processor=4.0, parts=CROWD)
    assert decide(late, moved, RULES, 1015.0) == moved, "neither grown, nor made even, nor let in again"
    judged = decide(replace(late, since=1010.0), moved, RULES, 1015.0)
    assert (judged.size.instances, judged.changed) == (7, 1015.0)
    even = decide(replace(QUIET, since=1010.0), moved, RULES, 1015.0)
    assert (even.size, even.balance) == (Size(4, 5), None)
    assert decide(COMING, moved, RULES, 1010.0).balance == moved.balance
    assert decide(COMING, moved, RULES, 1000.0 + LINGER + 1).balance is None


def test_nobody_is_let_go_where_nothing_is_known() -> None:
    """A limit does not make a load even."""
    uneven = at(replace(QUIET, parts=CROWD), Size(3, 5))
    assert decide(GAP, uneven, RULES, 1010.0).balance is None
    assert decide(replace(QUIET, since=1001.0, parts={}), uneven, RULES, 1010.0).balance is None
    limited = at(replace(QUIET, processor=8.0, parts=CROWD), Size(8, 5))
    assert (limited.reason, limited.balance) == ("MaxInstancesReached", Balance(frozenset("a"), 75, QUIET.since))


def test_a_crowd_that_is_let_go_comes_to_be_even_at_once(soak: bool) -> None:
    """Who is let go connects anew to any pod that is not full, and is let go no more."""
    counts = []
    for chance in histories(soak):
        pods = chance.randint(3, 8)
        old = [chance.randint(100, 400) for _ in range(2)] + [0] * (pods - 2)
        new, rounds = [0] * pods, 0
        while found := balance(_parts(old, new), pods, 0.8, 1.0, 10_000, 0.0):
            gone = [min(old[i], old[i] + new[i] - found.most) if str(i) in found.pods else 0 for i in range(pods)]
            if not any(gone):
                break
            old = [count - left for count, left in zip(old, gone, strict=True)]
            roomy = [i for i in range(pods) if str(i) not in found.pods]
            for _ in range(sum(gone)):
                new[chance.choice(roomy)] += 1
            rounds += 1
        counts.append(rounds)
        most = max(map(sum, zip(old, new, strict=True)))
        mean = sum(old + new) / pods
        assert most <= 1.25 * mean + 6 * math.sqrt(mean), (old, new)
    assert max(counts) <= 3
    assert sum(counts) / len(counts) <= 1.4, "each is a pause of a pod"


def _parts(old: list[int], new: list[int]) -> dict[str, Part]:
    """Each with a full thread: nothing but being uneven is looked at."""
    return {str(i): Part(count + more, 1.0) for i, (count, more) in enumerate(zip(old, new, strict=True))}
