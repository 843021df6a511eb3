"""The chat agent itself: a LangGraph graph that counts what it hears and now and then asks a person first."""

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot, interrupt

ASK_EVERY = 5

Chat = CompiledStateGraph[Any, Any, Any, Any]


def approve(state: MessagesState) -> dict[str, Any]:
    """Every few messages wait for a person: the graph stops here and its state waits in the database."""
    heard = _heard(state["messages"])
    if heard % ASK_EVERY == 0 and not interrupt({"question": f"answer message {heard}?"}):
        return {"messages": [AIMessage(f"message {heard} was declined", id=f"declined-{heard}")]}
    return {}


def reply(state: MessagesState) -> dict[str, Any]:
    """Answer from the whole history, so that a forgotten message shows in the words."""
    heard = _heard(state["messages"])
    return {"messages": [AIMessage(f"I remember {heard} messages", id=f"reply-{heard}")]}


def compiled(saver: BaseCheckpointSaver[str]) -> Chat:
    """The graph on a checkpointer."""
    graph = StateGraph(MessagesState)
    graph.add_node("approve", approve)
    graph.add_node("reply", reply)
    graph.add_edge(START, "approve")
    graph.add_edge("approve", "reply")
    graph.add_edge("reply", END)
    return graph.compile(checkpointer=saver)


def answer(snapshot: StateSnapshot, number: int) -> str | None:
    """The reply to message `number` if the thread already holds it.

    A snapshot with tasks shows what they have written, though no checkpoint holds it: a new message would discard it.
    """
    if snapshot.tasks:
        return None
    for message in snapshot.values.get("messages", []):
        if message.id == f"reply-{number}":
            return str(message.content)
    return None


def next_input(snapshot: StateSnapshot, number: int) -> Any:
    """What to give the graph next: a person's word, nothing but "go on", or the new message.

    Looking at the thread first makes a retried turn safe wherever the first try broke off.
    """
    if snapshot.interrupts:
        return Command(resume=True)
    if snapshot.tasks:
        return None
    return {"messages": [HumanMessage(f"message {number}", id=f"human-{number}")]}


def forgotten(snapshot: StateSnapshot, acknowledged: int) -> list[str]:
    """What the thread should hold after `acknowledged` turns and does not hold, in this order and once."""
    wanted = [f"{who}-{n}" for n in range(1, acknowledged + 1) for who in ("human", "reply")]
    held = [str(message.id) for message in snapshot.values.get("messages", [])]
    if held[: len(wanted)] == wanted:
        return []
    return [name for name in wanted if held.count(name) != 1] or ["order"]


def _heard(messages: list[Any]) -> int:
    return sum(1 for message in messages if isinstance(message, HumanMessage))
