"""The demo's agent keeps its ledger honest: a broken-off turn is finished, a forgotten message is found."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

AGENT = Path(__file__).parents[3] / "demo" / "agent"
CONFIG: Any = {"configurable": {"thread_id": "t"}}


@pytest.fixture(scope="module")
def chat() -> Any:
    sys.path.insert(0, str(AGENT))
    try:
        return importlib.import_module("chat")
    finally:
        sys.path.remove(str(AGENT))


def say(chat: Any, agent: Any, number: int) -> None:
    while chat.answer(agent.get_state(CONFIG), number) is None:
        agent.invoke(chat.next_input(agent.get_state(CONFIG), number), CONFIG)


@pytest.fixture
def agent(chat: Any) -> Any:
    return chat.compiled(InMemorySaver())


def test_every_message_is_answered_from_the_whole_history(chat: Any, agent: Any) -> None:
    for number in range(1, 12):
        say(chat, agent, number)
    snapshot = agent.get_state(CONFIG)
    assert chat.answer(snapshot, 11) == "I remember 11 messages"
    assert chat.forgotten(snapshot, 11) == []


def test_a_turn_waits_for_a_person_and_goes_on(chat: Any, agent: Any) -> None:
    for number in range(1, 5):
        say(chat, agent, number)
    agent.invoke(chat.next_input(agent.get_state(CONFIG), 5), CONFIG)
    waiting = agent.get_state(CONFIG)
    assert waiting.interrupts
    assert chat.answer(waiting, 5) is None
    say(chat, agent, 5)
    assert chat.forgotten(agent.get_state(CONFIG), 5) == []


def test_a_turn_broken_off_after_its_message_was_stored_is_finished_not_repeated(chat: Any, agent: Any) -> None:
    say(chat, agent, 1)
    agent.update_state(CONFIG, chat.next_input(agent.get_state(CONFIG), 2), as_node="__start__")
    assert agent.get_state(CONFIG).next == ("approve",)
    assert chat.next_input(agent.get_state(CONFIG), 2) is None
    say(chat, agent, 2)
    assert chat.forgotten(agent.get_state(CONFIG), 2) == []


class Breaks(InMemorySaver):
    """Fails one write, counted over checkpoints and their pending writes, as a database does that goes away."""

    def __init__(self, write: int) -> None:
        super().__init__()
        self._left = write

    def put(self, *arguments: Any, **named: Any) -> Any:
        self._count()
        return super().put(*arguments, **named)

    def put_writes(self, *arguments: Any, **named: Any) -> None:
        self._count()
        super().put_writes(*arguments, **named)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise ConnectionError


@pytest.mark.parametrize("write", range(1, 40))
def test_nothing_acknowledged_is_forgotten_whichever_write_fails(chat: Any, write: int) -> None:
    agent = chat.compiled(Breaks(write))
    for number in range(1, 7):
        try:
            say(chat, agent, number)
        except ConnectionError:
            say(chat, agent, number)
    assert chat.forgotten(agent.get_state(CONFIG), 6) == []


def test_a_forgotten_message_is_named(chat: Any, agent: Any) -> None:
    say(chat, agent, 1)
    assert chat.forgotten(agent.get_state(CONFIG), 2) == ["human-2", "reply-2"]
