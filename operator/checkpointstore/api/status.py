"""The schema of `.status`: what the operator tells, each number rounded for people."""

from typing import Any


def _object(description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": description, "properties": properties}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


_CONDITION = {
    "type": "object",
    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
    "properties": {
        "type": {**_text("Name of the condition, as docs/api.md lists them."), "maxLength": 64},
        "status": {
            "type": "string",
            "enum": ["True", "False", "Unknown"],
            "description": "Whether it is so.",
        },
        "reason": _text("One word for machines, as docs/api.md lists them."),
        "message": _text("What is going on and what to do."),
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "description": "The generation it speaks of.",
        },
        "lastTransitionTime": {
            "type": "string",
            "format": "date-time",
            "description": "When the status changed.",
        },
    },
}

STATUS: dict[str, Any] = _object(
    "What the operator last saw.",
    observedGeneration={
        "type": "integer",
        "format": "int64",
        "description": "The generation of the spec that this status speaks of.",
    },
    phase=_text(
        "One word for people: Pending, Progressing, Ready, Stalled, Paused, Hibernated. Conditions are the truth."
    ),
    conditions={
        "type": "array",
        "description": "Conditions by type.",
        "items": _CONDITION,
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    },
    binding=_object("The Secret that applications connect with.", name=_text("Its name.")),
    postgres=_object(
        "The PostgreSQL instances.",
        provider=_text("Who runs PostgreSQL."),
        version=_text("Version of the primary's server."),
        maxConnections=_number("Connections the server takes, as the schema Job read them."),
        primary=_text("The instance that leads."),
        instances=_number("Instances wanted."),
        readyInstances=_number("Instances ready."),
        volumeSize={**_text("Size that the instances' volumes were made with or grown to."), "maxLength": 32},
        timeline=_number("Timeline of the primary; every failover adds one."),
    ),
    schema=_object(
        "The tables that stand.",
        modules={
            "type": "array",
            "description": "Table sets by name.",
            "items": _object(
                "One table set.", name=_text("Its name."), version=_number("Version of its newest migration.")
            ),
            "x-kubernetes-list-type": "atomic",
        },
    ),
    pooler=_object("The pooler's pods.", instances=_number("Pods wanted."), readyInstances=_number("Pods ready.")),
)
