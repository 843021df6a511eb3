"""Which objects are written anew, which together, and into which tier."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.features.retention.identifier import lowest
from checkpointstore.features.tiering.compaction import DAY, MANY, SIZE, SMALL, Fresh, Known, apart, groups, lowest_of
from checkpointstore.features.tiering.request import Tier

NOW = datetime(2026, 11, 28, tzinfo=UTC)
WEEK = timedelta(days=7)
DAYS = 86400.0
COLD, COLDER, COLDEST = (
    Tier(name="cold", after=90 * DAYS, storage_class="STANDARD_IA"),
    Tier(name="colder", after=400 * DAYS, storage_class="GLACIER_IR"),
    Tier(name="coldest", after=900 * DAYS),
)


def fresh(*tiers: Tier) -> Fresh:
    return {tier: at(tier.after / DAYS) for tier in tiers}


def at(days: float) -> str:
    """The lowest id of so many days ago."""
    return lowest(NOW - timedelta(days=days))


ONE, THREE = fresh(COLD), fresh(COLD, COLDER, COLDEST)


def known(
    key: str,
    size: int = SIZE,
    live: int = 100,
    age: timedelta = 2 * DAY,
    erase: datetime | None = None,
    idle: float = 100,
    tier: Tier = COLD,
) -> Known:
    """`idle` is how many days ago the newest thread was written to."""
    return Known(key, size, 100, live, at(idle), NOW - age, erase, tier)


def together(objects: Iterable[Known], grace: timedelta = WEEK) -> list[tuple[str, ...]]:
    """Keys of what becomes one each, where there is one tier."""
    return [group.keys for group in groups(objects, ONE, NOW, grace)]


def found(objects: Iterable[Known], tiers: Fresh) -> list[tuple[Tier, tuple[str, ...]]]:
    return [(group.tier, group.keys) for group in groups(objects, tiers, NOW, WEEK)]


def test_what_is_of_use_stays_as_it_is() -> None:
    assert together([known("a"), known("b", live=50)]) == []
    assert together([]) == []


def test_more_rubbish_than_rows_of_use_is_left_behind() -> None:
    assert together([known("a", live=49)]) == [("a",)]


def test_an_object_without_anything_of_use_goes_by_itself() -> None:
    assert together([known("a", live=0, erase=NOW - WEEK)]) == []


def test_deleted_threads_wait_for_others_a_day_long() -> None:
    assert together([known("a", erase=NOW - DAY + timedelta(seconds=1))]) == []
    assert together([known("a", erase=NOW - DAY)]) == [("a",)]
    assert together([known("a", erase=NOW)], grace=timedelta(0)) == [("a",)]


def test_small_ones_become_one_when_there_are_many() -> None:
    small = [known(str(number), SMALL - 1) for number in range(MANY)]
    assert together(small[1:]) == []
    assert together([*small[1:], known("young", 1, age=DAY / 2)]) == []
    assert together([*small[1:], known("large", SMALL)]) == []
    assert [len(group) for group in together(small)] == [4, 4]


def test_deleted_threads_come_first() -> None:
    objects = [known("old", live=40, age=WEEK), known("erased", erase=NOW - DAY)]
    assert together(objects) == [("erased",), ("old",)]
    later = known("a", 1, idle=500), known("b", 1, idle=500, erase=NOW - DAY, tier=COLDER)
    assert found(later, THREE) == [(COLDER, ("b", "a"))]
    assert found([known("a", idle=500), known("b", erase=NOW - DAY)], THREE) == [(COLD, ("b",)), (COLDER, ("a",))]


@pytest.mark.parametrize(
    ("days", "tier"), [(89, None), (90.01, COLD), (399, COLD), (400.01, COLDER), (899, COLDER), (900.01, COLDEST)]
)
def test_the_lowest_tier_that_a_time_is_long_enough_for(days: float, tier: Tier | None) -> None:
    assert lowest_of(at(days), THREE) == tier


def test_an_object_goes_down_once_its_newest_thread_is_old_enough() -> None:
    assert found([known("a", idle=399), known("b", idle=800, tier=COLDER)], THREE) == []
    objects = [
        known("a", idle=401),
        known("b", idle=500),
        known("c", idle=1000),
        known("d", idle=1000, tier=COLDER),
        known("e", idle=1000, tier=COLDEST),
    ]
    assert found(objects, THREE) == [(COLDER, ("a",)), (COLDER, ("b",)), (COLDEST, ("c",)), (COLDEST, ("d",))]
    halves = [replace(item, bytes=SIZE // 2) for item in objects]
    assert found(halves, THREE) == [(COLDER, ("a", "b")), (COLDEST, ("c", "d"))]


def test_small_ones_of_two_tiers_are_not_many() -> None:
    small = [known(str(number), 1, tier=(COLD, COLDER)[number % 2]) for number in range(2 * MANY - 2)]
    assert found(small, THREE) == []
    many = [*small, known("more", 1, tier=COLDER)]
    assert found(many, THREE) == [(COLDER, ("1", "11", "13", "3", "5", "7", "9", "more"))]


def test_an_object_never_goes_up() -> None:
    """Its tier's time was made longer, or it has a class that another tier has now: it stays where it is."""
    assert (
        found([known("a", idle=500, tier=COLDER)], fresh(COLD, COLDER.model_copy(update={"after": 800 * DAYS}))) == []
    )
    assert found([known("a", live=1, idle=100, tier=COLDER)], THREE) == [(COLDER, ("a",))]


