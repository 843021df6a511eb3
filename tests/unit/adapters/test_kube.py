"""What the API server streams: the newest lines of a log, and the end of a command."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from checkpointstore.adapters.kube import Ended, _ended, _newest
from checkpointstore.kernel.errors import Unavailable


def newest(chunks: list[bytes], limit: int) -> bytes:
    async def iterate(_size: int) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    response: Any = SimpleNamespace(content=SimpleNamespace(iter_chunked=iterate))
    return asyncio.run(_newest(response, limit))


def test_a_short_log_is_whole() -> None:
    assert newest([b"one\n", b"two\n"], 8) == b"one\ntwo\n"


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_of_a_long_log_the_newest_whole_lines_stay(size: int) -> None:
    text = b"".join(b"line %d\n" % number for number in range(1000))
    kept = newest([text[start : start + size] for start in range(0, len(text), size)], 100)
    assert text.endswith(b"\n" + kept)
    assert 80 <= len(kept) <= 100


def end(status: dict[str, Any] | None) -> Ended:
    said = {1: bytearray(b"out"), 2: bytearray(b"err"), 3: bytearray(json.dumps(status).encode() if status else b"")}
    return _ended(said, "psql in a/postgres")


def test_a_command_ends_with_its_code() -> None:
    failed = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}
    assert end({"status": "Success"}) == Ended(0, "out", "err")
    assert end(failed) == Ended(3, "out", "err")


def test_what_did_not_run_to_its_end_is_no_answer() -> None:
    with pytest.raises(Unavailable, match="cut off"):
        end(None)
    with pytest.raises(Unavailable, match="container not found"):
        end({"status": "Failure", "message": "container not found"})
