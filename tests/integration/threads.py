"""Threads as a busy store has them, made by SQL, and what there is to tell of them, by reading every row."""

from datetime import UTC, datetime
from typing import Any

import psycopg

HUGE = 10
"""One checkpoint in so many is of a single thread. The others are of 500 threads, and after 10,000 of the next 500, as
in a store that grows by its threads; of each 500 the first has forty times as many as the last."""
_EPOCH = 12_219_292_800
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
_FILL = f"""
SELECT setseed(0.5);
CREATE TEMP TABLE step AS
  SELECT i, CASE WHEN mod(i, {HUGE}) = 0 THEN 'canary-huge'
                 ELSE format('canary-%%s-%%s', i / 10000, floor(power(random(), 2) * 500)) END AS thread
    FROM generate_series(%(first)s, %(first)s + %(rows)s - 1) AS i;
CREATE FUNCTION pg_temp.id(i bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
  SELECT substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-6' || substr(h, 13, 3) || '-8000-' || lpad(to_hex(i), 12, '0')
    FROM lpad(to_hex(((extract(epoch FROM now()) + {_EPOCH}) * 1e7)::bigint + i), 15, '0') AS h $$;
INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint, metadata)
  SELECT thread, pg_temp.id(i), jsonb_build_object('v', 4, 'id', i, 'channel_versions', jsonb_build_object('m', i)),
         '{{"source": "loop"}}' FROM step;
INSERT INTO checkpoint_blobs (thread_id, channel, version, type, blob)
  SELECT thread, 'm', i, 'msgpack', decode(repeat(md5(i::text), 1 + mod(i, 30)), 'hex') FROM step;
INSERT INTO checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, type, blob)
  SELECT thread, pg_temp.id(i), md5(i::text), idx, 'm', 'msgpack', decode(md5(i::text), 'hex')
    FROM step, generate_series(0, 1) AS idx;
DROP FUNCTION pg_temp.id;
DROP TABLE step;
"""


def fill(connection: psycopg.Connection[Any], rows: int, first: int = 1) -> None:
    """So many checkpoints, each with a blob and two writes, in the order of time."""
    statements = psycopg.ClientCursor(connection).mogrify(_FILL, {"rows": rows, "first": first})
    connection.execute(statements)
    # Or what was inserted would be counted once more after VACUUM has counted it.
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("VACUUM ANALYZE " + ", ".join(TABLES))


def identifier(at: datetime) -> str:
    """A checkpoint's id of that time."""
    ticks = f"{int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() + _EPOCH) * 10_000_000:015x}"
    return f"{ticks[:8]}-{ticks[8:12]}-6{ticks[12:]}-8000-000000000000"


def exact(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, float]:
    """Threads and their bytes, whichever columns the tables have."""
    rows = connection.execute(
        "SELECT table_name AS on, array_agg(column_name::text) AS columns FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = ANY (%s) GROUP BY table_name",
        [list(TABLES)],
    ).fetchall()
    sizes = " UNION ALL ".join(
        "SELECT thread_id, 28 + "
        + " + ".join(f"coalesce(pg_column_size({column}), 0)" for column in row["columns"])
        + f" AS size FROM {row['on']}"
        for row in rows
    )
    found = connection.execute(
        "SELECT count(*)::float8 AS count, percentile_disc(0.5) WITHIN GROUP (ORDER BY bytes)::float8 AS bytes_p50, "
        "percentile_disc(0.99) WITHIN GROUP (ORDER BY bytes)::float8 AS bytes_p99, max(bytes)::float8 AS bytes_max "
        f"FROM (SELECT thread_id, sum(size) AS bytes FROM ({sizes}) AS row GROUP BY thread_id) AS thread"
    ).fetchone()
    assert found is not None
    return found
