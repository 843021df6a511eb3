"""Of several operators one works, whatever the network does to them; time is the loop's."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.errors import Refused, StoreError, Unavailable
from checkpointstore.runtime import lease as module
from checkpointstore.runtime.lease import DURATION, NAME, RENEW, Lease
from tests.contract import quick
from tests.contract.apiserver import ApiServer
from tests.contract.twin import Twin

Delay = tuple[float, float]
"""Seconds until a request arrives, and until its answer does."""
AT_ONCE = (0.0, 0.0)
CUT_OFF = (30.0, 0.0)


class SlowTwin(Twin):
    """A connection whose requests take their time, one delay after the other, then always the last."""

    def __init__(self, server: ApiServer, delays: Sequence[Delay] = (AT_ONCE,)) -> None:
        super().__init__(server)
        self.delays: Iterator[Delay] = chain(delays, repeat(delays[-1]))

    async def _slowly(self, request: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        there, back = next(self.delays)
        await asyncio.sleep(min(there, 30.0))
        if there >= 30.0:
            raise Unavailable("API server: TimeoutError")
        answer = await request()
        await asyncio.sleep(back)
        return answer

    async def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        found: Manifest | None = await self._slowly(lambda: super(SlowTwin, self).get(kind, namespace, name))
        return found

    async def create(self, manifest: Manifest) -> Manifest:
        made: Manifest = await self._slowly(lambda: super(SlowTwin, self).create(manifest))
        return made

    async def replace(self, manifest: Manifest) -> Manifest:
        fresh: Manifest = await self._slowly(lambda: super(SlowTwin, self).replace(manifest))
        return fresh


class Contest:
    """Operators that compete for one lease, and who of them worked when."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.working: set[str] = set()
        self.led: list[tuple[float, str]] = []
        self.overlaps: list[tuple[float, set[str]]] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def join(self, name: str, delays: Sequence[Delay] = (AT_ONCE,)) -> Lease:
        lease = Lease(SlowTwin(self.server, delays), "system", name)

        def gained() -> None:
            now = asyncio.get_running_loop().time()
            self.working.add(name)
            self.led.append((now, name))
            if len(self.working) > 1:
                self.overlaps.append((now, set(self.working)))

        async def lost() -> None:
            self.working.discard(name)

        self.tasks[name] = asyncio.create_task(lease.keep(gained, lost))
        return lease

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        self.working.discard(name)


def contest(story: Callable[[Contest], Coroutine[Any, Any, None]]) -> Contest:
    async def main() -> Contest:
        loop = asyncio.get_running_loop()
        patched = pytest.MonkeyPatch()
        patched.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
        try:
            found = Contest()
            await story(found)
        finally:
            patched.undo()
        for task in found.tasks.values():
            task.cancel()
        return found

    return quick.run(main())


delays = st.lists(st.tuples(*(st.integers(0, 70).map(lambda tenths: tenths / 10),) * 2), min_size=1, max_size=8)


@given(first=delays, second=delays, cut=st.booleans())
def test_two_never_work_at_once(first: list[Delay], second: list[Delay], cut: bool) -> None:
    """However long each request and each answer takes, and also when one of them is cut off for good."""

    async def story(contest: Contest) -> None:
        contest.join("one", [*first, CUT_OFF] if cut else first)
        await asyncio.sleep(1)
        contest.join("two", second)
        await asyncio.sleep(120)

    assert contest(story).overlaps == []


def test_the_first_leads_for_good() -> None:
    async def story(contest: Contest) -> None:
        one = contest.join("one")
        await asyncio.sleep(1)
        two = contest.join("two")
        await asyncio.sleep(600)
        assert one.held
        assert not two.held
        assert two.answered

    assert [name for _, name in contest(story).led] == ["one"]


def test_one_that_is_cut_off_stops_before_another_starts() -> None:
    async def story(contest: Contest) -> None:
        contest.join("one", [*[AT_ONCE] * 20, CUT_OFF])
        await asyncio.sleep(1)
        contest.join("two")
        await asyncio.sleep(60)
        assert contest.working == {"two"}

    found = contest(story)
    (_, _), (since, _) = found.led
    assert found.overlaps == []
    assert since < 20 + DURATION + 2 * RENEW


