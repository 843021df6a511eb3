"""The autoscaler over thousands of made-up histories: bounded, at rest at constant load, never down for no news."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from checkpointstore.features.pooler.decision import LINGER, Demand, Rules, State, decide, needed
from checkpointstore.features.pooler.load import Load
from checkpointstore.features.pooler.size import Size
from checkpointstore.kernel.prometheus import Gap

from .load import FULL, GAP, RULES, SCRAPE, Fleet, Offer, at, histories, seen


def rules(chance: random.Random) -> Rules:
    """Some rules that a spec could give."""
    least, most = sorted((chance.randint(1, 20), chance.randint(1, 20)))
    capacity = max(most, chance.choice((1, 4, 20, 40, 140, 240)))
    return Rules(
        least=Size(least, max(1, min(20, capacity // most))),
        most=most,
        capacity=capacity,
        wait=chance.choice((0.001, 0.05, 5.0)),
        patience=chance.choice((15.0, 60.0, 600.0)),
        core=chance.choice((0.1, 0.5, 1.0)),
        slots=2000,
    )


def offer(chance: random.Random) -> Offer:
    return Offer(
        clients=chance.choice((0, 20, 200, 600, 5000, 40000)),
        rate=chance.choice((0.0, 10.0, 500.0, 5000.0, 50000.0)),
        seconds=chance.choice((0.001, 0.01, 0.1)),
        server=chance.choice((None, 0.1, 0.99)),
    )


def test_within_bounds_and_budget_whatever_is_seen(soak: bool) -> None:
    """Also the server connections of pods that reload late and leave slowly, at every moment."""
    for chance in histories(soak):
        law = rules(chance)
        state, offered = State(law.least), offer(chance)
        fleet = Fleet(law.least, law.capacity, chance)
        for tick in range(120):
            now = 1000.0 + 5 * tick
            if chance.random() < 0.1:
                offered = offer(chance)
            load: Load | Gap = seen(offered, state.size, law, now, chance.uniform(-0.1, 0.1))
            if chance.random() < 0.1:
                load = GAP
            before, state = state, decide(load, state, law, now)
            assert law.least.instances <= state.size.instances <= law.most
            assert state.size.connections >= 1
            assert state.size.total <= law.capacity
            if isinstance(load, Gap):
                assert state.size == before.size
            elif load.busy >= 0.9 * before.size.total and before.size.total + before.size.instances > law.capacity:
                assert state.size.instances <= before.size.instances
            fleet.tick(state.size, now)
            assert fleet.connections <= law.capacity


def test_constant_load_comes_to_rest_and_stays_there(soak: bool) -> None:
    """After 20 minutes nothing changes any more; with noise of five per cent and little patience it may yet shrink."""
    for chance in histories(soak):
        law, offered = replace(rules(chance), patience=60.0), offer(chance)
        state = State(Size(chance.randint(law.least.instances, law.most), law.least.connections))
        noise = chance.choice((0.0, 0.05))
        late: list[tuple[Size, Size]] = []
        for tick in range(160):
            now = 1000.0 + SCRAPE * tick
            before = state.size
            state = decide(seen(offered, state.size, law, now, chance.uniform(-noise, noise)), state, law, now)
            if state.size != before and tick > 80:
                late.append((before, state.size))
        shrinks = all(new.total <= old.total and new.instances <= old.instances for old, new in late)
        assert shrinks if noise else not late, (law, offered, late)


def arrivals(chance: random.Random, mean: float) -> int:
    """How many come, as they do at random."""
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


def test_random_moments_do_not_make_it_flap() -> None:
    """A third of the pools at work on average; all of them for a moment now and then, and nobody waits long."""
    law = replace(RULES, least=Size(2, 10), patience=30.0)
    for seed in range(200):
        chance = random.Random(seed)
        state = State(law.least)
        for tick in range(360):
            now = 1000.0 + 5 * tick
            pods = [min(state.size.connections, arrivals(chance, 3.5)) for _ in range(2)]
            steady = seen(Offer(clients=140, rate=70.0, seconds=0.1), state.size, law, now, chance.uniform(-0.2, 0.2))
            state = decide(replace(steady, busy=sum(pods), busiest=max(pods)), state, law, now)
            assert state.size == law.least


def test_random_moments_do_not_make_it_shrink_by_steps() -> None:
    """From twice what is needed it goes back at once, whatever peaks chance has had."""
    law = replace(RULES, least=Size(2, 10), patience=30.0)
    for seed in range(50):
        chance, state, sizes = random.Random(seed), State(Size(2, 20)), []
        for tick in range(60):
            now = 1000.0 + 5 * tick
            pods = [min(state.size.connections, arrivals(chance, 3.5)) for _ in range(2)]
            steady = seen(Offer(clients=140, rate=70.0, seconds=0.1), state.size, law, now)
            state = decide(replace(steady, busy=sum(pods), busiest=max(pods)), state, law, now)
            sizes.append(state.size)
        assert list(dict.fromkeys(sizes)) == [Size(2, 20), Size(2, 10)]


def test_a_long_transaction_keeps_its_connection() -> None:
    """None has ended, so none counts on average; that they are at work is seen all the time."""
    state = State(Size(2, 20))
    for tick in range(300):
        now = 1000.0 + 5 * tick
        quiet = seen(Offer(clients=40, rate=0.0), state.size, RULES, now)
        state = decide(replace(quiet, busy=18, busiest=9, sustained=0, average=0), state, RULES, now)
    assert state.size == Size(2, 18)


def test_who_had_to_grow_again_waits_twice_as_long_and_no_longer_than_sixteen_times() -> None:
    """Quiet, and each time that it has shrunk as much as before again."""
    law, state = replace(RULES, patience=60.0), at(FULL)
    waits: list[int] = []
    grown, now = 1000.0, 1000.0
    while len(waits) < 7:
        now += 5
        quiet = seen(Offer(clients=20, rate=10.0), state.size, law, now)
        state = decide(replace(quiet, since=now - 1), state, law, now)
        if state.size == law.least:
            waits.append(round((now - grown) / 60))
            now += 20
            state = decide(replace(FULL, since=now - 1), state, law, now)
            grown = now
    assert waits == [1, 2, 4, 8, 16, 16, 16]
    for _ in range(4 * 16 * 60):
        now += 5
        state = decide(replace(quiet, since=now - 1), state, law, now)
    state = decide(replace(FULL, since=now - 1), state, law, now)
    assert state.restless == 0, "long after, it is as at first"


def test_missing_samples_never_shrink_and_begin_the_wait_anew() -> None:
    state = State(Size(6, 5))
    idle = Offer(clients=2, rate=1.0)
    for tick in range(200):
        now = 1000.0 + 5 * tick
        load = GAP if tick % 100 == 99 else seen(idle, state.size, RULES, now)
        state = decide(load, state, RULES, now)
        assert state.size == Size(6, 5)
    for tick in range(200, 330):
        now = 1000.0 + 5 * tick
        state = decide(seen(idle, state.size, RULES, now), state, RULES, now)
    assert state.size == RULES.least


def test_full_pools_grow_to_what_waits_and_the_budget_ends_it() -> None:
    assert at(FULL).size == Size(2, 20)
    spent = at(replace(FULL, busy=40, busiest=20, sustained=20), Size(2, 20))
    assert (spent.size, spent.reason) == (Size(2, 20), "ServerConnectionsExhausted")


def test_pools_that_are_nearly_at_work_all_the_time_grow_before_anybody_waits() -> None:
    calm = replace(FULL, wait=0.0, waiting=0.0, busy=8, busiest=4)
    assert at(replace(calm, sustained=3.9, average=7.8)).size == RULES.least
    assert at(replace(calm, sustained=4.0, average=8.0)).size == Size(2, 10)


def test_a_busy_server_gets_no_more_connections() -> None:
    told = at(replace(FULL, server=0.97))
    assert (told.size, told.reason) == (RULES.least, "PostgresSaturated")


def test_who_waits_for_something_else_gets_nothing() -> None:
    told = at(replace(FULL, busy=1, busiest=1, sustained=1, average=1))
    assert (told.size, told.reason) == (RULES.least, "WithinLimits")


@pytest.mark.parametrize("full", [{"processor": 1.9}, {"clients": 3900}])
def test_a_full_thread_and_full_slots_ask_for_pods(full: dict[str, Any]) -> None:
    quiet = replace(FULL, wait=0.0, waiting=0.0, busy=1, busiest=1, sustained=1, average=1, clients=10)
    grown = at(replace(quiet, **full))
    assert grown.size == Size(4, 5)
    assert grown.changed == 1000.0
    limited = at(replace(quiet, **{name: 4 * value for name, value in full.items()}), Size(8, 5))
    assert (limited.size, limited.reason) == (Size(8, 5), "MaxInstancesReached")


@pytest.mark.parametrize(("rise", "pods"), [(-1.0, 3), (0.0, 3), (0.2, 4), (0.5, 4), (9.0, 4)])
def test_a_thread_that_fills_is_given_what_it_will_need_and_twice_as_much_at_most(rise: float, pods: int) -> None:
    quiet = replace(FULL, wait=0.0, waiting=0.0, busy=1, busiest=1, sustained=1, average=1, clients=10)
    assert at(replace(quiet, processor=1.7, rise=rise)).size.instances == pods
    assert at(replace(quiet, processor=1.5, rise=rise)).size.instances == 2, "it is not full yet"
    slots = replace(quiet, clients=3400, processor=0.1, rise=rise)
    assert at(slots).size.instances == 3, "clients are counted as they are now"


def test_pods_share_what_the_pools_had_grown_to() -> None:
    busy = replace(FULL, processor=2.0, busy=10, busiest=5, sustained=5)
    assert at(busy, Size(2, 20)).size == Size(4, 10)


def test_a_spent_budget_adds_no_pod() -> None:
    told = at(replace(FULL, processor=2.0, busy=40, busiest=20, sustained=20), Size(2, 20))
    assert (told.size, told.reason) == (Size(2, 20), "ServerConnectionsExhausted")


@pytest.mark.parametrize(("present", "pods"), [(35, 4), (36, 2)])
def test_more_connections_than_there_are_spend_no_budget(present: float, pods: int) -> None:
    """As of a thread that was full: what transactions took that were late is counted once they have ended."""
    late = replace(FULL, processor=2.0, busy=240, busiest=166, sustained=166, average=240, present=present)
    assert at(late, Size(2, 20)).size.instances == pods


def test_what_was_measured_before_a_change_says_nothing_of_it() -> None:
    grown = at(FULL)
    full = replace(FULL, busiest=20, sustained=20)
    assert decide(replace(full, since=1000.0), grown, RULES, 1010.0) == grown
    assert decide(replace(full, since=1001.0), grown, RULES, 1016.0).reason == "ServerConnectionsExhausted"


def test_a_limit_is_told_for_a_while_and_then_no_more() -> None:
    told = at(replace(FULL, server=0.97))
    calm = replace(FULL, wait=0.0, waiting=0.0, busy=1, busiest=1, sustained=1, average=1)
    assert decide(replace(calm, since=1001.0), told, RULES, 1000.0 + LINGER).reason == "PostgresSaturated"
    assert decide(replace(calm, since=1001.0), told, RULES, 1001.0 + LINGER).reason == "WithinLimits"


def test_what_could_not_be_told_is_forgotten_with_the_next_samples() -> None:
    told = decide(GAP, at(replace(FULL, server=0.97)), RULES, 1010.0)
    assert told.reason == "SamplesStale"
    calm = replace(FULL, since=1011.0, wait=0.0, waiting=0.0, busy=1, busiest=1, sustained=1, average=1)
    assert decide(calm, told, RULES, 1020.0).reason == "WithinLimits"


def test_samples_that_new_pods_do_not_have_yet_are_no_news() -> None:
    grown, missing = at(FULL), Gap("SamplesMissing", "of a new pod")
    assert decide(missing, grown, RULES, 1000.0 + LINGER).reason == "WithinLimits"
    assert decide(missing, grown, RULES, 1001.0 + LINGER).reason == "SamplesMissing"
    assert decide(GAP, grown, RULES, 1001.0).reason == "SamplesStale"


def test_it_shrinks_to_what_the_highest_demand_of_the_time_needs() -> None:
    state, peak = State(Size(8, 5)), Offer(clients=20, rate=7000.0, seconds=0.001)
    for tick in range(121):
        now = 1000.0 + 5 * tick
        offered = peak if tick == 60 else Offer(clients=20, rate=10.0)
        state = decide(seen(offered, state.size, RULES, now), state, RULES, now)
    assert state.size == Size(3, 5)
    assert math.ceil(7000 * 0.0002 / 0.6) == 3


def test_what_was_before_the_calm_does_not_count() -> None:
    """Half of the first interval without the crowd was still with it."""
    law, sizes = replace(RULES, patience=60.0), []
    state, crowd, few = State(Size(2, 20)), {"busy": 30, "average": 30.0}, {"busy": 1, "average": 1.0}
    for tick in range(20):
        now = 1000.0 + 5 * tick
        quiet = seen(Offer(clients=20, rate=10.0), state.size, law, now)
        between = {"busy": 1, "average": 15.0}
        seen_now: dict[str, Any] = crowd if tick < 4 else between if tick == 4 else few
        state = decide(replace(quiet, **seen_now), state, law, now)
        sizes.append(state.size)
    assert list(dict.fromkeys(sizes)) == [Size(2, 20), law.least]


def test_who_has_shrunk_is_limited_no_more() -> None:
    state = State(Size(2, 20), reason="ServerConnectionsExhausted", message="full", limited=1590.0)
    for tick in range(121):
        now = 1000.0 + 5 * tick
        state = decide(seen(Offer(clients=20, rate=10.0), state.size, RULES, now), state, RULES, now)
    assert (state.size, state.reason) == (RULES.least, "WithinLimits")


def test_who_waits_a_little_is_not_calm() -> None:
    state = State(Size(8, 5))
    for tick in range(200):
        now = 1000.0 + 5 * tick
        load = replace(seen(Offer(clients=20, rate=10.0), state.size, RULES, now), wait=0.02)
        state = decide(load, state, RULES, now)
    assert state.size == Size(8, 5)


def test_needed_keeps_twice_the_connections_and_never_less_than_the_least() -> None:
    assert needed(Demand(0, 0, 0), RULES) == RULES.least
    assert needed(Demand(0, 0, 12), RULES) == Size(2, 12)
    assert needed(Demand(3.1, 0, 100), RULES) == Size(6, 6)
    assert needed(Demand(0, 99999, 0), RULES) == Size(8, 5)
