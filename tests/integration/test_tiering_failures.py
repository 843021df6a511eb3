"""The tiering Job is killed at any moment, its object store fails, or an object is not what was written."""

import random
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checkpointstore.adapters.bucket import Bucket
from checkpointstore.adapters.tiering import Archive
from checkpointstore.jobs import tiering
from tests.integration import objectstore
from tests.integration.job import Job
from tests.integration.server import Server
from tests.integration.tiering import SMALL, WHOLE, Store, all_back, copies


@pytest.fixture
def store(patroni: Job, server: Server, bucket: objectstore.Bucket, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("checkpointstore.adapters.bucket.PATIENCE", timedelta(seconds=0.2))
    assert patroni.run().code == 0
    bucket.empty()
    return Store(server, bucket)


def counted(store: Store) -> int:
    """Checkpoints that are hot."""
    [(count,)] = store.catalog("SELECT count(*) FROM public.checkpoints")
    return int(count)


@pytest.mark.parametrize("whole", [False, True])
def test_killed_anywhere_nothing_is_lost_and_nothing_is_twice(
    store: Store, tmp_path: Path, soak: bool, whole: bool
) -> None:
    copies(store, 200 if soak else 40)
    before = store.rows()
    chance, seen = random.Random(6), set()
    for number in range(100 if soak else 5):
        job = store.begin(tmp_path / f"result-{number}", SMALL, keepLatestHot=not whole, share=0.2)
        there, hot = len(store.bucket.objects()), counted(store)
        objectstore.until(lambda there=there, job=job: len(store.bucket.objects()) > there or job.poll() is not None)  # type: ignore[misc]
        if number % 2:
            # On a slow machine each might be killed before anything has gone.
            objectstore.until(lambda hot=hot, job=job: counted(store) < hot or job.poll() is not None)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.6))
        job.send_signal(signal.SIGKILL)
        if job.wait() == -signal.SIGKILL:
            seen.add(len(store.rows()["checkpoints"]))
        if number % 10 == 9:
            all_back(store)
            assert store.rows() == before
            with store.server.admin("app") as connection:
                connection.execute("DELETE FROM checkpointstore.recalls")
    print(f"killed with so many of {len(before['checkpoints'])} hot: {sorted(seen)}")
    assert len(seen) > 1
    store.tier(keepLatestHot=not whole)
    store.tier(keepLatestHot=not whole)
    known = {row[0].rsplit("/", 1)[1] for row in store.catalog("SELECT key FROM checkpointstore.cold_objects")}
    assert {path.name for path in store.bucket.objects()} == known, "no orphan is left"
    assert len(store.bucket.objects(".json")) == len(known)
    if whole:
        assert not any(store.rows().values())
        [(cold,)] = store.catalog("SELECT sum(rows)::int FROM checkpointstore.cold_threads")
        assert cold == sum(map(len, before.values())), "each row once"
    all_back(store)
    assert store.rows() == before


@pytest.mark.parametrize("act", ["register", "move"])
def test_killed_between_two_acts_nothing_is_lost(store: Store, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    copies(store, 2)
    monkeypatch.setattr(tiering, "OBJECT", 1)
    monkeypatch.setattr("checkpointstore.adapters.cold.ROWS", 100)
    before = store.rows()
    done = getattr(Archive, act)
    for last in (1, 2):
        count = 0

        def counted(self: Archive, *given: Any, last: int = last) -> None:
            nonlocal count
            done(self, *given)
            count += 1
            if count == last:
                raise KeyboardInterrupt

        monkeypatch.setattr(Archive, act, counted)
        with pytest.raises(KeyboardInterrupt):
            tiering.conclude(store.asked(**WHOLE))
    monkeypatch.setattr(Archive, act, done)
    store.tier(**WHOLE)
    all_back(store)
    assert store.rows() == before


@pytest.mark.parametrize("fate", ["refuse", "500", "lose", "any"])
def test_an_object_store_that_fails_loses_nothing(store: Store, soak: bool, fate: str) -> None:
    copies(store, 60 if soak else 5)
    before = store.rows()
    chance = random.Random(fate)
    store.bucket.fault = lambda method, path: (
        chance.choice(("refuse", "500", "lose") if fate == "any" else (fate,)) if chance.random() < 0.7 else ""
    )
    failed = 0
    for _ in range(30 if soak else 3):
        outcome, code = tiering.conclude(store.asked(**WHOLE))
        failed += code == 1
        assert outcome.reason in ("", "Unavailable")
        for thread in store.cold():
            store.ask(thread)
        store.drain(store.asked())
        with store.server.admin("app") as connection:
            connection.execute("UPDATE checkpointstore.recalls SET tried = NULL, done = done - interval '2 hours'")
    print(f"{failed} runs failed")
    store.bucket.fault = lambda method, path: ""
    store.tier(**WHOLE)
    store.tier(**WHOLE)
    all_back(store)
    assert store.rows() == before


def test_an_object_that_does_not_read_back_moves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    copies(store, 2)
    before = store.rows()
    monkeypatch.setattr(Bucket, "digest", lambda self, key: "another")
    outcome, code = tiering.conclude(store.asked(**WHOLE))
    assert (code, outcome.reason) == (1, "Unavailable")
    assert "reads back otherwise" in outcome.message
    assert store.rows() == before


def test_an_object_that_was_damaged_is_told_and_nothing_is_brought_back(store: Store) -> None:
    copies(store, 1)
    store.tier(**WHOLE)
    store.tier(**WHOLE)
    [file] = store.bucket.objects()
    right = file.read_bytes()

    def asked_again() -> str:
        with store.server.admin("app") as connection:
            connection.execute("UPDATE checkpointstore.recalls SET tried = NULL")
        store.recall("copy-1")
        return store.ask("copy-1")

    content = bytearray(right)
    content[-100] ^= 1
    file.write_bytes(content)
    assert asked_again() == "Failed"
    assert not any(store.rows().values())
    file.write_bytes(right)
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.cold_threads SET rows = rows + 1")
    assert asked_again() == "Failed", "rows are missing"
    with store.server.admin("app") as connection:
        connection.execute("UPDATE checkpointstore.cold_threads SET rows = rows - 1")
    assert asked_again() == "Hot"