def test_one_that_dies_is_followed_within_seconds() -> None:
    async def story(contest: Contest) -> None:
        contest.join("one")
        await asyncio.sleep(1)
        contest.join("two")
        await asyncio.sleep(20)
        await contest.leave("one")
        start = asyncio.get_running_loop().time()
        while "two" not in contest.working:
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - start < DURATION + 2 * RENEW

    contest(story)


def test_one_that_goes_lets_another_in_at_once() -> None:
    async def story(contest: Contest) -> None:
        one = contest.join("one")
        await asyncio.sleep(1)
        two = contest.join("two")
        await asyncio.sleep(20)
        await contest.leave("one")
        await one.release()
        assert not one.held
        await asyncio.sleep(RENEW + 0.1)
        assert two.held

    contest(story)


def test_who_does_not_hold_it_gives_nothing_back() -> None:
    async def story(contest: Contest) -> None:
        contest.join("one")
        await asyncio.sleep(1)
        two = contest.join("two")
        await asyncio.sleep(1)
        await two.release()
        held = contest.server.get("Lease", "system", NAME)
        assert held is not None
        assert held["spec"]["holderIdentity"] == "one"

    contest(story)


def test_one_who_was_replaced_unknowingly_takes_nothing_back() -> None:
    async def story(contest: Contest) -> None:
        one = contest.join("one")
        await asyncio.sleep(1)
        contest.tasks["one"].cancel()
        contest.server.patch("Lease", "system", NAME, {"spec": {"holderIdentity": "two"}})
        await one.release()
        held = contest.server.get("Lease", "system", NAME)
        assert held is not None
        assert held["spec"]["holderIdentity"] == "two"

    contest(story)


@pytest.mark.parametrize("gone", [Refused("Forbidden", "no right to get leases"), None], ids=["refused", "no answer"])
def test_one_that_cannot_give_it_back_ends_all_the_same(
    gone: StoreError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an uninstall takes its rights first: what fails while it ends is repeated after a minute."""

    async def story(contest: Contest) -> None:
        one = contest.join("one")
        await asyncio.sleep(1)
        two = contest.join("two")
        await contest.leave("one")

        async def get(*_: object) -> None:
            await asyncio.sleep(0 if gone else 60)
            raise gone or Unavailable("API server: TimeoutError")

        monkeypatch.setattr(one._kube, "get", get)
        began = asyncio.get_running_loop().time()
        await one.release()
        assert (one.held, asyncio.get_running_loop().time() - began <= RENEW) == (False, True)
        await asyncio.sleep(DURATION + 2 * RENEW)
        assert two.held

    contest(story)


def test_a_short_failure_changes_nothing() -> None:
    """Less than the time after which the holder gives up."""

    async def story(contest: Contest) -> None:
        server = contest.server
        one = contest.join("one", [*[AT_ONCE] * 8, (2.0, 0.0), AT_ONCE])
        await asyncio.sleep(60)
        assert one.held
        found = server.get("Lease", "system", NAME)
        assert found is not None
        assert found["spec"]["leaseTransitions"] == 1

    assert len(contest(story).led) == 1


def test_a_holder_that_comes_back_leads_again() -> None:
    async def story(contest: Contest) -> None:
        contest.join("one", [*[AT_ONCE] * 8, *[CUT_OFF] * 3, AT_ONCE])
        await asyncio.sleep(120)
        assert contest.working == {"one"}

    assert [name for _, name in contest(story).led] == ["one", "one"]


@pytest.mark.parametrize("tenths", range(0, 60, 5))
def test_one_that_is_cut_off_after_a_slow_answer_stops_in_time_too(tenths: int) -> None:
    async def story(contest: Contest) -> None:
        contest.join("one", [*[AT_ONCE] * 5, (0.0, tenths / 10), CUT_OFF])
        await asyncio.sleep(1)
        contest.join("two")
        await asyncio.sleep(60)
        assert contest.working == {"two"}

    assert contest(story).overlaps == []
