"""What the operator counts about itself, in Prometheus' format."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PASSES = Histogram(
    "checkpointstore_reconcile_duration_seconds", "Duration of one pass over one store", registry=REGISTRY
)
ERRORS = Counter("checkpointstore_reconcile_errors", "Failed passes by reason", ["reason"], registry=REGISTRY)
_CONDITIONS = Gauge(
    "checkpointstore_condition",
    "1 when the store's condition has the status that the label says",
    ["namespace", "name", "type", "status"],
    registry=REGISTRY,
)
_known: dict[tuple[str, str], set[tuple[str, str]]] = {}


def conditions(namespace: str, name: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Publish a store's conditions; the statuses it no longer has disappear."""
    now = {(str(item["type"]), str(item["status"])) for item in items}
    for gone in _known.get((namespace, name), set()) - now:
        _CONDITIONS.remove(namespace, name, *gone)
    for pair in now:
        _CONDITIONS.labels(namespace, name, *pair).set(1)
    _known[namespace, name] = now


def forget(namespace: str, name: str) -> None:
    conditions(namespace, name, ())
    del _known[namespace, name]


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
