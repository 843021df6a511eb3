"""What runs tell, added up as the operator does, is what the tables had and what the bucket has."""

from collections import Counter

from checkpointstore.features.tiering.totals import totals
from tests.integration import graphs
from tests.integration.tiering import WHOLE, Store

COLUMNS = {
    "checkpoints": "thread_id checkpoint_ns checkpoint_id parent_checkpoint_id type checkpoint metadata",
    "checkpoint_blobs": "thread_id checkpoint_ns channel version type blob",
    "checkpoint_writes": "thread_id checkpoint_ns checkpoint_id task_id idx channel type blob task_path",
}


def size(store: Store, thread: str) -> int:
    """Bytes of a thread's rows: a header of 28 each, and the values as they are stored."""
    total = 0
    for table, columns in COLUMNS.items():
        each = " + ".join(f"coalesce(pg_column_size({column}), 0)" for column in columns.split())
        query = f"SELECT coalesce(sum(28 + {each}), 0) FROM public.{table} WHERE thread_id = '{thread}'"
        [(found,)] = store.catalog(query)
        total += int(found)
    return total


def test_runs_add_up_to_what_the_tables_had_and_the_bucket_has(store: Store) -> None:
    known: dict[str, object] = {}
    rows = 0
    for thread, turns in (("one", 6), ("two", 20)):
        with store.saver() as saver:
            graphs.talk(graphs.remembering(saver), thread, turns)
        rows += size(store, thread)
        said = store.tier(**WHOLE)
        done = {**said.model_dump(include={"moved", "cold", "collected", "rewritten"}), "dryRun": said.dry_run}
        known = {**done, "totals": totals(known, done, 0)}
    objects = sum(file.stat().st_size for file in store.bucket.objects())
    assert known["totals"] == {"movedBytes": rows, "objectBytes": objects}


def test_requests_are_those_that_the_object_store_has_seen(store: Store) -> None:
    with store.saver() as saver:
        for thread in range(5):
            graphs.talk(graphs.remembering(saver), f"thread-{thread}", 3)
    for _ in range(2):
        store.bucket.seen.clear()
        said = store.tier(**WHOLE)
        seen = Counter((method, path.count("/") > 1) for method, path, _ in store.bucket.seen if method != "DELETE")
        lists, reads, writes = seen[("GET", False)], seen[("GET", True)], seen[("PUT", True)]
        assert (said.writes, said.reads) == (lists + writes, reads)
        assert lists, "the grace is none, so that each run lists"
    assert (writes, reads) == (0, 0), "there was nothing left to move"
