"""What savers do about cold threads, as steps: a query whose one answer is sent back, or a pause. Pure.

docs/tiering.md says what the functions in the database promise.
"""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

COLD = "CS001"
"""SQLSTATE of `checkpointstore.assert_hot`: nothing was written, as what it belongs to is cold."""
FIRST, FACTOR, LONGEST = 0.02, 1.5, 1.0
"""Seconds between two looks: the first, how it grows, and the last."""
PATIENCE = 60.0
"""Seconds that a call waits for a thread; what failed is tried again every half minute."""
T = TypeVar("T")
BARE: Mapping[str, Any] = {"channel_values": None, "pending_writes": None}
"""What a row of a cold thread's newest checkpoint lacks."""
Row = Mapping[str, Any]
"""A checkpoint, as a stock saver's query returns it."""


class RecallFailed(TimeoutError):
    """A thread did not come back from the object store in time; it is still asked for, so call again later."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A query with one row and one column `answer`, in a transaction of its own."""

    query: str
    values: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Steps = Generator[Ask | Pause, Any, T]

TIERED = Ask("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
                WHERE n.nspname = 'checkpointstore' AND p.proname = 'assert_hot'
                  AND has_function_privilege(p.oid, 'EXECUTE')) AS answer""")
"""Whether threads of this database may be cold."""

_COPY = """
WITH checkpoint AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    SELECT %s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
      FROM checkpoints WHERE thread_id = %s ON CONFLICT DO NOTHING RETURNING 1
), value AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT %s, checkpoint_ns, channel, version, type, blob
      FROM checkpoint_blobs WHERE thread_id = %s ON CONFLICT DO NOTHING
), write AS (
    INSERT INTO checkpoint_writes
           (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    SELECT %s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob
      FROM checkpoint_writes WHERE thread_id = %s ON CONFLICT DO NOTHING
)
SELECT count(*) AS answer FROM checkpoint"""

# What was a run's alone goes: its checkpoints, their pending writes, and the values that no other checkpoint refers to.
# A checkpoint that stays has no parent then, as after the stock savers' prune.
_DELETE_RUNS = """
WITH gone AS (
    DELETE FROM checkpoints AS c USING unnest(%s::jsonb[]) AS run (id)
     WHERE c.metadata @> run.id
 RETURNING c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.checkpoint -> 'channel_versions' AS versions
), write AS (
    DELETE FROM checkpoint_writes AS w USING gone AS g
     WHERE (w.thread_id, w.checkpoint_ns, w.checkpoint_id) = (g.thread_id, g.checkpoint_ns, g.checkpoint_id)
), orphan AS (
    UPDATE checkpoints AS c SET parent_checkpoint_id = NULL FROM gone AS g
     WHERE (c.thread_id, c.checkpoint_ns, c.parent_checkpoint_id) = (g.thread_id, g.checkpoint_ns, g.checkpoint_id)
       AND NOT c.metadata @> ANY (%s::jsonb[])
), value AS (
    DELETE FROM checkpoint_blobs AS b USING gone AS g, jsonb_each_text(g.versions) AS v
     WHERE (b.thread_id, b.checkpoint_ns, b.channel, b.version) = (g.thread_id, g.checkpoint_ns, v.key, v.value)
       AND NOT EXISTS (SELECT FROM checkpoints AS c
                        WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns
                          AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version
                          AND NOT c.metadata @> ANY (%s::jsonb[]))
)
SELECT count(*) AS answer FROM gone"""


def bring_back(thread: str, patience: float) -> Steps[None]:
    """All of a thread is in the database afterwards, and stays for as long as one that was just written to.

    Raises RecallFailed.
    """
    for pause in (*_pauses(patience), None):
        answer = yield Ask("SELECT checkpointstore.recall(%s) AS answer", (thread,))
        if answer == "Hot":
            return
        if pause is None:
            raise RecallFailed(f"thread {thread} is not back after {patience:g} s: {answer}")
        yield Pause(pause)


def assert_hot(thread: str, namespace: str, checkpoint: str) -> Ask:
    """Ends the transaction that it is in with the SQLSTATE COLD where a checkpoint is cold."""
    return Ask("SELECT checkpointstore.assert_hot(%s, %s, %s) AS answer", (thread, namespace, checkpoint))


def heads(filter: Mapping[str, Any] | None, before: str | None, limit: int | None) -> Ask:
    """A list of the newest checkpoints of threads that are cold, as rows without values and pending writes."""
    having = json.dumps(filter) if filter else None
    found = "checkpointstore.cold_heads(%s::jsonb, %s::text, %s::int)"
    return Ask(f"SELECT coalesce(jsonb_agg(h), '[]') AS answer FROM {found} AS h", (having, before, limit))


def newest_first(hot: Sequence[Row], cold: Sequence[Row], limit: int | None) -> list[Row]:
    """Both together, each once: a thread that came or went between two looks is in both."""
    rows = (*({**row, **BARE} for row in cold), *hot)
    found = {(row["checkpoint_id"], row["thread_id"], row["checkpoint_ns"]): row for row in rows}
    return [found[place] for place in sorted(found, reverse=True)][:limit]


def delete(thread: str) -> Ask:
    """Its rows in the database, and what the catalog knows of it."""
    return Ask("SELECT checkpointstore.delete_thread(%s) AS answer", (thread,))


def copy(source: str, target: str) -> Ask:
    """Every row of a thread that is hot, as it is; what the target has of its own stays."""
    return Ask(_COPY, (target, source) * 3)


def cold_of_runs(runs: Sequence[str]) -> Ask:
    """A list of the threads that have cold checkpoints of runs; now and then one that has none."""
    return Ask("SELECT checkpointstore.cold_of_runs(%s::text[]) AS answer", (list(runs),))


def delete_runs(runs: Sequence[str]) -> Ask:
    """What is hot of runs, by the `run_id` that LangGraph writes into a checkpoint's metadata."""
    having = [json.dumps({"run_id": run}) for run in runs]
    return Ask(_DELETE_RUNS, (having,) * 3)


def _pauses(patience: float) -> Iterator[float]:
    pause, left = FIRST, patience
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(LONGEST, pause * FACTOR)
