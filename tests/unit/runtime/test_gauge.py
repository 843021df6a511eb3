"""Who is woken for a volume: whoever has it, when it reaches another level, and nobody for the bytes in between."""

import asyncio

import pytest

from checkpointstore.adapters import archiver, filesystem
from checkpointstore.kernel.observed import Archiver, Volume
from checkpointstore.providers.patroni.place import DATA
from checkpointstore.runtime.gauge import PERIOD, Gauge
from tests.contract import quick
from tests.contract.disk import GIB

ONE, TWO = "198.18.1.1", "198.18.1.2"


def volume(tenths: float) -> Volume:
    return Volume(10 * GIB, int(tenths * GIB))


def test_only_whom_it_concerns_is_told_and_only_of_levels() -> None:
    told: list[str] = []
    subject = Gauge(told.append)
    subject.watch("shop/agents", {ONE, TWO})
    subject.watch("shop/other", {TWO})
    rounds: list[tuple[float, list[str]]] = [
        (9.0, []),
        (2.5, []),
        (2.4, ["shop/agents"]),
        (1.0, []),
        (0.9, ["shop/agents"]),
        (0.5, []),
        (0.0, ["shop/agents"]),
        (5.0, ["shop/agents"]),
    ]
    for tenths, expected in rounds:
        subject._judge({ONE: volume(tenths), TWO: volume(9)}, {})
        assert told == expected, tenths
        told.clear()


def test_who_does_not_tell_is_as_before() -> None:
    told: list[str] = []
    subject = Gauge(told.append)
    subject.watch("shop/agents", {ONE})
    for seen in (None, volume(0), None, None, volume(0)):
        subject._judge({ONE: seen}, {})
    assert told == ["shop/agents"]


def test_archiving_that_fails_falls_behind_or_goes_on_is_told_once() -> None:
    told: list[str] = []
    subject = Gauge(told.append)
    subject.watch("shop/agents", {ONE}, archives=True)
    for waiting, failing, expected in ((1, False, 0), (2, True, 1), (9, True, 0), (0, False, 1), (3, False, 0)):
        subject._judge({ONE: None}, {ONE: Archiver(waiting, waiting * 5.0, failing)})
        assert len(told) == expected
        told.clear()
    subject._judge({ONE: None}, {ONE: Archiver(9, 61.0)})
    assert told == ["shop/agents"], "behind by more than a minute"


def test_only_who_archives_is_asked_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def look(address: str) -> None:
        asked.append(address)

    async def silent(address: str, mountpoint: str) -> None:
        assert mountpoint == DATA

    async def story() -> None:
        subject = Gauge(lambda who: None)
        subject.watch("shop/agents", {ONE}, archives=True)
        subject.watch("shop/other", {TWO})
        task = asyncio.create_task(subject.keep())
        await asyncio.sleep(0.5 * PERIOD)
        subject.watch("shop/agents", {ONE})
        await asyncio.sleep(PERIOD)
        task.cancel()

    monkeypatch.setattr(archiver, "look", look)
    monkeypatch.setattr(filesystem, "look", silent)
    quick.run(story())
    assert asked == [ONE]


def test_it_asks_every_watched_instance_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    told: list[str] = []

    async def look(address: str, mountpoint: str) -> Volume | None:
        assert mountpoint == DATA
        asked.append(address)
        return volume(9 if len(asked) < 3 else 0)

    async def story() -> None:
        subject = Gauge(told.append)
        subject.watch("shop/agents", {ONE})
        subject.watch("shop/other", {TWO})
        task = asyncio.create_task(subject.keep())
        await asyncio.sleep(1.5 * PERIOD)
        subject.watch("shop/agents", ())
        await asyncio.sleep(PERIOD)
        task.cancel()

    monkeypatch.setattr(filesystem, "look", look)
    quick.run(story())
    assert asked == [ONE, TWO, ONE, TWO, TWO]
    assert told == ["shop/agents", "shop/other"]
