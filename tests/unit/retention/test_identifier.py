"""A time as an id: where it is among the ids that LangGraph makes."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base.id import uuid6

from checkpointstore.features.retention.identifier import TIMED, lowest

TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(TIMES, st.timedeltas(timedelta(microseconds=1), timedelta(days=9999)))
def test_ids_sort_by_time(at: datetime, later: timedelta) -> None:
    assert lowest(at) < lowest(at + later)
    assert re.fullmatch(TIMED, lowest(at))


def test_langgraphs_ids_are_beside_their_time() -> None:
    before = datetime.now(UTC)
    made = str(uuid6())
    after = datetime.now(UTC) + timedelta(microseconds=1)
    assert lowest(before) <= made < lowest(after)
    assert re.fullmatch(TIMED, made)


def test_what_is_older_than_any_id() -> None:
    assert lowest(datetime(1, 1, 1, tzinfo=UTC)) == "00000000-0000-6000-8000-000000000000"
