"""Which objects are written anew, and which together."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.features.tiering.compaction import DAY, MANY, SIZE, SMALL, Known, groups

NOW = datetime(2026, 11, 28, tzinfo=UTC)
WEEK = timedelta(days=7)


def known(
    key: str, size: int = SIZE, live: int = 100, age: timedelta = 2 * DAY, erase: datetime | None = None
) -> Known:
    return Known(key, size, 100, live, NOW - age, erase)


def test_what_is_of_use_stays_as_it_is() -> None:
    assert groups([known("a"), known("b", live=50)], NOW, WEEK) == []
    assert groups([], NOW, WEEK) == []


def test_more_rubbish_than_rows_of_use_is_left_behind() -> None:
    assert groups([known("a", live=49)], NOW, WEEK) == [("a",)]


def test_an_object_without_anything_of_use_goes_by_itself() -> None:
    assert groups([known("a", live=0, erase=NOW - WEEK)], NOW, WEEK) == []


def test_deleted_threads_wait_for_others_a_day_long() -> None:
    assert groups([known("a", erase=NOW - DAY + timedelta(seconds=1))], NOW, WEEK) == []
    assert groups([known("a", erase=NOW - DAY)], NOW, WEEK) == [("a",)]
    assert groups([known("a", erase=NOW)], NOW, timedelta(0)) == [("a",)]


def test_small_ones_become_one_when_there_are_many() -> None:
    small = [known(str(number), SMALL - 1) for number in range(MANY)]
    assert groups(small[1:], NOW, WEEK) == []
    assert groups([*small[1:], known("young", 1, age=DAY / 2)], NOW, WEEK) == []
    assert groups([*small[1:], known("large", SMALL)], NOW, WEEK) == []
    assert [len(group) for group in groups(small, NOW, WEEK)] == [4, 4]


def test_deleted_threads_come_first() -> None:
    objects = [known("old", live=40, age=WEEK), known("erased", erase=NOW - DAY)]
    assert groups(objects, NOW, WEEK) == [("erased",), ("old",)]


@given(
    st.lists(
        st.tuples(st.integers(1, 2 * SIZE), st.integers(0, 100), st.integers(0, 72), st.none() | st.integers(0, 72)),
        max_size=40,
    )
)
def test_groups_are_no_larger_than_an_object_and_name_each_once(facts: list[tuple[int, int, int, int | None]]) -> None:
    objects = {
        str(number): Known(
            str(number),
            size,
            100,
            live,
            NOW - timedelta(hours=age),
            None if erase is None else NOW - timedelta(hours=erase),
        )
        for number, (size, live, age, erase) in enumerate(facts)
    }
    found = groups(objects.values(), NOW, WEEK)
    keys = [key for group in found for key in group]
    assert len(set(keys)) == len(keys)
    assert all(len(group) == 1 or sum(objects[key].left for key in group) <= SIZE for group in found)
    assert all(objects[key].live for key in keys)
    must = {key for key, item in objects.items() if item.live and item.erase and item.erase <= NOW - DAY}
    assert must <= set(keys)
