"""Prometheus' own tool reads what the dashboards ask, and finds in a store's series what they shall show."""

import re
from pathlib import Path
from typing import Any

import yaml

from charts import dashboards, panel
from tests.integration.test_alerts import promtool

STORE = 'namespace="shop",name="agents",pod="operator-1"'
POOLER = 'namespace="shop",pod="agents-pooler-5c9f6d7b8-x2k4z"'
INSTANCE = 'namespace="shop",pod="agents-0"'
ASKED = list(dict.fromkeys(asked.expression for asked in dashboards.expressions("shop", "agents")))
# What a series is labelled with besides where it is from; those of all others need no more.
LABELS = {
    "checkpointstore_cost_empty_monthly": 'currency="USD"',
    "checkpointstore_cost_monthly": 'currency="USD",part="volumes"',
    "checkpointstore_cost_without_tiering_monthly": 'currency="USD"',
    "checkpointstore_reconcile_duration_seconds_bucket": 'le="+Inf"',
    "checkpointstore_statement_calls_total": 'kind="put",queryid="1"',
    "checkpointstore_statement_seconds_total": 'kind="put",queryid="1"',
    "checkpointstore_statement_square_seconds_total": 'kind="put",queryid="1"',
    "checkpointstore_table_bytes": 'relname="checkpoints",part="heap"',
    "checkpointstore_index_bytes": 'relname="checkpoints",indexrelname="checkpoints_pkey"',
    "pg_stat_user_tables_n_tup_ins": 'datname="app",relname="checkpoints"',
    "pg_stat_activity_count": 'datname="app",state="active",backend_type="client backend"',
    "pg_stat_database_blks_hit": 'datname="app"',
    "pg_stat_database_blks_read": 'datname="app"',
}
ALERT = 'ALERTS{alertname="CheckpointStoreStalled",alertstate="firing",namespace="shop",name="agents"}'
CONDITIONS = (
    ("Ready", "True", "Serving", 2),
    ("PoolerAvailable", "False", "NoPoolerReady", 0),
    ("PostgresAvailable", "False", "Hibernated", 1),
    ("Initialized", "False", "Recovering", 1),
    ("ContinuousArchiving", "Unknown", "Pending", 1),
    ("Stalled", "False", "Progressing", 2),
    ("AutoscalingLimited", "True", "MaxInstancesReached", 0),
    ("Reconciling", "True", "Applying", 1),
    ("LastBackupSucceeded", "True", "BackupCompleted", 2),
    ("BackupVerified", "True", "Verified", 2),
    ("TieringSucceeded", "False", "CredentialsRejected", 0),
)


def conditions() -> dict[str, str]:
    return {
        f'checkpointstore_condition{{{STORE},type="{type_}",status="{status}",reason="{reason}"}}': "1x10"
        for type_, status, reason, _ in CONDITIONS
    }


def series(metric: str) -> str:
    place = POOLER if metric.startswith("pgbouncer_") else INSTANCE
    of_operator = re.match(
        r"checkpointstore_(api|backup|blobs|cost|pooler|recommended|reconcile|retention|tiering)_", metric
    )
    labels = LABELS.get(metric, 'database="app"' if place == POOLER else "")
    return f"{metric}{{{','.join(filter(None, (STORE if of_operator else place, labels)))}}}"


def measured(expression: str, samples: list[dict[str, Any]]) -> dict[str, Any]:
    return {"expr": expression, "eval_time": "10m", "exp_samples": samples}


def evaluate(folder: Path, told: dict[str, str], expected: list[dict[str, Any]]) -> None:
    """Ask, ten minutes after the series began."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in told.items()],
        "promql_expr_test": expected,
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(file))


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"dashboard:{number}", "expr": expression} for number, expression in enumerate(ASKED)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    promtool("check", "rules", "--lint-fatal", str(file))


def test_every_expression_finds_the_series_of_a_store(tmp_path: Path) -> None:
    metrics = {name for asked in ASKED for name in re.findall(r"\b((?:checkpointstore|pgbouncer|pg|node)_\w+)", asked)}
    told = {series(metric): "100+60x10" for metric in metrics - {"checkpointstore_condition"}}
    found = [{"labels": "{}", "value": 1}]
    asked = [measured(f"count({expression}) > bool 0", found) for expression in ASKED]
    evaluate(tmp_path, told | conditions() | {ALERT: "1x10"}, asked)


def test_conditions_are_green_yellow_or_red(tmp_path: Path) -> None:
    expected = [{"labels": f'{{type="{type_}"}}', "value": value} for type_, _, _, value in CONDITIONS]
    evaluate(tmp_path, conditions(), [measured(panel.health('namespace="shop"', "type"), expected)])
