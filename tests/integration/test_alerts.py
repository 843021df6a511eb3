"""Prometheus' own tool reads the alert rules of the chart, and each rule fires when it should and not otherwise."""

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.unit.packaging.rendered import Rendered, need

DAY = 86400
STORE = 'namespace="shop",name="agents"'
LONG = "x120"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as the chart renders them, as a plain file."""
    rule = Rendered("--api-versions", "monitoring.coreos.com/v1").one("PrometheusRule")
    file = tmp_path_factory.mktemp("alerts") / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    return file


def listed(rules: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> None:
    answer = subprocess.run([need("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def condition(type_: str, status: str, reason: str, values: str = f"1+0{LONG}", pod: str = "a") -> dict[str, str]:
    """A series of two hours, a value each minute."""
    labels = f'{STORE},type="{type_}",status="{status}",reason="{reason}",pod="{pod}"'
    return {f"checkpointstore_condition{{{labels}}}": values}


def backup(what: str, days: float) -> dict[str, str]:
    """Something that was so many days before the series begin."""
    series = f'checkpointstore_backup_{what}_timestamp_seconds{{{STORE},pod="a"}}'
    return {series: f"{round(-days * DAY)}+0{LONG}"}


class Case(NamedTuple):
    alert: str
    when: str
    minutes: int
    series: dict[str, str]
    fires: bool


READY, ARCHIVING = "CheckpointStoreNotReady", "CheckpointStoreArchivingStopped"
DROPPED, STALLED = "CheckpointStoreWALDropped", "CheckpointStoreStalled"
OLD, UNPROVEN = "CheckpointStoreBackupTooOld", "CheckpointStoreBackupNotVerified"
DOWN = "CheckpointStoreOperatorDown"
LIMITED, BLIND = "CheckpointStorePoolerLimited", "CheckpointStoreAutoscalingBlind"
WAITS = "CheckpointStoreClientsWait"
RETENTION, TIERING = "CheckpointStoreRetentionFails", "CheckpointStoreTieringFails"
MISSING, COLLECTION = "CheckpointStoreBlobsMissing", "CheckpointStoreBlobCollectionFails"
FILLS, EXCEEDED = "CheckpointStoreVolumeFills", "CheckpointStoreThresholdExceeded"
NO_PRIMARY = condition("Ready", "False", "NoPrimary")
ASLEEP = condition("Ready", "False", "Hibernated")
FAILS = condition("ContinuousArchiving", "False", "ArchivingFails")
GAP = condition("ContinuousArchiving", "False", "WALDropped")
FAILED = condition("LastBackupSucceeded", "False", "CredentialsRejected")
DAMAGED = condition("BackupVerified", "False", "RepositoryDamaged")
# The leader changes after three minutes.
HANDED_OVER = {
    **condition("Ready", "False", "NoPrimary", "1+0x3 stale"),
    **condition("Ready", "False", "NoPrimary", f"_x3 1+0{LONG}", pod="b"),
}
REFUSED = condition("RetentionSucceeded", "False", "InsufficientPrivilege", "1+0x50 stale")
DONE = condition("RetentionSucceeded", "True", "Succeeded", f"_x50 1+0{LONG}")
UNTIERED = condition("TieringSucceeded", "False", "SecretMissing")
LOST = condition("BlobCollectionSucceeded", "False", "BlobsMissing")
UNCOLLECTED = condition("BlobCollectionSucceeded", "False", "SecretMissing")
SPENT = condition("AutoscalingLimited", "True", "ServerConnectionsExhausted")
UNSEEN = condition("AutoscalingLimited", "Unknown", "PrometheusUnreachable")


def pods(seconds: float) -> dict[str, str]:
    """Two poolers, each with ten transactions a second that wait so many seconds each."""
    found = {}
    for pod in ("agents-pooler-5c9f-aaaaa", "agents-pooler-5c9f-bbbbb"):
        labels = f'namespace="shop",pod="{pod}",database="app"'
        found[f"pgbouncer_stats_client_wait_seconds_total{{{labels}}}"] = f"0+{600 * seconds}{LONG}"
        found[f"pgbouncer_stats_sql_transactions_pooled_total{{{labels}}}"] = f"0+600{LONG}"
    return found


PASSES = {f'checkpointstore_reconcile_duration_seconds_count{{pod="{pod}"}}': f"0+0{LONG}" for pod in "ab"}
CASES = (
    Case(READY, "no primary", 6, NO_PRIMARY, True),
    Case(READY, "no primary, and another operator pod tells", 6, HANDED_OVER, True),
    Case(READY, "no primary for a moment", 4, NO_PRIMARY, False),
    Case(READY, "ready", 60, condition("Ready", "True", "Serving"), False),
    Case(READY, "hibernated", 60, ASLEEP, False),
    Case(READY, "being recovered", 60, condition("Ready", "False", "Recovering"), False),
    Case(STALLED, "stalled", 6, condition("Stalled", "True", "VolumeFull"), True),
    Case(STALLED, "stalled for a moment", 4, condition("Stalled", "True", "NameTaken"), False),
    Case(STALLED, "at work", 60, condition("Stalled", "False", "Progressing"), False),
    Case(ARCHIVING, "failing", 11, FAILS, True),
    Case(ARCHIVING, "falling behind", 11, condition("ContinuousArchiving", "False", "FallingBehind"), True),
    Case(ARCHIVING, "failing for a moment", 9, FAILS, False),
    Case(ARCHIVING, "not begun", 60, condition("ContinuousArchiving", "Unknown", "Pending"), False),
    Case(ARCHIVING, "archiving", 60, condition("ContinuousArchiving", "True", "Archiving"), False),
    Case(ARCHIVING, "dropped, which has its own alert", 60, GAP, False),
    Case(DROPPED, "dropped", 1, GAP, True),
    Case(DROPPED, "failing only", 60, FAILS, False),
    Case(OLD, "failed", 61, FAILED, True),
    Case(OLD, "failed, and tried again", 50, FAILED, False),
    Case(OLD, "old", 62, {**backup("last_success", 8), **backup("enabled", 100)}, True),
    Case(OLD, "never made", 62, backup("enabled", 8), True),
    Case(OLD, "young, of an old store", 62, {**backup("last_success", 7.9), **backup("enabled", 100)}, False),
    Case(OLD, "old and failed, of a hibernated store", 62, {**backup("last_success", 9), **FAILED, **ASLEEP}, False),
    Case(OLD, "no backups", 62, condition("Ready", "True", "Serving"), False),
    Case(UNPROVEN, "not sound", 61, DAMAGED, True),
    Case(UNPROVEN, "not sound for a moment", 50, DAMAGED, False),
    Case(UNPROVEN, "sound, long ago", 62, {**backup("last_verification", 15), **backup("enabled", 100)}, True),
    Case(UNPROVEN, "never looked at", 62, {**backup("last_success", 1), **backup("enabled", 15)}, True),
    Case(UNPROVEN, "sound", 62, {**backup("last_verification", 14.9), **backup("enabled", 100)}, False),
    Case(UNPROVEN, "nobody could see", 62, condition("BackupVerified", "Unknown", "NoRoom"), False),
    Case(UNPROVEN, "hibernated", 62, {**backup("last_verification", 20), **DAMAGED, **ASLEEP}, False),
    Case(FILLS, "nearly full", 6, condition("PostgresAvailable", "True", "VolumeNearlyFull"), True),
    Case(FILLS, "full", 6, condition("PostgresAvailable", "False", "VolumeFull"), True),
    Case(FILLS, "nearly full for a moment", 4, condition("PostgresAvailable", "True", "VolumeNearlyFull"), False),
    Case(FILLS, "roomy", 60, condition("PostgresAvailable", "True", "AllInstancesReady"), False),
    Case(EXCEEDED, "too slow", 2, condition("ThresholdsExceeded", "True", "TooSlow"), True),
    Case(EXCEEDED, "nothing is told", 60, condition("ThresholdsExceeded", "Unknown", "SamplesMissing"), False),
    Case(RETENTION, "refused", 61, condition("RetentionSucceeded", "False", "InsufficientPrivilege"), True),
    Case(RETENTION, "killed each time", 61, condition("RetentionSucceeded", "Unknown", "JobFailed"), True),
    Case(RETENTION, "refused, and then done", 119, {**REFUSED, **DONE}, False),
    Case(RETENTION, "not begun", 62, condition("RetentionSucceeded", "Unknown", "Pending"), False),
    Case(RETENTION, "behind", 62, condition("RetentionSucceeded", "True", "Behind"), False),
    Case(RETENTION, "refused, of a hibernated store", 62, {**REFUSED, **ASLEEP}, False),
    Case(TIERING, "its Secret is missing", 61, UNTIERED, True),
    Case(TIERING, "nobody could look", 61, condition("TieringSucceeded", "Unknown", "Unavailable"), True),
    Case(TIERING, "a run that failed, and then one that did not", 50, UNTIERED, False),
    Case(TIERING, "not begun", 62, condition("TieringSucceeded", "Unknown", "Pending"), False),
    Case(TIERING, "dry run", 62, condition("TieringSucceeded", "True", "DryRun"), False),
    Case(TIERING, "failing, of a hibernated store", 62, {**UNTIERED, **ASLEEP}, False),
    Case(MISSING, "values are lost", 2, LOST, True),
    Case(MISSING, "runs fail", 62, UNCOLLECTED, False),
    Case(COLLECTION, "its Secret is missing", 61, UNCOLLECTED, True),
    Case(COLLECTION, "nobody could look", 61, condition("BlobCollectionSucceeded", "Unknown", "Unavailable"), True),
    Case(COLLECTION, "values are lost", 62, LOST, False),
    Case(COLLECTION, "not begun", 62, condition("BlobCollectionSucceeded", "Unknown", "Pending"), False),
    Case(COLLECTION, "dry run", 62, condition("BlobCollectionSucceeded", "True", "DryRun"), False),
    Case(COLLECTION, "failing, of a hibernated store", 62, {**UNCOLLECTED, **ASLEEP}, False),
    Case(LIMITED, "nothing left", 11, SPENT, True),
    Case(LIMITED, "nothing left for a moment", 9, SPENT, False),
    Case(LIMITED, "within limits", 60, condition("AutoscalingLimited", "False", "WithinLimits"), False),
    Case(BLIND, "no Prometheus", 16, UNSEEN, True),
    Case(BLIND, "no Prometheus for a moment", 14, UNSEEN, False),
    Case(BLIND, "nothing left, which is seen", 60, SPENT, False),
    Case(WAITS, "long", 16, pods(0.3), True),
    Case(WAITS, "a little", 60, pods(0.2), False),
    Case(DOWN, "no pod is read", 6, {}, True),
    Case(DOWN, "no pod is read for a moment", 4, {}, False),
    Case(DOWN, "they are, and there is no store", 60, PASSES, False),
)


def expected(rule: dict[str, Any]) -> dict[str, Any]:
    names = {} if rule["alert"] == DOWN else {"namespace": "shop", "name": "agents"}
    told = {key: text.replace("{{ $labels.namespace }}", "shop") for key, text in rule["annotations"].items()}
    return {
        "exp_labels": {**rule["labels"], **names},
        "exp_annotations": {key: text.replace("{{ $labels.name }}", "agents") for key, text in told.items()},
    }


def test_prometheus_takes_the_rules(rules: Path) -> None:
    promtool("check", "rules", "--lint-fatal", str(rules))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.when}")
def test_an_alert_fires_when_it_should(case: Case, rules: Path, tmp_path: Path) -> None:
    (rule,) = (rule for rule in listed(rules) if rule["alert"] == case.alert)
    fired = {
        "eval_time": f"{case.minutes}m",
        "alertname": case.alert,
        "exp_alerts": [expected(rule)] if case.fires else [],
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [fired],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(file))


def test_each_alert_is_tried_both_ways(rules: Path) -> None:
    names = {rule["alert"] for rule in listed(rules)}
    assert {(case.alert, case.fires) for case in CASES} == {(name, fires) for name in names for fires in (True, False)}
