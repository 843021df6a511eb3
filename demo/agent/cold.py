"""Our saver on a thread whose history is cold: a write beneath it, all of it, a fork, a copy and a deletion."""

import asyncio
import os
import time
from typing import Any

import chat
from binding import uri
from report import finish, say

from checkpointstore.client import AsyncCheckpointStoreSaver, open_async_saver

THREAD = os.environ.get("THREAD", "conversation")
CONFIG: Any = {"configurable": {"thread_id": THREAD}}


async def main() -> None:
    async with open_async_saver(uri()) as saver:
        agent = chat.compiled(saver)
        hot = [item async for item in super(AsyncCheckpointStoreSaver, saver).alist(CONFIG)]
        head: Any = await saver.aget_tuple(CONFIG)
        began = time.monotonic()
        # Beneath a checkpoint that is cold: all of the thread is brought back before it is written.
        await saver.aput_writes(head.parent_config, [("note", "late")], "a-task-of-mine")
        took = time.monotonic() - began
        parent: Any = await saver.aget_tuple(head.parent_config)
        written = any(channel == "note" for _, channel, _ in parent.pending_writes)
        say("written", seconds=round(took, 3), seen=written)
        states = [state async for state in agent.aget_state_history(CONFIG)]
        say("history", hot=len(hot), checkpoints=len(states))
        middle = next(state for state in states if chat.answer(state, 3) and not chat.answer(state, 4))
        fork = await agent.ainvoke(chat.next_input(middle, 4), middle.config)
        said = [str(message.id) for message in fork["messages"]]
        say("fork", messages=said)
        await saver.acopy_thread(THREAD, "copy")
        copied = len([item async for item in saver.alist({"configurable": {"thread_id": "copy"}})])
        await saver.adelete_thread("copy")
        left = [item async for item in saver.alist({"configurable": {"thread_id": "copy"}})]
        finish(
            written and len(states) > len(hot) and said[-1] == "reply-4" and copied > len(states) and not left,
            hot=len(hot),
            checkpoints=len(states),
            seconds=round(took, 3),
            copied=copied,
            left=len(left),
        )


asyncio.run(main())
