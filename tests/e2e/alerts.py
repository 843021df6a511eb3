"""Alerts as Prometheus tells them, while their causes come and go."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from demo import prometheus
from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e.figure import Figures

Which = tuple[str, str]
"""An alert without its prefix, and the store that it is about; empty for the operator."""
PREFIX = "CheckpointStore"
# Scraped, evaluated, and before that told by the operator: which looks at most things twice a minute.
LATE = 60


def rules(text: str) -> dict[str, dict[str, Any]]:
    """The rules of a rules file by their alerts, without the prefix."""
    listed = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return {rule["alert"].removeprefix(PREFIX): rule for rule in listed}


def hurried(text: str, waits: Mapping[str, str]) -> str:
    """A rules file whose alerts, but those without a `for`, wait only so long; the others as they are."""
    content = yaml.safe_load(text)
    for group in content["groups"]:
        for rule in group["rules"]:
            name = rule["alert"].removeprefix(PREFIX)
            if "for" in rule and name in waits:
                rule["for"] = waits[name]
    return str(yaml.safe_dump(content))


def seconds(wait: str) -> int:
    """What `for` says, in seconds."""
    return int(wait[:-1]) * {"s": 1, "m": 60, "h": 3600}[wait[-1]]


@dataclass
class Board:
    """What fires in one namespace, and how long after its cause."""

    kubectl: Kubectl
    namespace: str
    figures: Figures
    text: str
    """The rules that Prometheus has loaded."""
    kind: str
    """What figures are called by."""
    known: set[str] = field(default_factory=set)
    """The alerts that have fired, of all stores with a cause."""
    _caused: dict[Which, float] = field(default_factory=dict)
    _told: dict[Which, float] = field(default_factory=dict)
    _seen: set[Which] = field(default_factory=set)

    def caused(self, alert: str, name: str = "", told: float = 0) -> None:
        """What this alert is about begins now; its condition tells it after so many seconds."""
        self._caused[alert, name] = time.monotonic()
        self._told[alert, name] = told

    def fired(self, timeout: float, *alerts: str) -> None:
        """Wait until these have fired, or all that have a cause; how long each took is noted."""

        def left() -> set[Which]:
            self.look()
            return {which for which in self._caused if not alerts or which[0] in alerts} - self._seen

        wait_for("alerts to fire", lambda: not left(), timeout, every=1, seen=lambda: self._states(left()))

    def look(self) -> None:
        """Note what fires now and was not seen before."""
        for which in (self.firing() & set(self._caused)) - self._seen:
            took = time.monotonic() - self._caused[which]
            waits = seconds(rules(self.text)[which[0]].get("for", "0s"))
            self.figures.note(
                f"alert_{self.kind}_{which[0]}_{which[1]}".rstrip("_"),
                took,
                "s",
                f"<={waits + LATE + self._told[which]:g}",
            )
            # What has a condition for its cause begins when that is seen here, a moment after it was told.
            assert took > waits - 2, f"{which} fired before its time"
            self._seen.add(which)
            self.known.add(which[0])

    def ended(self, timeout: float, but: Iterable[str] = ()) -> None:
        """Wait until none fires any more of those that have, as their causes are gone."""
        left = {which for which in self._caused if which[0] not in but}
        with self.figures.timed(f"alerts_{self.kind}_{'_'.join(sorted(alert for alert, _ in left))}_end"):
            wait_for(
                "alerts to end", lambda: not self.firing() & left, timeout, every=1, seen=lambda: self._states(left)
            )
        for which in left:
            del self._caused[which]
            self._seen.discard(which)

    def firing(self) -> set[Which]:
        """What fires now, each with annotations that name its store."""
        found = set()
        for alert in self._alerts():
            labels = alert["labels"]
            name = labels.get("name", "")
            if alert["state"] == "firing" and labels.get("namespace", self.namespace) == self.namespace:
                assert f"{self.namespace}/{name}" in alert["annotations"]["summary"] or not name, alert
                found.add((labels["alertname"].removeprefix(PREFIX), name))
        return found

    def _alerts(self) -> list[dict[str, Any]]:
        def answer() -> list[dict[str, Any]] | None:
            with suppress(CommandFailed):
                return prometheus.alerts(self.kubectl)
            return None

        return wait_for("Prometheus to answer", answer, 30)

    def _states(self, which: Iterable[Which]) -> str:
        states = [f"{alert['labels']} {alert['state']} since {alert['activeAt']}" for alert in self._alerts()]
        return "\n".join([f"not yet: {sorted(which)}", *states])
