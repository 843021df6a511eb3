"""The dashboard of one store: from what applications feel to why it is so."""

from charts.inside import INSIDE
from charts.panel import (
    HEALTH,
    INSTANCES,
    OF_STORE,
    POOLERS,
    TABLES,
    TOTALS,
    Kind,
    Panel,
    Query,
    Row,
    health,
    mean,
    over,
    rate,
    status,
)
from checkpointstore.features.monitoring.question import Whose, p99

STORE = (
    Row(
        "Conditions",
        (
            Panel(
                "Conditions over time",
                HEALTH,
                "Green is as it should be, yellow is open (unknown, at work, hibernated or being recovered), red needs "
                "a look: each condition has its runbook.",
                (Query(health(OF_STORE, "type"), "{{type}}"),),
                16,
                Kind.STATES,
                height=9,
            ),
            Panel(
                "Conditions now",
                "short",
                "The reasons as the API's page and the runbooks call them.",
                (Query(f"max by (type, status, reason) (checkpointstore_condition{{{OF_STORE}}})"),),
                8,
                Kind.TABLE,
                height=9,
            ),
        ),
    ),
    Row(
        "Traffic",
        (
            Panel(
                "Transactions",
                "suffix:/s",
                "What applications get done through all poolers; none at a busy hour means that nobody gets through.",
                (Query(rate(f"{TOTALS}_sql_transactions_pooled_total", POOLERS), "transactions"),),
                12,
            ),
            Panel(
                "Rows written",
                "suffix:/s",
                "Checkpoints, their large values (blobs) and pending writes; blobs that grow alone mean ever larger "
                "state in the agents.",
                (
                    Query(
                        rate("pg_stat_user_tables_n_tup_ins", f"{INSTANCES},{TABLES}", "relname"),
                        "{{relname}}",
                    ),
                ),
                12,
            ),
        ),
    ),
    Row(
        "Latency and waiting",
        (
            Panel(
                "Wait for a server connection",
                "s",
                "What a transaction waits on average before it begins: milliseconds are good, more than 0.25 s alerts; "
                "runbook PoolerAvailable.",
                (
                    Query(
                        mean(
                            f"{TOTALS}_client_wait_seconds_total",
                            f"{TOTALS}_sql_transactions_pooled_total",
                            POOLERS,
                        ),
                        "wait",
                    ),
                ),
                12,
                steps=over(0.25),
            ),
            Panel(
                "Time of a query",
                "s",
                "As PgBouncer sees them, on average: transactions that take much longer than their queries are held "
                "open by the application.",
                (
                    Query(
                        mean(f"{TOTALS}_queries_duration_seconds_total", f"{TOTALS}_queries_pooled_total", POOLERS),
                        "query",
                    ),
                    Query(
                        mean(
                            f"{TOTALS}_server_in_transaction_seconds_total",
                            f"{TOTALS}_sql_transactions_pooled_total",
                            POOLERS,
                        ),
                        "transaction",
                    ),
                ),
                12,
            ),
            Panel(
                "99th percentile in the server",
                "s",
                "Of put, put_writes and get the slowest, estimated from mean and spread: 5 ms is what to expect of "
                "checkpoints of some kB; runbook ThresholdsExceeded.",
                (Query(p99(Whose("$namespace", "$store-[0-9]+", "")), "p99"),),
                12,
            ),
            Panel(
                "Slowest statements",
                "s",
                "What one run took in PostgreSQL, by what a saver does with it and queryid: one that climbs while its "
                "threads do not grow lacks an index or memory.",
                (
                    Query(
                        mean(
                            "checkpointstore_statement_seconds_total",
                            "checkpointstore_statement_calls_total",
                            INSTANCES,
                            "kind, queryid",
                        ),
                        "{{kind}} {{queryid}}",
                    ),
                ),
                12,
            ),
        ),
    ),
    Row(
        "The pooler, and why it has its size",
        (
            Panel(
                "Pods",
                "short",
                "Ready should meet what is given, and what is given should meet what the load asks for.",
                (
                    Query(status("pooler_desired_instances"), "asked for"),
                    Query(status("pooler_instances"), "given"),
                    Query(status("pooler_ready_instances"), "ready"),
                ),
            ),
            Panel(
                "Server connections",
                "short",
                "At work in all pods; near what is allowed clients begin to wait, and the pooler asks for more.",
                (
                    Query(f"sum(pgbouncer_pools_server_active_connections{{{POOLERS}}})", "at work"),
                    Query(f"{status('pooler_pool_size')} * {status('pooler_instances')}", "allowed"),
                ),
            ),
            Panel(
                "Clients",
                "short",
                "Connected ones cost little; waiting ones should be none for longer than a moment.",
                (
                    Query(f"sum(pgbouncer_pools_client_active_connections{{{POOLERS}}})", "connected"),
                    Query(f"sum(pgbouncer_pools_client_waiting_connections{{{POOLERS}}})", "waiting"),
                ),
            ),
            Panel(
                "Processor of PgBouncer's thread",
                "percentunit",
                "Each pod has one thread: from 80 % of a core on another pod is asked for, at 100 % everybody waits.",
                (Query(rate("pgbouncer_process_cpu_seconds_total", POOLERS, "pod"), "{{pod}}"),),
                12,
                steps=over(1, 0.8),
            ),
            Panel(
                "What keeps it from growing",
                HEALTH,
                "WithinLimits is good, yellow cannot tell, red names the limit; runbook AutoscalingLimited.",
                (
                    Query(
                        health(f'{OF_STORE},type="AutoscalingLimited"', "reason"),
                        "{{reason}}",
                    ),
                ),
                12,
                Kind.STATES,
            ),
        ),
    ),
    *INSIDE,
)
