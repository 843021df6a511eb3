"""A pod's page of metrics: whoever answers is read, nobody needs to, and what is no such page says nothing."""

import asyncio

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


@pytest.mark.parametrize("answer", ["page", "garbage", "silence"])
def test_whoever_answers_is_read_and_nobody_needs_to(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "TIMEOUT", 0.1)
    asked: list[bytes] = []

    async def story() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if answer == "page":
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(PAGE)}\r\n\r\n{PAGE}".encode())
            elif answer == "garbage":
                writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
            else:
                await asyncio.sleep(0.3)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            found = await exposition.page("127.0.0.1", port)
        assert await exposition.page("127.0.0.1", port) == "", "nobody listens any more"
        return found

    assert asyncio.run(story()) == (PAGE if answer == "page" else "")
    assert asked[0].startswith(b"GET /metrics ")
