"""A run waits for standbys that are behind, and for nothing longer than its time."""

from types import SimpleNamespace
from typing import Any

import pytest

from checkpointstore.features.retention.pressure import Times
from checkpointstore.features.retention.request import Request
from checkpointstore.jobs import retention
from checkpointstore.jobs.pace import FAR_BEHIND, WAIT, WAITS
from checkpointstore.jobs.retention import Late, Work


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slept = 0.0, 0.0
        monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


class Standbys:
    """Tables of a server whose standbys are so far behind, look by look."""

    def __init__(self, *behind: int) -> None:
        self.behind, self.looks = list(behind), 0

    def lag(self) -> int:
        self.looks += 1
        return self.behind.pop(0) if len(self.behind) > 1 else self.behind[0]

    def times(self) -> Times:
        return {}


def work(standbys: Standbys, **asked: Any) -> Work:
    tables: Any = standbys
    return Work(tables, Request(store="shop/agents", provider="Patroni", **asked))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def takes(clock: Clock, seconds: float) -> str:
    clock.now += seconds
    return "done"


def test_it_rests_after_an_act_and_waits_while_a_standby_is_far_behind(clock: Clock) -> None:
    standbys = Standbys(FAR_BEHIND + 1, FAR_BEHIND + 1, FAR_BEHIND)
    assert work(standbys)._paced(takes, clock, 1.0) == "done"
    assert (standbys.looks, clock.slept) == (3, 3.0 + 2.0)


def test_it_does_not_look_after_each_act(clock: Clock) -> None:
    standbys = Standbys(0)
    one = work(standbys)
    for _ in range(20):
        one._paced(takes, clock, 0.025)
    assert standbys.looks == 1, "in two seconds"


def test_a_standby_that_is_always_behind_stops_no_run(clock: Clock) -> None:
    one = work(Standbys(2 * FAR_BEHIND), share=1)
    assert one._paced(takes, clock, 2.0) == "done"
    assert clock.slept == WAITS * WAIT
    assert one._paced(takes, clock, 2.0) == "done"
    assert clock.slept == WAITS * WAIT


def test_no_act_begins_and_no_wait_lasts_when_its_time_is_over(clock: Clock) -> None:
    one = work(Standbys(2 * FAR_BEHIND), limit=10.0)
    assert one._paced(takes, clock, 1.0) == "done", "what was done is told"
    assert 10 <= clock.now < 12
    with pytest.raises(Late):
        one._paced(takes, clock, 1.0)
    one = work(Standbys(0), limit=10.0)
    assert one._paced(takes, clock, 600.0) == "done"
    assert clock.slept < 12, "there is nothing to rest for"
    one = work(Standbys(0), limit=10.0)
    clock.now += 11
    with pytest.raises(Late):
        one._paced(takes, clock, 1.0)
