"""Refused specs about how long threads stay, where they go, and what is too large for a row."""

from .refused import Refused

_BUCKET = {"objectStore": {"url": "s3://backups", "credentials": {"name": "bucket"}}}
_OUTSIDE = {**_BUCKET, "applicationCredentials": {"name": "agents"}}

CREATED = (
    Refused(
        "a limit that PostgreSQL could not keep",
        {"limits": {"checkpointSize": "1Gi"}},
        'spec.limits.checkpointSize: Invalid value: "object": checkpointSize must be from 1Ki to 500Mi: PostgreSQL '
        "cannot read what is larger in one piece",
    ),
    Refused(
        "a limit without a unit that is one",
        {"limits": {"checkpointSize": "64MB"}},
        'spec.limits.checkpointSize: Invalid value: "64MB": spec.limits.checkpointSize in body should match '
        "'^([0-9]+([.][0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$'",
    ),
    Refused(
        "values outside without a place",
        {"limits": {"externalize": {"applicationCredentials": {"name": "agents"}}}},
        "spec.limits.externalize.objectStore: Required value",
    ),
    Refused(
        "values outside that applications cannot reach",
        {"limits": {"externalize": _BUCKET}},
        "spec.limits.externalize.applicationCredentials: Required value",
    ),
    Refused(
        "values outside above a size that is none",
        {"limits": {"externalize": {**_OUTSIDE, "above": "100"}}},
        'spec.limits.externalize.above: Invalid value: "object": above must be from 1Ki to 500Mi',
    ),
    Refused(
        "retention that keeps everything",
        {"retention": {}},
        'spec.retention: Invalid value: "object": set at least one of history and deleteAfter',
    ),
    Refused(
        "a history without a measure",
        {"retention": {"history": {}}},
        'spec.retention.history: Invalid value: "object": set at least one of keepLast and keepFor',
    ),
    Refused(
        "threads that go before their history",
        {"retention": {"history": {"keepFor": "30d"}, "deleteAfter": "4w"}},
        'spec.retention.deleteAfter: Invalid value: "object": deleteAfter must not be shorter than history.keepFor',
    ),
    Refused(
        "minutes, or months, as m",
        {"retention": {"deleteAfter": "12m"}},
        'spec.retention.deleteAfter: Invalid value: "12m": spec.retention.deleteAfter in body should match '
        "'^[1-9][0-9]{0,3}[hdw]$'",
    ),
    Refused(
        "a thread that goes before it becomes cold",
        {"tiering": {**_BUCKET, "tiers": [{"name": "cold", "after": "90d"}]}, "retention": {"deleteAfter": "90d"}},
        'spec.retention.deleteAfter: Invalid value: "object": retention.deleteAfter must be longer than each '
        "tiering.tiers[].after: a thread would go before it gets there",
    ),
    Refused(
        "a thread that goes before it comes to the last tier",
        {
            "tiering": {**_BUCKET, "tiers": [{"name": "cold", "after": "90d"}, {"name": "frozen", "after": "400d"}]},
            "retention": {"deleteAfter": "52w"},
        },
        'spec.retention.deleteAfter: Invalid value: "object": retention.deleteAfter must be longer than each '
        "tiering.tiers[].after: a thread would go before it gets there",
    ),
    Refused(
        "more tiers than four",
        {"tiering": {**_BUCKET, "tiers": [{"name": f"tier-{day}", "after": f"{day}d"} for day in range(1, 6)]}},
        "spec.tiering.tiers: Too many: 5: must have at most 4 items",
    ),
    Refused(
        "tiers in another order than their times",
        {"tiering": {**_BUCKET, "tiers": [{"name": "frozen", "after": "400d"}, {"name": "cold", "after": "90d"}]}},
        'spec.tiering.tiers: Invalid value: "array": each tier needs a longer after than the one before it',
    ),
    Refused(
        "tiers that overlap",
        {"tiering": {**_BUCKET, "tiers": [{"name": "cold", "after": "14d"}, {"name": "frozen", "after": "2w"}]}},
        'spec.tiering.tiers: Invalid value: "array": each tier needs a longer after than the one before it',
    ),
    Refused(
        "two tiers of one name",
        {"tiering": {**_BUCKET, "tiers": [{"name": "cold", "after": "90d"}, {"name": "cold", "after": "400d"}]}},
        'spec.tiering.tiers: Invalid value: "array": each tier needs a name of its own',
    ),
    Refused(
        "a tier after a time that is negative",
        {"tiering": {**_BUCKET, "tiers": [{"name": "cold", "after": "-7d"}]}},
        'spec.tiering.tiers[0].after: Invalid value: "-7d": spec.tiering.tiers[0].after in body should match '
        "'^[1-9][0-9]{0,3}[hdw]$'",
    ),
    Refused(
        "tiering without a place",
        {"tiering": {"tiers": [{"name": "cold", "after": "7d"}]}},
        "spec.tiering.objectStore: Required value",
    ),
)

CHANGED = (
    Refused(
        "another place for values that are outside",
        {"limits": {"externalize": {**_OUTSIDE, "objectStore": {**_BUCKET["objectStore"], "url": "s3://elsewhere"}}}},
        'spec.limits.externalize.objectStore.url: Invalid value: "object": objectStore.url cannot change, as rows '
        "refer to what is there: copy it, then take externalize out and set it anew",
        before={"limits": {"externalize": _OUTSIDE}},
    ),
)
"""Refused as a change."""
