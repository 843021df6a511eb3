"""What the postgres exporter of each instance is asked besides its own questions."""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from .parameter import REVISION

PORT = 9187
FILE = "queries.yaml"
# A query that takes longer is given up, so that no scrape hangs behind a lock.
STATEMENT_SECONDS = 10
_TABLES = "('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')"


@dataclass(frozen=True, slots=True)
class Query:
    """Its columns are metrics, or labels of them: name to usage and description. An answer is kept so many seconds.

    No two rows may have the same labels, or the exporter serves no page at all.
    """

    sql: str
    columns: Mapping[str, tuple[str, str]]
    keep: int = 0

    def manifest(self) -> dict[str, object]:
        metrics = [{name: {"usage": use, "description": what}} for name, (use, what) in self.columns.items()]
        return {"query": " ".join(self.sql.split()), "metrics": metrics} | (
            {"cache_seconds": self.keep} if self.keep else {}
        )


def _told(function: str, columns: Mapping[str, tuple[str, str]], keep: int) -> Query:
    """By a function that may not be there yet, which would be an error in each scrape: then there are no rows."""
    name = f"checkpointstore.{function}()"
    types = ", ".join(f"{column} {'text' if use == 'LABEL' else 'float8'}" for column, (use, _) in columns.items())
    sql = (
        f"SELECT told.* FROM (SELECT CASE WHEN to_regprocedure('{name}') IS NOT NULL "
        f"THEN query_to_xml('SELECT * FROM {name}', false, false, '') END AS page) AS answer, "
        f"xmltable('/table/row' PASSING answer.page COLUMNS {types}) AS told"
    )
    return Query(sql, columns, keep)


ASKED = {
    "checkpointstore_archive": Query(
        "SELECT * FROM checkpointstore.archiving()",
        {
            "waiting": ("GAUGE", "Segments of WAL that are not archived yet"),
            "waiting_seconds": ("GAUGE", "How long the oldest of them waits"),
            "failing": ("GAUGE", "Whether the last try failed"),
            "rate": ("GAUGE", "Bytes of WAL written a second since the last segment was archived"),
            "dropped_timestamp_seconds": (
                "GAUGE",
                "When WAL was last dropped because too much of it waited, 0 for never",
            ),
            "cause": ("LABEL", "One word for why archiving fails"),
        },
    ),
    "checkpointstore": Query(
        f"SELECT 1 AS configuration, coalesce(nullif(current_setting('{REVISION}', true), ''), 'none') AS revision",
        {
            "configuration": ("GAUGE", "Always 1"),
            "revision": ("LABEL", "Which parameters the server has loaded, none where it was told of no revision"),
        },
    ),
    "checkpointstore_thread": _told(
        "threads",
        {
            "count": ("GAUGE", "Threads"),
            "active_hour": ("GAUGE", "Threads whose newest checkpoint is younger than an hour"),
            "active_day": ("GAUGE", "Threads whose newest checkpoint is younger than a day"),
            "active_week": ("GAUGE", "Threads whose newest checkpoint is younger than 7 days"),
            "active_month": ("GAUGE", "Threads whose newest checkpoint is younger than 30 days"),
            "bytes_p50": ("GAUGE", "Stored bytes that half of all threads do not exceed"),
            "bytes_p99": ("GAUGE", "Stored bytes that 99 of 100 threads do not exceed"),
            "bytes_max": ("GAUGE", "Stored bytes of the largest thread that was found"),
            "sampled": ("GAUGE", "Threads that were looked at; where these are all, nothing is estimated"),
        },
        keep=60,
    ),
    "checkpointstore_table": Query(
        f"""\
SELECT t.relname, part.part, part.bytes, coalesce(part.dead::float8 / nullif(part.dead + part.live, 0), 0) AS dead_ratio
  FROM pg_class AS t CROSS JOIN LATERAL (
       SELECT 'heap' AS part, pg_table_size(t.oid) - pg_total_relation_size(t.reltoastrelid) AS bytes,
              pg_stat_get_dead_tuples(t.oid) AS dead, pg_stat_get_live_tuples(t.oid) AS live
       UNION ALL
       SELECT 'toast', pg_total_relation_size(t.reltoastrelid),
              pg_stat_get_dead_tuples(t.reltoastrelid), pg_stat_get_live_tuples(t.reltoastrelid)) AS part
 WHERE NOT pg_is_in_recovery() AND t.relnamespace = 'public'::regnamespace AND t.relkind = 'r'
   AND t.relname IN {_TABLES}
""",
        {
            "relname": ("LABEL", "The table"),
            "part": ("LABEL", "heap, or toast for large values"),
            "bytes": ("GAUGE", "Bytes on disk, without the table's indexes"),
            "dead_ratio": ("GAUGE", "Dead rows of all rows, as PostgreSQL counts them between vacuums"),
        },
        keep=60,
    ),
    "checkpointstore_index": Query(
        f"""\
SELECT t.relname, i.relname AS indexrelname, pg_relation_size(i.oid) AS bytes
  FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid
 WHERE NOT pg_is_in_recovery() AND t.relnamespace = 'public'::regnamespace AND t.relname IN {_TABLES}
""",
        {
            "relname": ("LABEL", "The table"),
            "indexrelname": ("LABEL", "The index"),
            "bytes": ("GAUGE", "Bytes on disk"),
        },
        keep=60,
    ),
    "checkpointstore_index_bloat": _told(
        "index_bloat",
        {
            "relname": ("LABEL", "The table"),
            "indexrelname": ("LABEL", "The index"),
            "ratio": ("GAUGE", "How much of a unique index would be free if it were built anew, estimated"),
        },
        keep=60,
    ),
    "checkpointstore_statement": _told(
        "statement_times",
        {
            "queryid": ("LABEL", "As in pg_stat_statements"),
            "kind": ("LABEL", "put, put_writes, get, list, delete or other"),
            "calls_total": ("COUNTER", "How often the statement was run"),
            "seconds_total": ("COUNTER", "Seconds that all of them took"),
            "square_seconds_total": ("COUNTER", "The sum of the squares of what each took, in seconds"),
            "mean_seconds": ("GAUGE", "Seconds that one takes"),
        },
        keep=60,
    ),
    "checkpointstore_replication": Query(
        # A standby that has replayed everything while nobody writes has no lag to tell.
        """\
SELECT application_name AS standby, coalesce(max(extract(epoch FROM replay_lag)), 0) AS lag_seconds
  FROM pg_stat_replication WHERE state IN ('streaming', 'catchup') GROUP BY application_name
""",
        {
            "standby": ("LABEL", "The instance that follows"),
            "lag_seconds": ("GAUGE", "How long after it was written WAL is replayed there"),
        },
    ),
}
QUERIES = yaml.safe_dump({name: query.manifest() for name, query in ASKED.items()}, sort_keys=False)
