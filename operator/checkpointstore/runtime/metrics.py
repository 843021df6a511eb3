"""What the operator counts about itself, in Prometheus' format."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ..features.monitoring.cost import PARTS, WITHOUT
from ..kernel.values import quantity

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PASSES = Histogram(
    "checkpointstore_reconcile_duration_seconds", "Duration of one pass over one store", registry=REGISTRY
)
ERRORS = Counter("checkpointstore_reconcile_errors", "Failed passes by reason", ["reason"], registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class Figure:
    """A gauge for something in a store's status."""

    name: str
    path: str
    read: Callable[[Any], float | None]
    meaning: str

    def of(self, status: Mapping[str, Any]) -> float | None:
        """None where the status has no such thing."""
        found: Any = status
        for key in self.path.split("."):
            found = (found or {}).get(key)
        return self.read(found) if found not in (None, "") else None


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def _some(count: int) -> float | None:
    """None for what nobody has counted yet."""
    return float(count) if count else None


def _bytes(text: str) -> float:
    return float(quantity(text))


FIGURES = (
    Figure("backup_enabled_timestamp_seconds", "backup.since", _moment, "When backups were switched on"),
    Figure("backup_last_success_timestamp_seconds", "backup.lastSuccessful", _moment, "When the newest backup ended"),
    Figure("backup_last_full_timestamp_seconds", "backup.lastFull", _moment, "When the newest full backup began"),
    Figure("backup_last_failure_timestamp_seconds", "backup.lastFailed", _moment, "When a backup last failed"),
    Figure(
        "backup_last_verification_timestamp_seconds",
        "backup.lastVerified",
        _moment,
        "When a backup was last restored and found sound",
    ),
    Figure(
        "backup_first_recoverability_timestamp_seconds",
        "backup.firstRecoverabilityPoint",
        _moment,
        "The oldest moment that can be recovered",
    ),
    Figure("backup_repository_bytes", "backup.repositoryBytes", _some, "Bytes in the repository"),
    Figure("backup_database_bytes", "backup.databaseBytes", _some, "Bytes of the databases in the newest backup"),
    Figure(
        "backup_verification_duration_seconds",
        "backup.verification.duration",
        _seconds,
        "How long the last verification took that succeeded",
    ),
    Figure("pooler_instances", "pooler.instances", float, "Pooler pods that there shall be"),
    Figure("pooler_ready_instances", "pooler.readyInstances", float, "Pooler pods that are ready"),
    Figure("pooler_desired_instances", "pooler.desiredInstances", float, "Pooler pods that the load asks for"),
    Figure("pooler_pool_size", "pooler.poolSize", float, "Server connections that each pooler pod may have"),
    Figure(
        "retention_last_success_timestamp_seconds",
        "retention.lastSuccessful",
        _moment,
        "When a retention run last ended well",
    ),
    Figure("retention_run_threads", "retention.progress.threads", float, "Threads that the run has looked at"),
    Figure("retention_run_bytes", "retention.progress.bytes", float, "What the run has removed took in its tables"),
    Figure(
        "tiering_last_success_timestamp_seconds",
        "tiering.lastSuccessful",
        _moment,
        "When a tiering run last ended well",
    ),
    Figure("tiering_run_threads", "tiering.progress.threads", float, "Threads that the run has looked at"),
    Figure("tiering_run_moved_threads", "tiering.progress.moved", float, "Threads that the run has moved"),
    Figure("tiering_run_bytes", "tiering.progress.bytes", float, "What these took in their tables"),
    Figure("tiering_cold_threads", "tiering.cold.threads", _some, "Threads with anything in the object store"),
    Figure("tiering_cold_bytes", "tiering.cold.bytes", _some, "Bytes of the objects that the catalog knows"),
    Figure(
        "blobs_last_success_timestamp_seconds",
        "blobs.lastSuccessful",
        _moment,
        "When a collection of values outside last ended well",
    ),
    Figure("blobs_run_references", "blobs.progress.referred", float, "References that the run has read"),
    Figure("blobs_objects", "blobs.objects", _some, "Values that are outside"),
    Figure("blobs_bytes", "blobs.bytes", _some, "Bytes of these"),
    Figure("blobs_missing", "blobs.missing", float, "Values that rows refer to, and that are not there"),
    Figure("storage_days_left", "monitoring.storageDaysLeft", float, "Days until a volume is full, at the last pace"),
    Figure(
        "recommended_memory_bytes",
        "monitoring.recommended.memory",
        _bytes,
        "Memory that PostgreSQL should have, as its last day shows it",
    ),
    Figure(
        "recommended_connections",
        "monitoring.recommended.connections",
        float,
        "Connections that PostgreSQL should take, as its last day shows it",
    ),
    Figure("recovery_duration_seconds", "recovery.duration", _seconds, "How long the store's own recovery took"),
)


class Stores(Collector):
    """What the statuses of the stores say: each as it was last told, and nothing of those that are forgotten."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], Mapping[str, Any]] = {}

    def tell(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        self._told[namespace, name] = status

    def forget(self, namespace: str, name: str) -> None:
        self._told.pop((namespace, name), None)

    def forget_all(self) -> None:
        self._told.clear()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        conditions = GaugeMetricFamily(
            "checkpointstore_condition",
            "1 for the status and the reason that the store's condition has",
            labels=["namespace", "name", "type", "status", "reason"],
        )
        for store, status in self._told.items():
            for item in status["conditions"]:
                conditions.add_metric([*store, item["type"], item["status"], item["reason"]], 1)
        yield conditions
        for figure in FIGURES:
            family = GaugeMetricFamily(f"checkpointstore_{figure.name}", figure.meaning, labels=["namespace", "name"])
            for store, status in self._told.items():
                if (value := figure.of(status)) is not None:
                    family.add_metric(store, value)
            yield family
        yield from self._costs()

    def _costs(self) -> Iterable[GaugeMetricFamily]:
        """Parts add up to the whole; what is empty is in the part of the volumes already, the last is another whole."""
        labels = ["namespace", "name", "currency"]
        parts = GaugeMetricFamily("checkpointstore_cost_monthly", "What a part costs a month", labels=[*labels, "part"])
        empty = GaugeMetricFamily(
            "checkpointstore_cost_empty_monthly", "What is empty on the volumes costs a month", labels=labels
        )
        hot = GaugeMetricFamily(
            "checkpointstore_cost_without_tiering_monthly",
            "What all would cost a month if what is cold were on the volumes, about",
            labels=labels,
        )
        for store, status in self._told.items():
            cost = status.get("cost", {})
            for part in PARTS:
                if part in cost:
                    parts.add_metric([*store, cost["currency"], part], float(cost[part]))
            if "empty" in cost:
                empty.add_metric([*store, cost["currency"]], float(cost["empty"]))
            if WITHOUT in cost:
                hot.add_metric([*store, cost["currency"]], float(cost[WITHOUT]))
        yield parts
        yield empty
        yield hot


STORES = Stores()
REGISTRY.register(STORES)


class ApiCalls(Collector):
    """Requests to the Kubernetes API, read from the client's own counts."""

    def __init__(self, calls: Mapping[tuple[str, str, str], int]) -> None:
        self._calls = calls

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(
            "checkpointstore_api_requests", "Requests to the Kubernetes API", labels=["verb", "kind", "code"]
        )
        for key, count in self._calls.items():
            family.add_metric(list(key), count)
        yield family
