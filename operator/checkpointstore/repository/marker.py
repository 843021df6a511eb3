"""The marker: a row in the application's database that says which threads a backup must hold."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import client
from .failure import refused

KEPT = 50
THREADS = 20
# About so many pages are read however large the table is.
PAGES = 64

# pg_catalog alone in the path, and tables alone are read: as a superuser we must call no function of the application's.
_BEGIN = """
SET client_min_messages = warning;
SET search_path = pg_catalog;
SET default_transaction_read_only = off;
SET lock_timeout = '5s';
SET statement_timeout = '60s';
-- A COMMIT that waits for a lost standby would hold the backup up; the backup takes the row along anyway.
SET synchronous_commit = local;
BEGIN;
SELECT to_regclass('public.checkpoints') IS NOT NULL AS there \\gset
\\if :there
SELECT relkind = 'r' AS there FROM pg_class WHERE oid = to_regclass('public.checkpoints') \\gset
\\endif
\\if :there
LOCK TABLE ONLY public.checkpoints IN ACCESS SHARE MODE;
SELECT relkind = 'r' AS there FROM pg_class WHERE oid = to_regclass('public.checkpoints') \\gset
\\endif
"""

_GROUND = """
SELECT coalesce((SELECT nspowner <> 'postgres'::regrole FROM pg_namespace WHERE nspname = 'checkpointstore'), false)
AS foreign_schema \\gset
\\if :foreign_schema
\\echo foreign
\\quit
\\endif
CREATE SCHEMA IF NOT EXISTS checkpointstore AUTHORIZATION postgres;
CREATE TABLE IF NOT EXISTS checkpointstore.marker (
    taken timestamptz NOT NULL,
    lsn pg_lsn NOT NULL,
    threads jsonb NOT NULL
);
"""

_SAMPLED = f"""
SELECT least(100, 100.0 * {PAGES} / greatest(1, pg_relation_size('public.checkpoints') / 8192)) AS percent \\gset
INSERT INTO checkpointstore.marker
SELECT clock_timestamp(), pg_current_wal_lsn(), coalesce(jsonb_agg(newest), '[]')
FROM (
    SELECT c.thread_id, c.checkpoint_ns, c.checkpoint_id, md5(c::text) AS md5,
        (SELECT count(*) FROM ONLY public.checkpoints
         WHERE thread_id = s.thread_id AND checkpoint_ns = s.checkpoint_ns) AS count
    FROM (
        SELECT thread_id, checkpoint_ns FROM ONLY public.checkpoints TABLESAMPLE SYSTEM (:percent)
        GROUP BY thread_id, checkpoint_ns ORDER BY random() LIMIT {THREADS}
    ) s
    CROSS JOIN LATERAL (
        SELECT * FROM ONLY public.checkpoints
        WHERE thread_id = s.thread_id AND checkpoint_ns = s.checkpoint_ns ORDER BY checkpoint_id DESC LIMIT 1
    ) c
) newest;
"""

_EMPTY = "INSERT INTO checkpointstore.marker VALUES (clock_timestamp(), pg_current_wal_lsn(), '[]');\n"

_END = f"""
DELETE FROM checkpointstore.marker
WHERE taken NOT IN (SELECT taken FROM checkpointstore.marker ORDER BY taken DESC LIMIT {KEPT});
COMMIT;
"""

_NEWEST = """
SELECT to_regclass('checkpointstore.marker') IS NOT NULL AS there \\gset
\\if :there
SELECT threads FROM checkpointstore.marker ORDER BY taken DESC LIMIT 1;
\\endif
"""

_COMPARE = """
\\if :there
SELECT coalesce(json_agg(found), '[]') FROM (
    SELECT m.thread_id, m.checkpoint_ns,
        (SELECT md5(c::text) FROM ONLY public.checkpoints c WHERE c.thread_id = m.thread_id
         AND c.checkpoint_ns = m.checkpoint_ns AND c.checkpoint_id = m.checkpoint_id) IS NOT DISTINCT FROM m.md5
        AND (SELECT count(*) FROM ONLY public.checkpoints c WHERE c.thread_id = m.thread_id
             AND c.checkpoint_ns = m.checkpoint_ns) >= m.count AS whole
    FROM jsonb_to_recordset({threads})
    AS m(thread_id text, checkpoint_ns text, checkpoint_id text, count bigint, md5 text)
) found;
\\else
\\echo []
\\endif
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Thread:
    thread_id: str
    checkpoint_ns: str


def write(way: Mapping[str, str], database: str) -> None:
    """Add one, and forget old ones."""
    script = f"{_BEGIN}{_GROUND}\\if :there\n{_SAMPLED}\\else\n{_EMPTY}\\endif\n{_END}"
    if client.ask(way, database, script) == "foreign":
        raise refused(
            "MarkerSchemaTaken",
            f"database {database} has a schema checkpointstore that postgres does not own; rename it",
        )


def newest(way: Mapping[str, str], database: str) -> str | None:
    """The threads of the newest marker, as JSON."""
    return client.ask(way, database, _NEWEST) or None


def whole(way: Mapping[str, str], database: str, threads: str) -> set[Thread]:
    """The threads that are there as the marker says, or with more checkpoints."""
    script = _BEGIN + _COMPARE.replace("{threads}", client.literal(threads))
    found = json.loads(client.ask(way, database, script) or "[]")
    return {Thread(entry["thread_id"], entry["checkpoint_ns"]) for entry in found if entry["whole"]}


def listed(threads: str) -> set[Thread]:
    """The threads that a marker names."""
    entries: Iterable[Mapping[str, str]] = json.loads(threads)
    return {Thread(entry["thread_id"], entry["checkpoint_ns"]) for entry in entries}
