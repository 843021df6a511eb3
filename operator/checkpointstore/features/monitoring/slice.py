"""The monitoring room's part of a plan: which thresholds are exceeded, and what the server should be given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...kernel.action import Emit
from ...kernel.condition import THRESHOLDS_EXCEEDED, Condition, Status
from ...kernel.contribution import Contribution
from ...kernel.observed import Findings
from ...kernel.prometheus import PrometheusServer
from .advice import Server
from .finding import DAYS, P99, WRITES, Watch, limits
from .question import MOST_DAYS, Whose
from .spec import Monitoring, Thresholds


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
    wanted = spec.thresholds
    named = frozenset(item.name for item in limits(wanted))
    known = frozenset(previous.get("exceeded", ())) & named
    # An operator that has just begun goes on with what another one has told.
    exceeded = findings.exceeded & named if findings else known
    watch = Watch(whose, prometheus, wanted, known, server) if prometheus else None
    return Contribution(
        actions=_news(wanted, exceeded, known) if wanted and prometheus else (),
        conditions=(_told(wanted, exceeded, findings, prometheus),) if wanted else (),
        status=_status(exceeded if wanted else None, findings) if prometheus else without(previous),
    ), watch


def without(previous: Mapping[str, Any]) -> dict[str, Any]:
    """The status where nobody looks: what was told is taken back."""
    return {"monitoring": None} if previous else {}


def _told(
    wanted: Thresholds, exceeded: frozenset[str], findings: Findings | None, prometheus: PrometheusServer | None
) -> Condition:
    if prometheus is None:
        message = "No Prometheus is known: set spec.pooler.autoscaling.prometheus.url, or the operator's prometheus.url"
        return Condition(THRESHOLDS_EXCEEDED, Status.UNKNOWN, "PrometheusMissing", message)
    if exceeded:
        first = next(said for name, said in _says(wanted).items() if name in exceeded)
        since = f". So it was when it could last be told: {findings.message}" if findings and findings.reason else ""
        return Condition(THRESHOLDS_EXCEEDED, Status.TRUE, first.reason, _text(wanted, exceeded) + since)
    if findings is None:
        return Condition(THRESHOLDS_EXCEEDED, Status.UNKNOWN, "Pending", "Nothing has been looked at yet")
    if findings.reason:
        return Condition(THRESHOLDS_EXCEEDED, Status.UNKNOWN, findings.reason, findings.message)
    return Condition(THRESHOLDS_EXCEEDED, Status.FALSE, "WithinThresholds", "No threshold is exceeded")


def _says(wanted: Thresholds) -> dict[str, Excess]:
    """The most urgent first; without figures of the moment, which would make another message each time."""
    time = wanted.sustained_for
    return {
        DAYS: Excess(
            "StorageRunsOut",
            f"at the pace of the last days a volume is full in less than {wanted.storage_days_left} days",
        ),
        P99: Excess("TooSlow", f"for {time}, the 99th percentile of put, put_writes or get was above {wanted.p99}"),
        WRITES: Excess("TooManyWrites", f"for {time}, more than {wanted.writes_per_second} rows a second were written"),
    }


def _text(wanted: Thresholds, exceeded: frozenset[str]) -> str:
    text = "; ".join(said.text for name, said in _says(wanted).items() if name in exceeded)
    return text[0].upper() + text[1:]


def _news(wanted: Thresholds, exceeded: frozenset[str], known: frozenset[str]) -> tuple[Emit, ...]:
    """What has come and what has gone is an event each."""
    came, went = exceeded - known, known - exceeded
    told = [Emit("Warning", "ThresholdExceeded", _text(wanted, came))] if came else []
    if went:
        told.append(Emit("Normal", "ThresholdKept", f"Within its threshold again: {', '.join(sorted(went))}"))
    return tuple(told)


def _status(exceeded: frozenset[str] | None, findings: Findings | None) -> dict[str, Any]:
    """What has not been looked at yet stays as it was."""
    told: dict[str, Any] = {"exceeded": None if exceeded is None else sorted(exceeded)}
    if findings is not None and findings.looked:
        days = findings.days
        told["storageDaysLeft"] = None if days is None or days >= MOST_DAYS else _two_digits(days)
        told["recommended"] = {
            "memory": None if findings.memory is None else f"{findings.memory}Mi",
            "connections": findings.connections,
        }
    return {"monitoring": told}


def _two_digits(number: float) -> int:
    """Of 10 and more, the first two digits."""
    return int(float(f"{number:.2g}")) if number >= 1 else 0
