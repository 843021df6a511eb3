"""Which tables are left alone, and what a person reads then."""

from dataclasses import replace

import pytest

from checkpointstore.features.schema import planner
from checkpointstore.features.schema.catalog import Catalog, Column, Table
from checkpointstore.features.schema.langgraph import shape
from checkpointstore.kernel.errors import Refused
from tests.unit.schema.facts import COMPLETE, INDEXES, PATRONI, TABLES, changed, plus, table, with_tables, without

CHECKPOINTS, BLOBS, WRITES = (TABLES[name] for name in (shape.CHECKPOINTS, shape.BLOBS, shape.WRITES))


def moved(name: str, **changes: str) -> Catalog:
    return replace(COMPLETE, indexes={**INDEXES, name: replace(INDEXES[name], **changes)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("catalog", "reason", "words"),
    [
        (with_tables(without(CHECKPOINTS, "checkpoint_id")), "ShallowSchema", "public.checkpoints"),
        (with_tables(without(BLOBS, "version")), "ShallowSchema", "public.checkpoint_blobs"),
        (replace(COMPLETE, versions=frozenset({3, 10})), "NewerSchema", "at version 10"),
        (with_tables(without(CHECKPOINTS, "metadata")), "UnknownSchema", "column metadata is missing"),
        (with_tables(changed(WRITES, "idx", type="bigint")), "UnknownSchema", "idx is bigint, not integer"),
        (with_tables(changed(WRITES, "type", required=True)), "UnknownSchema", "type must not be NULL"),
        (with_tables(plus(BLOBS, Column("tenant", "text", required=True))), "UnknownSchema", "tenant"),
        (with_tables(table(shape.WRITES, key=())), "UnknownSchema", "its primary key is ()"),
        (with_tables(table(shape.WRITES, plain=False)), "UnknownSchema", "not an ordinary table"),
        (moved("checkpoints_metadata_idx", body="btree (type)"), "UnknownSchema", "using btree (type)"),
        (moved("checkpoints_thread_id_idx", table="other"), "UnknownSchema", "it is on other"),
    ],
)
def test_refused(catalog: Catalog, reason: str, words: str) -> None:
    with pytest.raises(Refused, match="nothing was changed") as refused:
        planner.plan(PATRONI, catalog, "app_a")
    assert refused.value.reason == reason
    assert words in refused.value.message


@pytest.mark.parametrize(
    "harmless",
    [
        plus(CHECKPOINTS, Column("made", "timestamp with time zone", required=True, default="now()")),
        plus(CHECKPOINTS, Column("note", "text")),
        without(WRITES, "task_path"),
        changed(BLOBS, "blob", required=True),
    ],
)
def test_accepted(harmless: Table) -> None:
    planner.plan(PATRONI, with_tables(harmless), "app_a")
