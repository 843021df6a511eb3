"""Kills, failovers and an object store that fails in every way, at random moments, beside applications that write."""

import hashlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration import graphs, objectstore
from tests.integration.forked import PATIENCE, TIMEOUT
from tests.integration.graphs import config
from tests.integration.job import Job
from tests.integration.moments import THREADS, World
from tests.integration.pruning import Store as Pruned
from tests.integration.server import Server
from tests.integration.standby import pair
from tests.integration.tiering import WHOLE, Store, all_back, copies

ANY = ("GET", "PUT", "DELETE", "POST")
FATES = {
    "refuse": ANY,
    "500": ANY,
    "503": ANY,
    "429": ANY,
    "late": ANY,
    "cut": ("PUT",),
    "half": ("PUT",),
    "lose": ("PUT",),
}
"""What becomes of a request, and of which ones."""
FAILOVERS, KILLS, FAULTS = 24, 56, 15
"""Of 200 moments; of each fault so many."""
WRITERS = {"chat": graphs.chat, "other": graphs.chat, "remembering": graphs.remembering}
COPIES = 20
"""Threads that are there before, and that nobody writes to; five times as many for 200 moments."""


@pytest.fixture
def world(
    server: Server, bucket: objectstore.Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, soak: bool
) -> Iterator[World]:
    """A store on a pair of servers, and the databases on another one that tell what was written."""
    monkeypatch.setattr("checkpointstore.adapters.bucket.PATIENCE", PATIENCE)
    monkeypatch.setattr("checkpointstore.adapters.bucket.TIMEOUT", TIMEOUT)
    bucket.empty()
    server.reset()
    with pair() as both:
        where = {"host": "localhost", "port": both.primary.port, "database": "app"}
        asked = {"store": "shop/agents", "provider": "Patroni", **where, "modules": ["LangGraph"]}
        assert Job({**asked, "patienceSeconds": 60}, both.primary.secrets).run().code == 0
        store = Store(both.primary, bucket)
        copies(store, 5 * COPIES if soak else COPIES)
        store.tier(after=10**9)
        world = World(both, store, server, tmp_path, secrets.randbelow(2**32) if soak else 6)
        world.copied()
        yield world
    bucket.empty()
    server.reset()


def moments(chance: random.Random, soak: bool) -> list[str]:
    """What goes wrong, one after another."""
    if soak:
        found = ["failover"] * FAILOVERS + ["kill"] * KILLS + [*FATES] * FAULTS
    else:
        told, kept = chance.choice(("refuse", "500", "503", "429")), chance.choice(("late", "cut", "lose"))
        found = ["failover", "kill", "kill", told, kept, "half"]
    chance.shuffle(found)
    return found


def test_nothing_is_lost_and_nothing_is_seen_twice_whatever_fails(world: World, soak: bool) -> None:
    print(f"seed {world.seed}")
    happened: Counter[str] = Counter()
    work: list[tuple[Callable[..., None], tuple[Any, ...]]] = [
        *((world.talks, writer) for writer in WRITERS.items()),
        (world.reads, ()),
        (world.tiers, ()),
        (world.recalls, ()),
    ]
    begun = time.monotonic()
    with ThreadPoolExecutor(len(work)) as pool:
        running = [pool.submit(act, *given) for act, given in work]
        try:
            for moment in moments(world.chance, soak):
                world.happens(moment, FATES.get(moment, ()))
                happened[moment] += 1
                some = [f"{name}-{world.chance.randrange(THREADS)}" for name in WRITERS]
                world.looked_at([*some, f"copy-{world.chance.randrange(1, COPIES)}"])
                for done in running:
                    if done.done():
                        done.result()
        finally:
            world.open = False
            world.store.bucket.fault = lambda method, path: ""
            if job := world.job:
                job.kill()
        for done in running:
            done.result()
    print(f"{happened.total()} moments in {time.monotonic() - begun:.0f} s: {dict(sorted(happened.items()))}")
    print(f"{sum(world.turns.values())} turns of {len(world.turns)} threads; {dict(sorted(world.count.items()))}")
    _is_clean(world.store, world)
    _is_all_there(world.store, world)


def _is_clean(store: Store, world: World) -> None:
    """Every row is cold, the bucket has what the catalog knows and nothing else, and each row is once in it."""
    with store.server.admin("app") as connection:
        connection.execute("DELETE FROM checkpointstore.recalls")
    _settled(store, **WHOLE)
    assert not any(store.rows().values())
    known = {row[0] for row in store.catalog("SELECT key FROM checkpointstore.cold_objects")}
    assert _files(store) == known | {key.replace(".parquet", ".json") for key in known}, "no orphan is left"
    for manifest in store.bucket.manifests():
        content = (store.bucket.data / manifest["object"]).read_bytes()
        assert (manifest["bytes"], manifest["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    entries = store.catalog("SELECT thread_id, key FROM checkpointstore.cold_threads")
    traces = store.catalog("SELECT thread_id, key FROM checkpointstore.cold_traces")
    assert {key for _, key in entries} == known, "what holds nothing is gone"
    assert not {*traces} & {*entries}
    assert {key for _, key in traces} <= known
    rows = Counter(key for entry in entries for key in world.inside(*entry) if key[0] != "blob")
    assert set(rows.values()) == {1}


def _is_all_there(store: Store, world: World) -> None:
    """Every row that was acknowledged is as it was written, there is none that nobody wrote, and no object is left."""
    all_back(store)
    rows, shadow = store.rows(), Pruned(world.shadow)
    acknowledged, unsure = shadow.rows("acknowledged"), shadow.rows("unsure")
    for table, found in rows.items():
        assert acknowledged[table] <= found, "lost"
        assert found <= acknowledged[table] | unsure[table]
    print(
        f"{sum(map(len, acknowledged.values()))} rows were acknowledged, and {sum(map(len, rows.values()))} are there"
    )
    with store.saver() as saver:
        graph = graphs.chat(saver)
        for thread, turns in world.turns.items():
            assert graph.get_state(config(thread)).values["turns"] == turns
            seen = [item.values.get("turns", 0) for item in graph.get_state_history(config(thread))]
            assert {*seen} == {*range(turns + 1)}
    _settled(store, after=10**9)
    assert _files(store) == set()
    assert store.catalog("SELECT key FROM checkpointstore.cold_traces") == []


def _settled(store: Store, **asked: Any) -> None:
    """Runs, until one finds nothing to do: of each thread one part a run becomes one with others'."""
    for _ in range(100):
        outcome = store.tier(**asked)
        if not (outcome.moved.threads or outcome.busy or outcome.collected or outcome.rewritten):
            return
    raise AssertionError(outcome)


def _files(store: Store) -> set[str]:
    return {str(path.relative_to(store.bucket.data)) for path in store.bucket.data.rglob("*") if path.is_file()}
