"""Compute resources and placement, in Kubernetes' own words, for every room whose pods a person may size and place."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from .fragment import Fragment
from .values import QUANTITY, mebibytes, quantity


def _a_quantity(value: str | int) -> str | int:
    quantity(value)
    return value


Quantity = Annotated[
    str | int,
    AfterValidator(_a_quantity),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY, "maxLength": 32}),
]
Open = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]


class Resources(Fragment):
    """Requests and limits of one container, as in a pod."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """Amounts the scheduler reserves, by resource name: cpu, memory."""
    limits: dict[str, Quantity] = Field(default_factory=dict)
    """Amounts the container may not exceed, by resource name: cpu, memory."""

    def manifest(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)

    def memory(self) -> int:
        """The memory to size for, in MiB: the limit, else the request, else 512."""
        amount = self.limits.get("memory") or self.requests.get("memory")
        return mebibytes(amount) if amount is not None else 512


class Scheduling(Fragment):
    """Where pods may run, as in a pod's spec."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels a node must have."""
    tolerations: list[Open] = Field(default_factory=list)
    """Taints the pods tolerate."""
    affinity: Open | None = None
    """Affinity besides the operator's own anti-affinity between instances, which `podAntiAffinity` in it replaces."""
    topology_spread_constraints: list[Open] = Field(default_factory=list)
    """Spread constraints that replace the operator's own spread over zones."""
    priority_class_name: str | None = None
    """PriorityClass of the pods."""


def placement(scheduling: Scheduling, selector: dict[str, str]) -> dict[str, Any]:
    """The placement part of a pod's spec: spread over nodes and zones as far as the cluster allows, unless told."""
    labels = {"matchLabels": selector}
    spread = scheduling.topology_spread_constraints or [
        {
            "topologyKey": "topology.kubernetes.io/zone",
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": labels,
        }
    ]
    affinity = {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "podAffinityTerm": {"labelSelector": labels, "topologyKey": "kubernetes.io/hostname"},
                }
            ]
        },
        **(scheduling.affinity or {}),
    }
    result: dict[str, Any] = {"affinity": affinity, "topologySpreadConstraints": spread}
    if scheduling.node_selector:
        result["nodeSelector"] = scheduling.node_selector
    if scheduling.tolerations:
        result["tolerations"] = scheduling.tolerations
    if scheduling.priority_class_name:
        result["priorityClassName"] = scheduling.priority_class_name
    return result
