"""A Secret about blobs as it is mounted, a graph that reads a long document, and what its rows then weigh."""

import random
import sqlite3
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from psycopg import Connection

from localcluster.objectstore import BUCKET, REGION
from tests.integration.objectstore import Bucket

ROOT, FOLDER = "blobs", "shop/agents/uid"
DAY = 86400
LENGTHS = {
    "checkpoints": "octet_length(checkpoint::text) + octet_length(metadata::text)",
    "checkpoint_blobs": "octet_length(type) + coalesce(octet_length(blob), 0)",
    "checkpoint_writes": "octet_length(type) + octet_length(blob)",
}
SQLITE = {"checkpoints": "length(checkpoint) + length(metadata)", "writes": "length(value)"}


def mount(bucket: Bucket, folder: Path, **keys: object) -> Path:
    """A folder with the Secret's keys; those of an object store that is the tests'."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {
        "type": "s3",
        "provider": "checkpointstore",
        "bucket": BUCKET,
        "root": ROOT,
        "folder": FOLDER,
        "endpoint": bucket.endpoint,
        "region": REGION,
        "uri-style": "Path",
        "above": 65536,
        "grace": DAY,
        "ca.crt": (bucket.folder / "ca.crt").read_text(),
        **{path.name: path.read_text() for path in bucket.secrets.glob("AWS_*")},
        **keys,
    }
    for name, value in said.items():
        (folder / name).write_text(f"{value}")
    return folder


def objects(bucket: Bucket) -> dict[str, bytes]:
    """What is there, by its key."""
    root = bucket.data / ROOT
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def document(size: int, seed: int = 0) -> str:
    """Words, that many bytes."""
    return random.Random(seed).randbytes(size // 2 + 1).hex()[:size]


class Reading(TypedDict, total=False):
    document: str
    pages: list[str]
    turns: int


def reader(saver: BaseCheckpointSaver[Any]) -> Any:
    def read(state: Reading) -> Reading:
        return {"turns": state.get("turns", 0) + 1}

    return StateGraph(Reading).add_node("read", read).add_edge(START, "read").compile(checkpointer=saver)


def longest(connection: Connection[Any], where: str = "") -> dict[str, int]:
    """Bytes of each table's longest row, uncompressed, its ids left out."""
    found = {}
    for table, length in LENGTHS.items():
        row = connection.execute(f"SELECT coalesce(max({length}), 0) AS bytes FROM {table} {where}").fetchone()
        assert row is not None
        found[table] = int(row["bytes"])
    return found


def longest_of_sqlite(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        return {
            table: connection.execute(f"SELECT coalesce(max({length} + length(type)), 0) FROM {table}").fetchone()[0]
            for table, length in SQLITE.items()
        }