def test_what_is_written_anew_has_the_class_that_its_tier_has_now() -> None:
    now = COLD.model_copy(update={"storage_class": "ONEZONE_IA"})
    assert found([known("a")], fresh(now, COLDER)) == []
    assert found([known("a", live=1)], fresh(now, COLDER)) == [(now, ("a",))]


def test_a_tier_that_was_renamed_or_taken_away_keeps_its_objects() -> None:
    renamed = COLD.model_copy(update={"name": "icy"})
    assert found([known("a"), known("b", live=1)], fresh(renamed, COLDER)) == [(COLD, ("b",))]
    assert found([known("a", idle=500)], fresh(renamed, COLDER)) == [(COLDER, ("a",))]
    low = [known("a", idle=500, tier=COLDER), known("b", live=1, idle=500, tier=COLDER), known("c", live=1)]
    assert found(low, ONE) == found(low, fresh(renamed)) == [(COLDER, ("b",)), (COLD, ("c",))]
    assert found([known("a", idle=500)], fresh(COLDEST)) == []
    assert found([known("a", idle=1000)], fresh(COLDEST)) == [(COLDEST, ("a",))]


def tiers() -> st.SearchStrategy[Tier]:
    return st.builds(
        Tier,
        name=st.sampled_from(["one", "two", "three", "four", "five"]),
        after=st.integers(0, 20).map(lambda days: days * DAYS),
        storage_class=st.sampled_from([None, "STANDARD_IA", "GLACIER_IR"]),
    )


def spec() -> st.SearchStrategy[Fresh]:
    """One to four tiers in order, each name and time once."""
    each = st.lists(tiers(), min_size=1, max_size=4, unique_by=(lambda tier: tier.name, lambda tier: tier.after))
    return each.map(lambda some: fresh(*sorted(some, key=lambda tier: tier.after)))


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Known]:
    """Of whatever tier, as specs before had it."""
    hours = st.integers(0, 72)
    each = st.builds(
        lambda size, live, age, erase, idle, tier: known(
            "",
            size,
            live,
            timedelta(hours=age),
            None if erase is None else NOW - timedelta(hours=erase),
            idle,
            tier,
        ),
        st.integers(1, 2 * SIZE),
        st.integers(0, 100),
        hours,
        st.none() | hours,
        st.floats(0, 25),
        tiers(),
    )
    return {
        str(number): replace(item, key=str(number)) for number, item in enumerate(draw(st.lists(each, max_size=40)))
    }


def test_small_ones_alone_must_be_two_and_what_is_due_need_not() -> None:
    small = [known(str(number), size=1) for number in range(8)]
    assert [group.least for group in groups(small, ONE, NOW, WEEK)] == [2]
    assert [group.least for group in groups([*small, known("due", live=49)], ONE, NOW, WEEK)] == [1]


@pytest.mark.parametrize(
    ("threads", "least", "found"),
    [
        ({"a": "x", "b": "y", "c": "xz", "d": "z"}, 2, ("a", "b", "d")),
        ({"a": "xyz", "b": "x", "c": "y"}, 1, ("a",)),
        # The first has something in common with all others; these have not with one another.
        ({"a": "xyz", "b": "x", "c": "y"}, 2, ("b", "c")),
        ({"a": "xy", "b": "yz", "c": "zx"}, 2, ()),
        ({}, 1, ()),
    ],
)
def test_what_becomes_one_has_no_thread_in_common(threads: dict[str, str], least: int, found: tuple[str, ...]) -> None:
    assert apart(threads, least) == found


@given(objects(), spec())
def test_groups_are_no_larger_than_an_object_and_name_each_once(there: dict[str, Known], tiers: Fresh) -> None:
    made = groups(there.values(), tiers, NOW, WEEK)
    keys = [key for group in made for key in group.keys]
    assert len(set(keys)) == len(keys)
    assert all(len(group.keys) == 1 or sum(there[key].left for key in group.keys) <= SIZE for group in made)
    assert all(there[key].live for key in keys)
    must = {key for key, item in there.items() if item.live and item.erase and item.erase <= NOW - DAY}
    assert must <= set(keys)


@given(objects(), spec())
def test_nothing_is_mixed_and_nothing_goes_up(there: dict[str, Known], tiers: Fresh) -> None:
    named = {tier.name: tier for tier in tiers}
    for group in groups(there.values(), tiers, NOW, WEEK):
        for item in (there[key] for key in group.keys):
            own = named.get(item.tier.name, item.tier)
            assert group.tier == own or (group.tier in tiers and group.tier.after > own.after)
            assert group.tier == own or item.newest < tiers[group.tier], "all of its threads are old enough"


@given(objects(), spec())
def test_what_was_written_anew_is_not_due_again(there: dict[str, Known], tiers: Fresh) -> None:
    left = dict(there)
    for group in groups(there.values(), tiers, NOW, WEEK):
        olds = [left.pop(key) for key in group.keys]
        rows = sum(item.live for item in olds)
        newest = max(item.newest for item in olds)
        size = max(1, sum(item.left for item in olds))
        left[group.keys[0]] = Known(group.keys[0], size, rows, rows, newest, NOW, None, group.tier)
    assert groups(left.values(), tiers, NOW, WEEK) == []
