"""How far a restore is, as it tells itself: in bytes, in phases, and for how long yet."""

import time
from pathlib import Path

import pytest

from checkpointstore.adapters import progress as reader
from checkpointstore.repository.progress import Progress


def test_how_long_yet_is_told_of_what_came_since_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    (tmp_path / "of-an-earlier-pod").write_bytes(bytes(4000))
    restore = Progress(tmp_path, 10_000)

    def left() -> float | None:
        said = reader.read(restore.metrics())
        assert said is not None
        return said.left

    assert left() is None
    restore.enter("restoring")
    now += 10
    assert left() is None
    (tmp_path / "copied").write_bytes(bytes(2000))
    now += 10
    assert left() == pytest.approx(40.0)
    (tmp_path / "copied").write_bytes(bytes(7000))
    now += 10
    assert left() == 0
    restore.enter("replaying")
    assert left() is None
