"""LangGraph's own graphs, on stock savers: a chat, one with subgraphs, one that asks, one whose values are deltas."""

import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt


class Chat(TypedDict, total=False):
    said: Annotated[list[str], operator.add]
    turns: int
    document: dict[str, str]


class Delta(TypedDict, total=False):
    said: Annotated[list[str], DeltaChannel(lambda old, new: [*old, *(word for words in new for word in words)])]
    turns: int


def config(thread: str, checkpoint: str | None = None, name: str = "") -> RunnableConfig:
    place = {"checkpoint_id": checkpoint} if checkpoint else {}
    return {"configurable": {"thread_id": thread, "checkpoint_ns": name, **place}}


def _answer(state: Any) -> Any:
    turns = state.get("turns", 0) + 1
    return {"said": [f"answer {turns}"], "turns": turns}


def chat(saver: BaseCheckpointSaver[str]) -> Any:
    return StateGraph(Chat).add_node("answer", _answer).add_edge(START, "answer").compile(checkpointer=saver)


def delta(saver: BaseCheckpointSaver[str]) -> Any:
    return StateGraph(Delta).add_node("answer", _answer).add_edge(START, "answer").compile(checkpointer=saver)


def _ask(state: Any) -> Any:
    return {"said": [f"told {interrupt('who?')}"]}


def asking(saver: BaseCheckpointSaver[str]) -> Any:
    """Answers, then waits for a person inside a subgraph."""
    inner = StateGraph(Chat).add_node("ask", _ask).add_edge(START, "ask").compile()
    graph = StateGraph(Chat).add_node("answer", _answer).add_node("inner", inner)
    return (
        graph.add_edge(START, "answer").add_edge("answer", "inner").add_edge("inner", END).compile(checkpointer=saver)
    )


def remembering(saver: BaseCheckpointSaver[str]) -> Any:
    """Calls a subgraph that forgets, and one that remembers what it counted before."""

    class Aside(TypedDict, total=False):
        turns: int
        aside: Annotated[list[str], operator.add]

    def note(state: Any) -> Any:
        return {"aside": [f"noted {state['turns']}"]}

    class Own(TypedDict, total=False):
        said: Annotated[list[str], operator.add]
        own: int

    def count(state: Any) -> Any:
        own = state.get("own", 0) + 1
        return {"own": own, "said": [f"own {own}"]}

    called = StateGraph(Aside).add_node("note", note).add_edge(START, "note").compile()
    kept = StateGraph(Own).add_node("count", count).add_edge(START, "count").compile(checkpointer=True)

    def call(state: Any) -> Any:
        return {"said": [kept.invoke({"said": []})["said"][-1]]}

    graph = StateGraph(Chat).add_node("answer", _answer).add_node("called", called).add_node("kept", call)
    edges: Sequence[tuple[str, str]] = ((START, "answer"), ("answer", "called"), ("called", "kept"), ("kept", END))
    for edge in edges:
        graph.add_edge(*edge)
    return graph.compile(checkpointer=saver)


def talk(graph: Any, thread: str, turns: int, first: int = 0) -> None:
    for turn in range(first, first + turns):
        graph.invoke({"said": [f"question {turn}"], "document": {"text": f"{turn // 5} " * 500}}, config(thread))
