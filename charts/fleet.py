"""The dashboard of all stores: which of them need somebody, and how the operator is."""

from pathlib import Path
from typing import Any

import yaml

from charts.panel import (
    EACH,
    HEALTH,
    TOO_OLD,
    Kind,
    Panel,
    Query,
    Row,
    Steps,
    age,
    health,
    over,
    rate,
)

RULES = Path(__file__).resolve().parent / "checkpointstore-operator" / "files" / "alerts" / "rules.yaml"
PASSES = "checkpointstore_reconcile_duration_seconds"
COSTS = "max by (namespace, name, part, currency) (checkpointstore_cost_monthly)"


def alerts() -> dict[str, str]:
    """The expressions of the alert rules by their names."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: " ".join(rule["expr"].split()) for group in groups for rule in group["rules"]}


def affected(*names: str) -> str:
    """How many stores meet an alert's condition now; nothing where no operator is scraped, which is not 0."""
    met = " or ".join(f"({alerts()[f'CheckpointStore{name}']})" for name in names)
    return f"count({EACH} ({met})) or 0 * sum({PASSES}_count)"


def count(title: str, description: str, *names: str, red: str = "red") -> Panel:
    """How many stores an alert speaks of."""
    steps: Steps = ((None, "green"), (1, red))
    return Panel(title, "short", description, (Query(affected(*names), title),), 3, Kind.STAT, steps, 4)


def column(type_: str, legend: str) -> Query:
    """A condition of every store."""
    return Query(health(f'type="{type_}"', "namespace, name"), legend, HEALTH)


FLEET = (
    Row(
        "What needs somebody",
        (
            Panel(
                "Stores",
                "short",
                "All stores that the operator tells of; none at all means that it does not run or is not scraped.",
                (Query(f'count({EACH} (checkpointstore_condition{{type="Ready"}}))', "stores"),),
                3,
                Kind.STAT,
                height=4,
            ),
            count("Not Ready", "Stores that applications cannot use now: should be 0; runbook Ready.", "NotReady"),
            count("Stalled", "Stores that wait for a person: should be 0; runbook Stalled.", "Stalled", red="orange"),
            count(
                "Archiving fails",
                "Stores that lose what is written now if they lose their volumes: should be 0; runbook "
                "ContinuousArchiving.",
                "ArchivingStopped",
                "WALDropped",
            ),
            count(
                "Backup too old",
                "Stores whose newest backup failed or is older than 8 days: should be 0; runbook LastBackupSucceeded.",
                "BackupTooOld",
                red="orange",
            ),
            count(
                "Not verified",
                "Stores of which no backup was proven to restore for 15 days: should be 0; runbook BackupVerified.",
                "BackupNotVerified",
                red="orange",
            ),
            count(
                "Pooler limited",
                "Stores whose pooler may not grow as its load asks: should be 0; runbook AutoscalingLimited.",
                "PoolerLimited",
                red="orange",
            ),
            count(
                "Clients wait",
                "Stores whose transactions wait for more than 0.25 s for a server connection: should be 0; runbook "
                "PoolerAvailable.",
                "ClientsWait",
                red="orange",
            ),
            Panel(
                "Alerts that fire",
                "short",
                "None is good; the annotations of each name its runbook, and a name here leads to the store.",
                (
                    Query(
                        "max by (severity, alertname, namespace, name) "
                        '(ALERTS{alertname=~"CheckpointStore.*",alertstate="firing"})',
                    ),
                ),
                24,
                Kind.TABLE,
                height=6,
            ),
        ),
    ),
    Row(
        "All stores",
        (
            Panel(
                "Stores, the worst first",
                "short",
                "Green is as it should be, yellow is open (unknown, hibernated or being recovered), red is not, empty "
                "is not switched on; a name leads to the store.",
                (
                    Query('max by (namespace, name, reason) (checkpointstore_condition{type="Ready"})'),
                    column("Ready", "Ready"),
                    column("Stalled", "not stalled"),
                    column("ContinuousArchiving", "archiving"),
                    column("LastBackupSucceeded", "backup"),
                    column("BackupVerified", "verified"),
                    column("AutoscalingLimited", "not limited"),
                    Query(f"{EACH} (checkpointstore_pooler_ready_instances)", "pooler pods"),
                    Query(f"{EACH} (checkpointstore_pooler_desired_instances)", "wanted"),
                    Query(age("last_success"), "age of backup", "s", over(TOO_OLD)),
                    Query(f"{EACH} (checkpointstore_backup_repository_bytes)", "repository", "bytes"),
                    Query(f"sum by (namespace, name) ({COSTS})", "cost a month"),
                    Query(f"{EACH} (checkpointstore_cost_without_tiering_monthly)", "without tiering"),
                ),
                24,
                Kind.TABLE,
                height=12,
            ),
            Panel(
                "Cost of a month, all stores",
                "short",
                "At the prices that docs/cost.md has or the specs give: what grows here is where retention, smaller "
                "volumes or fewer instances save.",
                (Query(f"sum by (part, currency) ({COSTS})", "{{part}} ({{currency}})"),),
                24,
                Kind.STACKED,
            ),
        ),
    ),
    Row(
        "The operator",
        (
            Panel(
                "Time of a pass",
                "s",
                "What 99 of 100 looks at a store do not exceed: below a second is good, seconds mean that the API "
                "server or this pod is slow.",
                (Query(f"histogram_quantile(0.99, {rate(f'{PASSES}_bucket', '', 'le')})", "p99"),),
            ),
            Panel(
                "Passes that failed",
                "suffix:/s",
                "Errors by reason: none is good, a few are tried again, a steady rate means a store that gets nowhere.",
                (Query(rate("checkpointstore_reconcile_errors_total", "", "reason"), "{{reason}}"),),
            ),
            Panel(
                "Requests to the Kubernetes API",
                "suffix:/s",
                "By verb and answer: almost none at rest is good; 409 now and then is harmless, 403 and 5xx are not.",
                (Query(rate("checkpointstore_api_requests_total", "", "verb, code"), "{{verb}} {{code}}"),),
            ),
        ),
    ),
)
