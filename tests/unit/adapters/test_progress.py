"""What the page of a recovery's or a Job's pod says, as the program in it writes it."""

import asyncio
import socket

import pytest

from checkpointstore.adapters import progress
from checkpointstore.jobs import progress as told
from checkpointstore.kernel.job import PROGRESS
from checkpointstore.kernel.observed import Progress

PAGE = """\
# TYPE checkpointstore_restore_bytes gauge
checkpointstore_restore_bytes{state="done"} 12345
checkpointstore_restore_bytes{state="total"} 3.0e7
# TYPE checkpointstore_restore_phase gauge
checkpointstore_restore_phase{phase="restoring"} 0
checkpointstore_restore_phase{phase="replaying"} 1
# TYPE checkpointstore_restore_left_seconds gauge
checkpointstore_restore_left_seconds 61.5
"""


def test_how_far_it_is() -> None:
    assert progress.read(PAGE) == Progress(12_345, 30_000_000, "replaying", 61.5)


def test_a_phase_and_an_estimate_are_not_needed() -> None:
    lines = "\n".join(line for line in PAGE.splitlines() if "phase" not in line and "left" not in line)
    assert progress.read(f"{lines}\n") == Progress(12_345, 30_000_000)


@pytest.mark.parametrize("text", ["", "<html>", PAGE.replace("total", "other"), PAGE.replace("done", "other")])
def test_half_of_it_is_nothing(text: str) -> None:
    assert progress.read(text) is None


def test_it_is_asked_where_the_program_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def page(address: str, port: int) -> str:
        return PAGE if (address, port) == ("198.18.0.9", PROGRESS) else ""

    monkeypatch.setattr(progress, "page", page)
    assert asyncio.run(progress.look("198.18.0.9")) == progress.read(PAGE)
    assert asyncio.run(progress.look("198.18.0.8")) is None


def test_a_job_serves_what_it_tells_where_a_port_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told.serve({})
    monkeypatch.setattr(progress, "PROGRESS", port)
    assert asyncio.run(progress.run("127.0.0.1")) == {}
    told.serve({told.PORT: str(port)})
    told.tell(threads=12, bytes=2**40)
    told.tell(threads=13)
    assert asyncio.run(progress.run("127.0.0.1")) == {"threads": 13, "bytes": 2**40}


@pytest.mark.parametrize("text", ["", "<html>", "checkpointstore_run 5\n", PAGE])
def test_another_page_says_nothing_of_a_job(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    async def page(address: str, port: int) -> str:
        assert port == PROGRESS
        return text

    monkeypatch.setattr(progress, "page", page)
    assert asyncio.run(progress.run("198.18.0.9")) == {}
