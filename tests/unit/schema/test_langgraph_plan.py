"""Which statements the checkpoint tables still need, from what the catalog says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.postgres import PostgresSaver

from checkpointstore.features.schema import planner
from checkpointstore.features.schema.access.planner import WRITE
from checkpointstore.features.schema.catalog import Catalog, Index, Server, Table
from checkpointstore.features.schema.langgraph import shape
from checkpointstore.features.schema.langgraph.planner import MIGRATIONS
from checkpointstore.features.schema.script import load
from tests.unit.schema.facts import COMPLETE, EXTERNAL, INDEXES, PATRONI, TABLES, changed, table, with_tables, without


def plan(catalog: Catalog) -> list[str]:
    return [step.name for step in planner.plan(PATRONI, catalog, "app_a").steps]


BARE = replace(COMPLETE, tables={}, indexes={}, versions=frozenset())


def test_a_complete_catalog_needs_nothing() -> None:
    assert planner.plan(PATRONI, COMPLETE, "app_a").done


def test_from_nothing_in_upstreams_order() -> None:
    assert plan(BARE) == [
        "LangGraph 0: checkpoint_migrations",
        "LangGraph 1: checkpoints",
        "LangGraph 2: checkpoint_blobs",
        "LangGraph 3: checkpoint_writes",
        "LangGraph 4: blob_may_be_null, record",
        "LangGraph 5: nothing, record",
        "build index checkpoints_thread_id_idx",
        "LangGraph 6: checkpoints_thread_id_idx, record",
        "build index checkpoint_blobs_thread_id_idx",
        "LangGraph 7: checkpoint_blobs_thread_id_idx, record",
        "build index checkpoint_writes_thread_id_idx",
        "LangGraph 8: checkpoint_writes_thread_id_idx, record",
        "LangGraph 9: task_path",
        "build index checkpoints_metadata_idx",
        "build index checkpoints_checkpoint_id_idx",
        "compress checkpoints.checkpoint",
        "compress checkpoint_blobs.blob",
        "compress checkpoint_writes.blob",
        "tune vacuum of checkpoints",
        "tune vacuum of checkpoint_blobs",
        "tune vacuum of checkpoint_writes",
        "count namespaces of values as one",
    ]


def test_a_migration_and_its_row_are_one_transaction_and_an_index_is_alone() -> None:
    steps = {step.name: step for step in planner.plan(PATRONI, BARE, "app_a").steps}
    task_path = steps["LangGraph 9: task_path"]
    assert task_path.sql == (
        "ALTER TABLE public.checkpoint_writes ADD COLUMN task_path TEXT NOT NULL DEFAULT '';\n"
        "INSERT INTO public.checkpoint_migrations (v) VALUES ('9') ON CONFLICT (v) DO NOTHING"
    )
    assert not task_path.alone
    assert all(step.alone == step.name.startswith("build index") for step in steps.values())
    assert all(step.as_owner for step in steps.values())


def test_we_know_as_many_migrations_as_the_pinned_saver() -> None:
    assert len(MIGRATIONS) == len(PostgresSaver.MIGRATIONS) == shape.VERSION + 1
    assert [migration.version for migration in MIGRATIONS] == list(range(shape.VERSION + 1))


def test_upstreams_empty_migration_is_kept_as_a_file() -> None:
    assert load("checkpointstore.features.schema.langgraph", "05_nothing.sql").sql("migrate") == "SELECT 1"


@pytest.mark.parametrize(
    ("reason", "catalog", "wanted"),
    [
        (
            "the table of versions lost a row",
            replace(COMPLETE, versions=frozenset(range(9))),
            ["LangGraph 9: task_path, record"],
        ),
        (
            "an old blob column is NOT NULL",
            with_tables(changed(TABLES[shape.BLOBS], "blob", required=True)),
            ["LangGraph 4: blob_may_be_null"],
        ),
        (
            "an old table has no task_path",
            with_tables(without(TABLES[shape.WRITES], "task_path")),
            ["LangGraph 9: task_path"],
        ),
        (
            "a build was cut off",
            replace(
                COMPLETE,
                indexes={
                    **INDEXES,
                    "checkpoints_metadata_idx": replace(INDEXES["checkpoints_metadata_idx"], valid=False),
                },
            ),
            ["drop invalid index checkpoints_metadata_idx", "build index checkpoints_metadata_idx"],
        ),
        (
            "an index of upstream's was never built",
            replace(COMPLETE, indexes={k: v for k, v in INDEXES.items() if k != "checkpoints_thread_id_idx"}),
            ["build index checkpoints_thread_id_idx"],
        ),
        (
            "somebody else owns a table",
            with_tables(table(shape.CHECKPOINTS, owner="legacy")),
            ["take over table checkpoints"],
        ),
        (
            "the application's grants are gone",
            with_tables(table(shape.CHECKPOINTS, granted=frozenset())),
            ["grant write on checkpoints"],
        ),
        (
            "the application could move the version",
            with_tables(table(shape.VERSIONS, granted=WRITE)),
            ["grant read on checkpoint_migrations"],
        ),
        (
            "vacuum has the server's defaults",
            with_tables(table(shape.WRITES, options={})),
            ["tune vacuum of checkpoint_writes"],
        ),
        (
            "namespaces of subgraphs would be counted",
            with_tables(changed(TABLES[shape.BLOBS], "checkpoint_ns", distinct="")),
            ["count namespaces of values as one"],
        ),
        (
            "values would be found by reading the whole thread",
            replace(COMPLETE, ground=replace(COMPLETE.ground, versions_expected=100)),
            ["expect one value of a checkpoint"],
        ),
        (
            "blobs are stored with pglz",
            with_tables(changed(TABLES[shape.BLOBS], "blob", compression="pglz")),
            ["compress checkpoint_blobs.blob"],
        ),
        (
            "a server built without lz4 is not asked for it",
            replace(with_tables(changed(TABLES[shape.BLOBS], "blob", compression="")), server=Server(lz4=False)),
            [],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_what_is_missing(reason: str, catalog: Catalog, wanted: list[str]) -> None:
    assert plan(catalog) == wanted, reason


@pytest.mark.parametrize(
    ("now", "limit", "wanted"),
    [
        ("", 0, []),
        ("", 65536, ["limit checkpoints to 65536 bytes"]),
        ("checkpointstore limit 1 65536", 65536, []),
        ("checkpointstore limit 1 65536", 1024, ["limit checkpoints to 1024 bytes"]),
        ("checkpointstore limit 0 65536", 65536, ["limit checkpoints to 65536 bytes"]),
        ("checkpointstore limit 1 65536", 0, ["lift the limit on checkpoints"]),
    ],
)
def test_a_limit_is_made_changed_and_lifted(now: str, limit: int, wanted: list[str]) -> None:
    catalog = replace(COMPLETE, ground=replace(COMPLETE.ground, limit=now))
    request = PATRONI.model_copy(update={"limit": limit})
    assert [step.name for step in planner.plan(request, catalog, "app_a").steps] == wanted


def test_the_least_limit_counts_every_value() -> None:
    request = PATRONI.model_copy(update={"limit": 1024})
    (step,) = planner.plan(request, COMPLETE, "app_a").steps
    assert "octet_length(NEW.blob) >= '1'::integer" in step.sql


def test_functions_of_somebody_elses_server_are_left_alone() -> None:
    catalog = replace(COMPLETE, ground=replace(COMPLETE.ground, versions_expected=100))
    assert planner.plan(EXTERNAL, catalog, "app_a").done


def test_an_index_that_is_being_built_is_waited_for() -> None:
    building = replace(INDEXES["checkpoints_thread_id_idx"], valid=False, building=True)
    catalog = replace(COMPLETE, indexes={**INDEXES, building.name: building})
    found = planner.plan(PATRONI, catalog, "app_a")
    assert (found.steps, found.awaits) == ((), "another session builds checkpoints_thread_id_idx")
    assert not found.done


@given(
    missing_tables=st.sets(st.sampled_from(shape.TABLES)),
    missing_indexes=st.sets(st.sampled_from(sorted(shape.INDEXES))),
    versions=st.frozensets(st.integers(0, 9)),
)
def test_from_any_state_every_gap_is_planned_once_and_nothing_else(
    missing_tables: set[str], missing_indexes: set[str], versions: frozenset[int]
) -> None:
    tables = {name: item for name, item in TABLES.items() if name not in missing_tables}
    gone = missing_indexes | {name for name, (on, _) in shape.INDEXES.items() if on in missing_tables}
    indexes: dict[str, Index] = {name: item for name, item in INDEXES.items() if name not in gone}
    names = plan(replace(COMPLETE, tables=tables, indexes=indexes, versions=versions))
    assert len(names) == len(set(names))
    made = {name.removeprefix("build index ") for name in names if name.startswith("build index")}
    assert made == gone
    created = {name.split(": ")[1] for name in names if name.startswith("LangGraph") and ", " not in name}
    assert created - {"task_path"} == missing_tables
    recorded = {int(name.split()[1].rstrip(":")) for name in names if name.startswith("LangGraph")}
    assert recorded >= set(range(10)) - versions


def test_a_table_finds_its_columns() -> None:
    assert Table("t", "o").column("c") is None
