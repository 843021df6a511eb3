"""A pod's page of metrics: whoever answers is read, nobody needs to, and what is no such page says nothing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from checkpointstore.adapters import exposition

PAGE = """\
# HELP ours_total Things.
# TYPE ours_total counter
ours_total{state="done"} 3
other 1
ours_rate 2.5e3
"""


def test_samples_are_found_by_the_beginning_of_their_names() -> None:
    found = exposition.samples(PAGE, "ours_")
    assert [(sample.name, sample.labels, sample.value) for sample in found] == [
        ("ours_total", {"state": "done"}, 3.0),
        ("ours_rate", {}, 2500.0),
    ]
    assert exposition.samples(PAGE, "nothing_") == []


@pytest.mark.parametrize("text", ["", "<html>", "ours_total{", "ours_total not a number"])
def test_what_is_no_page_has_no_samples(text: str) -> None:
    assert list(exposition.samples(text, "ours_")) == []


@pytest.mark.parametrize("answer", ["page", "garbage"])
def test_whoever_answers_is_read(answer: str) -> None:
    said = {
        "page": f"HTTP/1.1 200 OK\r\nContent-Length: {len(PAGE)}\r\n\r\n{PAGE}",
        "garbage": "SSH-2.0-OpenSSH\r\n\r\n",
    }
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said[answer].encode())
        writer.close()

    assert asyncio.run(asked_of(serve)) == (PAGE if answer == "page" else "")
    assert asked[0].startswith(b"GET /metrics ")


def test_who_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "TIMEOUT", 0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert asyncio.run(asyncio.wait_for(asked_of(serve), 30)) == ""


def test_nobody_needs_to_be_there() -> None:
    async def story() -> str:
        async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
        return await exposition.page("127.0.0.1", port)

    assert asyncio.run(story()) == ""


async def asked_of(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> str:
    """The page of a server on this host that serves each connection so."""
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        return await exposition.page("127.0.0.1", server.sockets[0].getsockname()[1])
