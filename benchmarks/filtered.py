"""Listing checkpoints across 200,000 of all threads, against a stock schema with the same rows on the same server."""

from benchmarks.sample import median, ratio
from benchmarks.stage import ASYNCHRONOUS, Stage

ROWS, THREADS, USERS, LONG = 200_000, 4_000, 2_000, 5_000
# A user has two threads, a thread 50 checkpoints, a run 10 of them; ids rise with time, as the saver's do. One
# thread more, of another user, is long.
MADE = f"""(
  select i, i % {THREADS} as t, i / {THREADS} as s, {THREADS} as step, i % {USERS} as u
    from generate_series(0, {ROWS - 1}) as i
  union all
  select {ROWS} + s, {THREADS}, s, 1, {USERS} from generate_series(0, {LONG - 1}) as s) as made
"""
CHECKPOINTS = f"""
insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
select 'thread-' || t, '', id(i), case when s > 0 then id(i - step) end,
  jsonb_build_object('v', 4, 'id', id(i), 'ts', '2026-01-01T00:00:00+00:00', 'channel_values',
    jsonb_build_object('turn', s), 'channel_versions', jsonb_build_object('turn', id(i), 'messages', id(i)),
    'versions_seen', '{{}}'::jsonb),
  jsonb_build_object('source', 'loop', 'step', s, 'parents', '{{}}'::jsonb, 'user_id', 'user-' || u,
    'run_id', md5(t || '-' || s / 10)::uuid)
from {MADE}
"""
BLOBS = f"""
insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
select 'thread-' || t, '', 'messages', id(i), 'msgpack', '\\xd9c0'::bytea || repeat(md5(i::text), 6)::bytea from {MADE}
"""
FUNCTION = """
create function pg_temp.id(i int) returns text immutable language sql
as $$ select lpad(to_hex(i), 8, '0') || '-0000-6000-8000-000000000000' $$
"""
SELECTIVE = ("user_id", "run_id")
QUESTIONS = (
    *SELECTIVE,
    "user_id_async",
    "run_id_async",
    "no_match",
    "every_row",
    "no_filter",
    "before",
    "in_thread_run_id",
    "in_thread_every_row",
    "long_thread_newest",
    "long_thread",
)


def measure(stage: Stage) -> None:
    """list() across threads on 200,000 checkpoints, and in one of 5,000, against a stock schema on the same server"""
    with stage.scene("filtered") as scene:
        scene.store("agents", ASYNCHRONOUS)
        for database in ("app", scene.stock_database("agents")):
            inserts = (statement.replace("id(i", "pg_temp.id(i") for statement in (CHECKPOINTS, BLOBS))
            scene.psql("agents", database, FUNCTION, *inserts, "vacuum analyze")
        settings = {"USERS": USERS, "LONG": f"thread-{THREADS}", "ROUNDS": 200 if stage.full else 40}
        samples, _ = scene.run("filtered_list.py", "agents", **settings)
        for question in QUESTIONS:
            store, stock = samples[f"{question}.store"], samples[f"{question}.stock"]
            stage.report.note(f"filtered.{question}.store.p50", median(store), "ms")
            stage.report.note(f"filtered.{question}.stock.p50", median(stock), "ms")
            bound = ">=25" if question in SELECTIVE else ""
            stage.report.note(f"filtered.{question}.stock_per_store", ratio(stock, store), "x", bound)
