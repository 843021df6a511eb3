"""The monitoring room's part of a plan: which thresholds are exceeded, and what the server should be given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...kernel.action import Emit
from ...kernel.condition import THRESHOLDS_EXCEEDED, Condition, Status
from ...kernel.contribution import Contribution
from ...kernel.observed import Findings
from ...kernel.prometheus import PrometheusServer
from ...kernel.values import bytes_text
from .advice import Server
from .finding import DAYS, P99, WRITES, Watch
from .question import MOST_DAYS, Whose
from .spec import Monitoring, Thresholds

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Excess:
    """What is told of a threshold that is exceeded."""

    reason: str
    text: str


def contribute(
    spec: Monitoring,
    whose: Whose,
    server: Server,
    prometheus: PrometheusServer | None,
    findings: Findings | None,
    previous: Mapping[str, Any],
) -> tuple[Contribution, Watch | None]:
    """The contribution, and what is to be looked after; `previous` is the monitoring's last status."""
    limits, known = spec.thresholds, frozenset(previous.get("exceeded", ()))
    watch = Watch(whose, prometheus, limits, known, server) if prometheus else None
    return Contribution(
        actions=_news(limits, findings, known) if limits and findings else (),
        conditions=(_told(limits, findings, prometheus),) if limits else (),
        status=_status(limits, findings) if prometheus else without(previous),
    ), watch


def without(previous: Mapping[str, Any]) -> dict[str, Any]:
    """The status where nobody looks: what was told is taken back."""
    return {"monitoring": None} if previous else {}


def _told(limits: Thresholds, findings: Findings | None, prometheus: PrometheusServer | None) -> Condition:
    if prometheus is None:
        message = "No Prometheus is known: set spec.pooler.autoscaling.prometheus.url, or the operator's prometheus.url"
        return Condition(THRESHOLDS_EXCEEDED, Status.UNKNOWN, "PrometheusMissing", message)
    if findings is None:
        return Condition(THRESHOLDS_EXCEEDED, Status.UNKNOWN, "Pending", "Nothing has been looked at yet")
    if findings.exceeded:
        first = next(said for name, said in _says(limits).items() if name in findings.exceeded)
        return Condition(THRESHOLDS_EXCEEDED, Status.TRUE, first.reason, _text(limits, findings.exceeded))
    if findings.reason:
        return Condition(THRESHOLDS_EXCEEDED, Status.UNKNOWN, findings.reason, findings.message)
    return Condition(THRESHOLDS_EXCEEDED, Status.FALSE, "WithinThresholds", "No threshold is exceeded")


def _says(limits: Thresholds) -> dict[str, Excess]:
    """The most urgent first; without figures of the moment, which would make another message each time."""
    time = limits.sustained_for
    return {
        DAYS: Excess(
            "StorageRunsOut",
            f"at the pace of the last days a volume is full in less than {limits.storage_days_left} days",
        ),
        P99: Excess("TooSlow", f"for {time}, the 99th percentile of put, put_writes or get was above {limits.p99}"),
        WRITES: Excess("TooManyWrites", f"for {time}, more than {limits.writes_per_second} rows a second were written"),
    }


def _text(limits: Thresholds, exceeded: frozenset[str]) -> str:
    text = "; ".join(said.text for name, said in _says(limits).items() if name in exceeded)
    return text[0].upper() + text[1:]


def _news(limits: Thresholds, findings: Findings, known: frozenset[str]) -> tuple[Emit, ...]:
    """What has come and what has gone is an event each."""
    came, went = findings.exceeded - known, known - findings.exceeded
    told = [Emit("Warning", "ThresholdExceeded", _text(limits, came))] if came else []
    if went:
        told.append(Emit("Normal", "ThresholdKept", f"Within its threshold again: {', '.join(sorted(went))}"))
    return tuple(told)


def _status(limits: Thresholds | None, findings: Findings | None) -> dict[str, Any]:
    """What has not been looked at yet stays as it was."""
    if findings is None:
        return {}
    days = findings.days
    told = {
        "exceeded": sorted(findings.exceeded) if limits else None,
        "storageDaysLeft": None if days is None or days >= MOST_DAYS else _two_digits(days),
        "recommended": {
            "memory": None if findings.memory is None else bytes_text(findings.memory * _MIB),
            "connections": findings.connections,
        },
    }
    return {"monitoring": told}


def _two_digits(number: float) -> int:
    """Of 10 and more, the first two digits."""
    return int(float(f"{number:.2g}")) if number >= 1 else 0
