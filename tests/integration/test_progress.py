"""How far Jobs are while they work, as their pods tell the operator."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from checkpointstore.adapters import progress
from checkpointstore.jobs import progress as told
from tests.integration import test_blob_collection as collection
from tests.integration.objectstore import until
from tests.integration.server import free_port
from tests.integration.tiering import SMALL, WHOLE, Store, copies

Page = Callable[[], dict[str, int]]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """What the operator reads of a Job that is begun after."""
    port = free_port()
    monkeypatch.setenv(told.PORT, str(port))
    monkeypatch.setattr(progress, "PROGRESS", port)
    return lambda: asyncio.run(progress.run("127.0.0.1"))


def halfway(job: subprocess.Popen[bytes], page: Page, what: str) -> dict[str, int]:
    found: dict[str, int] = {}

    def seen() -> bool:
        found.update(page())
        return bool(found.get(what)) or job.poll() is not None

    until(seen)
    assert job.poll() is None, "it was done before it told anything"
    job.kill()
    job.wait()
    return found


def test_retention(store: Store, page: Page, tmp_path: Path) -> None:
    copies(store, 20)
    found = halfway(store.start(tmp_path / "result", keepLast=1, share=0.01), page, "threads")
    assert found.keys() == {"threads", "bytes"}
    assert found["threads"] < 21
    assert found["bytes"] > 0


@pytest.mark.parametrize("dry", [False, True])
def test_tiering(store: Store, page: Page, tmp_path: Path, dry: bool) -> None:
    copies(store, 20)
    found = halfway(store.begin(tmp_path / "result", SMALL, **WHOLE, dryRun=dry, share=0.01), page, "moved")
    assert found.keys() == {"threads", "moved", "bytes"}
    assert found["bytes"] > 0


def test_collection(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[dict[str, int]] = []
    monkeypatch.setattr(told, "tell", lambda **figures: words.append(figures))
    monkeypatch.setattr("checkpointstore.jobs.blobs.MOST", 2)
    keys = [collection.put(store, f"value {number}") for number in range(5)]
    for number, key in enumerate(keys):
        collection.row(store, f"thread {number}", f"blob:{key}:msgpack")
    collection.collect(store)
    assert words == [{"objects": 5, "referred": 0}, {"objects": 5, "referred": 2}, {"objects": 5, "referred": 4}]
