"""How far a Job is, for the operator, which asks its pod."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge, start_http_server

PORT = "CHECKPOINTSTORE_PROGRESS_PORT"
_REGISTRY = CollectorRegistry()
_TOLD = Gauge("checkpointstore_run", "How far the run is", ["figure"], registry=_REGISTRY)


def tell(**figures: int) -> None:
    for name, count in figures.items():
        _TOLD.labels(name).set(count)


def serve(environ: Mapping[str, str]) -> None:
    """From a thread that ends with the process; not at all where no port is given."""
    if port := environ.get(PORT):
        start_http_server(int(port), registry=_REGISTRY)
