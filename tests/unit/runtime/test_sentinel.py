"""Who is accused of being gone: only a node that stays silent while another answers."""

import asyncio
from collections.abc import Sequence

import pytest

from checkpointstore.runtime import sentinel as module
from checkpointstore.runtime.sentinel import FAILURES, PERIOD, Sentinel
from tests.contract import quick

ONE, TWO, THREE = "198.18.1.1", "198.18.1.2", "198.18.1.3"


def judged(rounds: Sequence[Sequence[str]], hosts: Sequence[str] = (ONE, TWO, THREE)) -> list[frozenset[str]]:
    """Who is held to be gone after each round, told who answered in it."""
    subject = Sentinel(lambda _: None)
    gone = []
    for answered in rounds:
        subject._judge({host: host in answered for host in hosts})
        gone.append(subject.gone)
    return gone


def test_a_silent_node_is_gone_after_several_rounds_and_back_after_one() -> None:
    silent, well = (ONE, THREE), (ONE, TWO, THREE)
    gone = judged([well, *[silent] * FAILURES, silent, well])
    assert gone == [frozenset()] * FAILURES + [frozenset({TWO})] * 2 + [frozenset()]


def test_a_stumble_accuses_nobody() -> None:
    silent, well = (ONE, THREE), (ONE, TWO, THREE)
    assert set(judged([silent, silent, well] * 4)) == {frozenset()}


def test_who_hears_nobody_accuses_nobody() -> None:
    """The operator itself may be cut off, or may not reach kubelets at all."""
    assert set(judged([()] * 9)) == {frozenset()}
    assert set(judged([()] * 9, hosts=(ONE,))) == {frozenset()}
    assert set(judged([()] * 9, hosts=())) == {frozenset()}


def test_who_was_gone_stays_gone_while_nobody_is_heard() -> None:
    silent = (ONE, THREE)
    assert judged([*[silent] * FAILURES, (), (), silent])[FAILURES - 1 :] == [frozenset({TWO})] * 4


def test_only_whom_it_concerns_is_told_and_only_of_changes() -> None:
    told: list[str] = []
    subject = Sentinel(told.append)
    subject.watch("shop/agents", {ONE, TWO})
    subject.watch("shop/other", {ONE})
    for answered in [(ONE,)] * (FAILURES + 2) + [(ONE, TWO)] * 2:
        subject._judge({host: host in answered for host in (ONE, TWO)})
    assert told == ["shop/agents", "shop/agents"]
    subject.watch("shop/agents", ())
    subject.watch("shop/nobody", ())
    for _ in range(FAILURES):
        subject._judge({ONE: True, TWO: False})
    assert told == ["shop/agents", "shop/agents"]


def test_it_knocks_at_every_watched_node(monkeypatch: pytest.MonkeyPatch) -> None:
    knocked: list[str] = []

    async def answers(host: str) -> bool:
        knocked.append(host)
        return host != TWO

    async def story() -> frozenset[str]:
        subject = Sentinel(lambda _: None)
        subject.watch("shop/agents", {ONE, TWO})
        subject.watch("shop/other", {TWO, THREE})
        task = asyncio.create_task(subject.keep())
        await asyncio.sleep(PERIOD * FAILURES)
        task.cancel()
        return subject.gone

    monkeypatch.setattr(module, "_answers", answers)
    assert quick.run(story()) == {TWO}
    assert knocked[:3] == [ONE, TWO, THREE]


def test_a_node_answers_when_its_port_takes_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> tuple[bool, bool]:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(module, "KUBELET", port)
        there = await module._answers("127.0.0.1")
        server.close()
        await server.wait_closed()
        return there, await module._answers("127.0.0.1")

    assert asyncio.run(story()) == (True, False)
