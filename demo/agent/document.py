"""An agent that carries a large document through its turns: it is in the object store, and the rows stay small."""

import asyncio
import os
import time
from hashlib import sha256
from operator import add
from typing import Annotated, Any, TypedDict

import binding
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from report import finish, say

from checkpointstore.client import BlobSerializer, BlobStore, open_async_saver

BLOBS = "/bindings/blobs"
SIZE = int(os.environ.get("SIZE", "5000000"))
TURNS = int(os.environ.get("TURNS", "6"))
CONFIG: Any = {"configurable": {"thread_id": os.environ.get("THREAD", "document")}}
DOCUMENT, TRANSCRIPT = b"a page of a document " * (SIZE // 21), "a line of a transcript\n" * (SIZE // 23)
PARTS = {"document": DOCUMENT, "transcript": TRANSCRIPT}


class State(TypedDict):
    document: bytes
    transcript: str
    notes: Annotated[list[str], add]


def note(state: State) -> dict[str, Any]:
    """What it says is made of all that it carries."""
    page = sha256(state["document"] + state["transcript"].encode()).hexdigest()
    return {"notes": [f"{len(state['notes'])} {page}"]}


def compiled(saver: Any) -> Any:
    graph = StateGraph(State)
    graph.add_node("note", note)
    graph.add_edge(START, "note")
    graph.add_edge("note", END)
    return graph.compile(checkpointer=saver)


async def main() -> None:
    expected = sha256(DOCUMENT + TRANSCRIPT.encode()).hexdigest()
    async with open_async_saver(binding.MOUNT, blobs=BLOBS) as saver:
        agent = compiled(saver)
        began = time.monotonic()
        await agent.ainvoke({**PARTS, "notes": []}, CONFIG)
        first = time.monotonic() - began
        began = time.monotonic()
        for _ in range(TURNS - 1):
            await agent.ainvoke({"notes": ["go on"]}, CONFIG)
        later = (time.monotonic() - began) / (TURNS - 1)
        say("written", first=round(first, 3), later=round(later, 3))
    # A stock saver reads it with the serializer alone.
    serde = BlobSerializer(BlobStore(BLOBS))
    async with AsyncPostgresSaver.from_conn_string(binding.uri(), serde=serde) as stock:
        state = await compiled(stock).aget_state(CONFIG)
    values = state.values
    same = {name: values[name] == part for name, part in PARTS.items()}
    said = all(line.endswith(expected) for line in values["notes"] if line != "go on")
    # What nobody refers to, as if it had been written two days ago.
    stray = BlobStore(BLOBS, clock=lambda: time.time() - 2 * 86400).put(os.urandom(SIZE // 10))
    finish(all(same.values()) and said, first=round(first, 3), later=round(later, 3), same=same, stray=stray)


asyncio.run(main())
