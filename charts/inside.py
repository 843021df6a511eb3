"""The lower half of a store's dashboard: what is in the database, what it costs, how its server and backups are."""

from itertools import pairwise

from charts.panel import (
    DAY,
    INSTANCES,
    OF_STORE,
    TOO_OLD,
    UNPROVEN,
    Kind,
    Panel,
    Query,
    Row,
    age,
    largest,
    over,
    rate,
    status,
    under,
)
from charts.threads import THREADS


def spans() -> tuple[Query, ...]:
    """Threads by the age of their newest checkpoint, each in one span only."""
    named = {
        "active_hour": "the last hour",
        "active_day": "the last day",
        "active_week": "the last 7 days",
        "active_month": "the last 30 days",
        "count": "before",
    }
    told = [largest(f"checkpointstore_thread_{name}") for name in named]
    within = [told[0], *(f"{more} - {less}" for less, more in pairwise(told))]
    return tuple(Query(expr, legend) for expr, legend in zip(within, named.values(), strict=True))


INSIDE = (
    Row(
        "Threads and growth",
        (
            Panel(
                "Bytes of a thread",
                "bytes",
                "As stored, without indexes: a p99 that grows while p50 does not means a few threads that never end.",
                tuple(Query(largest(f"checkpointstore_thread_bytes_{name}"), name) for name in ("p50", "p99", "max")),
            ),
            Panel(
                "Threads by last activity",
                "short",
                "When their newest checkpoint was made: many old ones are what a shorter retention would remove.",
                spans(),
                kind=Kind.STACKED,
            ),
            Panel(
                "Tables and indexes",
                "bytes",
                "Bytes on disk: they grow with the threads; indexes that outgrow their table are bloated.",
                (
                    Query(
                        f"sum by (relname) ({largest('checkpointstore_table_bytes', 'relname, part')})", "{{relname}}"
                    ),
                    Query(
                        f"sum by (relname) ({largest('checkpointstore_index_bytes', 'relname, indexrelname')})",
                        "indexes of {{relname}}",
                    ),
                ),
                kind=Kind.STACKED,
            ),
            Panel(
                "Bloat",
                "percentunit",
                "Dead rows, and what an index would free if it were built anew: up to 40 % of an index is usual, dead "
                "rows that only grow mean that vacuum does not get through.",
                (
                    Query(largest("checkpointstore_table_dead_ratio", "relname, part"), "{{relname}} {{part}}"),
                    Query(largest("checkpointstore_index_bloat_ratio", "indexrelname"), "{{indexrelname}}"),
                ),
            ),
            Panel(
                "Free on the volume",
                "percentunit",
                "Below a tenth the store warns, and at nothing it cannot write; runbook PostgresAvailable.",
                (
                    Query(
                        f"max by (pod) (node_filesystem_avail_bytes{{{INSTANCES}}} "
                        f"/ node_filesystem_size_bytes{{{INSTANCES}}})",
                        "{{pod}}",
                    ),
                ),
                steps=under(0.1, 0.2),
            ),
            Panel(
                "Until the volume is full",
                "d",
                "If it goes on as in the last day, a year at most: less than two weeks is the time to grow the volume.",
                (
                    Query(
                        f"clamp_max(min(node_filesystem_avail_bytes{{{INSTANCES}}} / "
                        f"clamp_min(-deriv(node_filesystem_avail_bytes{{{INSTANCES}}}[1d]), 1)) / {DAY}, 365)",
                        "left",
                    ),
                ),
                kind=Kind.STAT,
                steps=under(3, 14),
            ),
            Panel(
                "What it should have",
                "bytes",
                "Memory by how much its last day read from the disk; nothing is changed for it.",
                (Query(status("recommended_memory_bytes"), "memory"),),
                12,
                Kind.STAT,
            ),
            Panel(
                "How many connections it should have",
                "short",
                "By how many were in use at once on its last day, and whether the pooler could use more.",
                (Query(status("recommended_connections"), "connections"),),
                12,
                Kind.STAT,
            ),
        ),
    ),
    THREADS,
    Row(
        "What it costs",
        (
            Panel(
                "Cost of a month",
                "short",
                "At the prices that docs/cost.md has or the spec gives, in the currency that is named: an estimate, no "
                "bill.",
                (
                    Query(
                        f"max by (part, currency) (checkpointstore_cost_monthly{{{OF_STORE}}})",
                        "{{part}} ({{currency}})",
                    ),
                ),
                12,
                Kind.STACKED,
            ),
            Panel(
                "With and without tiering",
                "short",
                "What the cold tier saves a month, about: without it, what is cold would be on the volumes of all "
                "instances.",
                (
                    Query(
                        f"sum by (currency) (max by (part, currency) (checkpointstore_cost_monthly{{{OF_STORE}}}))",
                        "with ({{currency}})",
                    ),
                    Query(
                        f"max by (currency) (checkpointstore_cost_without_tiering_monthly{{{OF_STORE}}})",
                        "without ({{currency}})",
                    ),
                ),
                6,
                Kind.STAT,
            ),
            Panel(
                "Paid for and empty",
                "percentunit",
                "The share of the volumes that holds nothing: half is usual where they grow by themselves, more is "
                "paid in vain.",
                (
                    Query(
                        f"max(checkpointstore_cost_empty_monthly{{{OF_STORE}}}) / "
                        f'max(checkpointstore_cost_monthly{{{OF_STORE},part="volumes"}})',
                        "empty",
                    ),
                ),
                6,
                Kind.STAT,
            ),
        ),
    ),
    Row(
        "The server",
        (
            Panel(
                "Found in memory",
                "percentunit",
                "The part of blocks that needed no disk: 99 % is usual, less than 90 % for long asks for more memory.",
                (
                    Query(
                        "{hit} / ({hit} + {read})".format(
                            **{
                                name: rate(f"pg_stat_database_blks_{name}", f'{INSTANCES},datname="app"', "pod")
                                for name in ("hit", "read")
                            }
                        ),
                        "{{pod}}",
                    ),
                ),
            ),
            Panel(
                "Connections of the server",
                "short",
                "Those of poolers and of everybody else: at what is allowed the next one is refused.",
                (
                    Query(
                        f'sum by (pod) (pg_stat_activity_count{{{INSTANCES},backend_type="client backend"}})', "{{pod}}"
                    ),
                    Query(largest("pg_settings_max_connections"), "allowed"),
                ),
            ),
            Panel(
                "Longest transaction",
                "s",
                "Seconds are good: one that is open for hours keeps vacuum from removing anything that was deleted "
                "since.",
                (Query(largest("pg_stat_activity_max_tx_duration", "pod"), "{{pod}}"),),
                steps=over(3600),
            ),
            Panel(
                "Age of transaction ids",
                "short",
                "Grows and is frozen at the lower line by itself; beyond a billion somebody has to look why not, as "
                "at two PostgreSQL takes no more writes.",
                (
                    Query(largest("pg_database_wraparound_age_datfrozenxid_seconds"), "age"),
                    Query(largest("pg_settings_autovacuum_freeze_max_age"), "frozen at"),
                ),
                12,
                steps=over(1e9),
            ),
            Panel(
                "Lag of standbys",
                "s",
                "How far a standby is behind: below a second is good, and what an asynchronous one lacks is lost at a "
                "failover.",
                (Query(largest("checkpointstore_replication_lag_seconds", "standby"), "{{standby}}"),),
                12,
            ),
        ),
    ),
    Row(
        "Backups",
        (
            Panel(
                "Archive lag",
                "s",
                "How long the oldest WAL waits for the object store: up to a minute is good, what waits is lost with "
                "the volumes; runbook ContinuousArchiving.",
                (Query(largest("checkpointstore_archive_waiting_seconds"), "waits"),),
                12,
                steps=over(600, 60),
            ),
            Panel(
                "WAL that waits",
                "short",
                "Files of 16 MiB that are not archived yet: one or two are good, a rising number fills the volume.",
                (Query(largest("checkpointstore_archive_waiting"), "files"),),
                12,
            ),
            *(
                Panel(
                    title,
                    "s",
                    description,
                    (Query(age(of, "max", f"{{{OF_STORE}}}"), title),),
                    6,
                    Kind.STAT,
                    steps,
                    4,
                )
                for title, of, steps, description in (
                    (
                        "Newest backup",
                        "last_success",
                        over(TOO_OLD),
                        "How long ago it ended: more than 8 days alerts; runbook LastBackupSucceeded.",
                    ),
                    (
                        "Last verified",
                        "last_verification",
                        over(UNPROVEN),
                        "How long ago a backup was restored and found sound: more than 15 days alerts; runbook "
                        "BackupVerified.",
                    ),
                    (
                        "Recoverable back to",
                        "first_recoverability",
                        (),
                        "How old the oldest moment is that can be recovered: at least the recovery window is good.",
                    ),
                )
            ),
            Panel(
                "Repository",
                "bytes",
                "What all backups and archived WAL take in the object store: it levels off when the oldest expire.",
                (Query(status("backup_repository_bytes"), "repository"),),
                6,
                Kind.STAT,
                height=4,
            ),
        ),
    ),
)
