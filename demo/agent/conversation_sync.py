"""The same conversation over a stock PostgresSaver.from_conn_string, opened again whenever it breaks."""

import os
import time
from typing import Any

import chat
import psycopg
from binding import uri
from langgraph.checkpoint.postgres import PostgresSaver
from report import finish, say

THREAD = os.environ.get("THREAD", "conversation-sync")
MESSAGES = int(os.environ.get("MESSAGES", "20"))
PAUSE = float(os.environ.get("PAUSE", "0.1"))
PATIENCE = float(os.environ.get("PATIENCE", "120"))
CONFIG: Any = {"configurable": {"thread_id": THREAD}}


def turn(agent: chat.Chat, number: int) -> str:
    """Have message `number` answered, whatever part of an earlier try the thread already holds."""
    snapshot = agent.get_state(CONFIG)
    while (text := chat.answer(snapshot, number)) is None:
        agent.invoke(chat.next_input(snapshot, number), CONFIG)
        snapshot = agent.get_state(CONFIG)
    return text


def converse(acknowledged: int) -> int:
    """Go on after `acknowledged` turns on one connection until it breaks or all is said."""
    try:
        with PostgresSaver.from_conn_string(uri()) as saver:
            saver.setup()
            agent = chat.compiled(saver)
            while acknowledged < MESSAGES:
                began = time.monotonic()
                text = turn(agent, acknowledged + 1)
                acknowledged += 1
                say("turn", message=acknowledged, reply=text, seconds=round(time.monotonic() - began, 3))
                time.sleep(PAUSE)
    except psycopg.Error as error:
        say("retry", message=acknowledged + 1, error=type(error).__name__, detail=str(error).strip()[:200])
        time.sleep(0.2)
    return acknowledged


def main() -> None:
    say("start", saver="PostgresSaver", thread=THREAD, messages=MESSAGES)
    acknowledged, attempts = 0, 0
    progress = time.monotonic()
    while acknowledged < MESSAGES:
        before = acknowledged
        acknowledged = converse(before)
        attempts += 1
        if acknowledged > before:
            progress = time.monotonic()
        elif time.monotonic() - progress > PATIENCE:
            error = f"gave up after {PATIENCE:.0f} s"
            finish(False, acknowledged=acknowledged, forgotten=[], retries=attempts - 1, error=error)
    with PostgresSaver.from_conn_string(uri()) as saver:
        thread = chat.compiled(saver).get_state(CONFIG)
    forgotten = chat.forgotten(thread, acknowledged)
    finish(not forgotten, acknowledged=acknowledged, forgotten=forgotten, retries=attempts - 1)


main()
