"""What the postgres exporter of each instance is asked besides its own questions."""

import yaml

PORT = 9187
FILE = "queries.yaml"
_METRICS = {
    "waiting": ("GAUGE", "Segments of WAL that are not archived yet"),
    "waiting_seconds": ("GAUGE", "How long the oldest of them waits"),
    "failing": ("GAUGE", "Whether the last try failed"),
    "rate": ("GAUGE", "Bytes of WAL written a second since the last segment was archived"),
    "dropped_timestamp_seconds": ("GAUGE", "When WAL was last dropped because too much of it waited, 0 for never"),
    "cause": ("LABEL", "One word for why archiving fails"),
}
QUERIES = yaml.safe_dump(
    {
        "checkpointstore_archive": {
            "query": "SELECT * FROM checkpointstore.archiving()",
            "metrics": [{name: {"usage": use, "description": what}} for name, (use, what) in _METRICS.items()],
        }
    },
    sort_keys=False,
)
