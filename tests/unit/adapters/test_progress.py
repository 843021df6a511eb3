"""What the page of a recovery's pod says, as the program in it writes it."""

import asyncio

import pytest

from checkpointstore.adapters import progress
from checkpointstore.features.backup.pod import PROGRESS_PORT
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
        return PAGE if (address, port) == ("198.18.0.9", PROGRESS_PORT) else ""

    monkeypatch.setattr(progress, "page", page)
    assert asyncio.run(progress.look("198.18.0.9")) == progress.read(PAGE)
    assert asyncio.run(progress.look("198.18.0.8")) is None
