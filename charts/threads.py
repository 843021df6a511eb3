"""The row of a store's dashboard about what leaves the database: Jobs over threads, cold data, values outside."""

from charts.panel import DAY, HEALTH, OF_STORE, Kind, Panel, Query, Row, health, over, status

RUNS = {"retention": "retention", "tiering": "tiering", "collection of values": "blobs"}
TYPES = "RetentionSucceeded|TieringSucceeded|BlobCollectionSucceeded"
THREADS = Row(
    "What leaves the database",
    (
        Panel(
            "Runs",
            HEALTH,
            "Green ended well, yellow has not ended yet or could not look, red names what is in the way; runbook "
            "TieringSucceeded.",
            (Query(health(f'{OF_STORE},type=~"{TYPES}"', "type, reason"), "{{type}} {{reason}}"),),
            12,
            Kind.STATES,
        ),
        Panel(
            "Since a run ended well",
            "s",
            "By the default schedules ten minutes for threads and a day for values outside; two days of any are "
            "too long.",
            tuple(
                Query(f"time() - {status(f'{room}_last_success_timestamp_seconds')}", name)
                for name, room in RUNS.items()
            ),
            6,
            Kind.STAT,
            over(2 * DAY),
        ),
        Panel(
            "The run under way",
            "short",
            "Threads that it has looked at or moved, or references that it has read: a line that rises is good, none "
            "is between runs.",
            (
                Query(status("retention_run_threads"), "retention looked at"),
                Query(status("tiering_run_threads"), "tiering looked at"),
                Query(status("tiering_run_moved_threads"), "tiering moved"),
                Query(status("blobs_run_references"), "references"),
            ),
            6,
        ),
        Panel(
            "In object stores",
            "bytes",
            "What tiering and limits.externalize keep there: values outside that only grow mean that nothing is "
            "collected.",
            (
                Query(status("tiering_cold_bytes"), "cold data"),
                Query(status("blobs_bytes"), "values outside"),
            ),
            12,
            Kind.STACKED,
        ),
        Panel(
            "Cold threads and values outside",
            "short",
            "As the last runs counted them: threads with anything in the object store, and values that are there.",
            (
                Query(status("tiering_cold_threads"), "threads"),
                Query(status("blobs_objects"), "values"),
            ),
            6,
        ),
        Panel(
            "Values that are missing",
            "short",
            "Rows refer to them and they are not there: 0 is the only good number; runbook BlobCollectionSucceeded.",
            (Query(status("blobs_missing"), "missing"),),
            6,
            Kind.STAT,
            over(1),
        ),
    ),
)
