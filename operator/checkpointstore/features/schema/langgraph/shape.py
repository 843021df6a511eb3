"""What the tables look like to a stock saver at the version we know; other shapes are left alone."""

from ....kernel.errors import Refused
from ..catalog import Catalog, Column, Table

VERSION = 9
"""The last migration of langgraph-checkpoint-postgres 3.2.0."""
VERSIONS = "checkpoint_migrations"
CHECKPOINTS = "checkpoints"
BLOBS = "checkpoint_blobs"
WRITES = "checkpoint_writes"
TABLES = (VERSIONS, CHECKPOINTS, BLOBS, WRITES)
ADDED_LATER = {(WRITES, "task_path")}
RELAXED_LATER = {(BLOBS, "blob")}


def _columns(required: str, optional: str = "", **other: str) -> dict[str, Column]:
    """Columns by name, of type text where `other` names no type."""
    return {
        name: Column(name, other.get(name, "text"), required=name in required.split())
        for name in f"{required} {optional}".split()
    }


COLUMNS = {
    VERSIONS: _columns("v", v="integer"),
    CHECKPOINTS: _columns(
        "thread_id checkpoint_ns checkpoint_id checkpoint metadata",
        "parent_checkpoint_id type",
        checkpoint="jsonb",
        metadata="jsonb",
    ),
    BLOBS: _columns("thread_id checkpoint_ns channel version type", "blob", blob="bytea"),
    WRITES: _columns(
        "thread_id checkpoint_ns checkpoint_id task_id idx channel blob task_path",
        "type",
        idx="integer",
        blob="bytea",
    ),
}
KEYS = {
    VERSIONS: ("v",),
    CHECKPOINTS: ("thread_id", "checkpoint_ns", "checkpoint_id"),
    BLOBS: ("thread_id", "checkpoint_ns", "channel", "version"),
    WRITES: ("thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx"),
}
INDEXES = {
    "checkpoints_thread_id_idx": (CHECKPOINTS, "btree (thread_id)"),
    "checkpoint_blobs_thread_id_idx": (BLOBS, "btree (thread_id)"),
    "checkpoint_writes_thread_id_idx": (WRITES, "btree (thread_id)"),
    "checkpoints_metadata_idx": (CHECKPOINTS, "gin (metadata jsonb_path_ops) WITH (fastupdate=off)"),
    "checkpoints_checkpoint_id_idx": (CHECKPOINTS, "btree (checkpoint_id DESC)"),
}
COMPRESSED = ((CHECKPOINTS, "checkpoint"), (BLOBS, "blob"), (WRITES, "blob"))
"""The saver puts top-level strings into the checkpoint itself, so it can be as large as a blob."""
OPTIONS = {
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
}


def check(catalog: Catalog) -> None:
    """Raise Refused for tables that are not a stock PostgresSaver's of a version up to ours."""
    tables = [catalog.tables[name] for name in TABLES if name in catalog.tables]
    for table in tables:
        if table.plain and _shallow(table):
            raise Refused(
                "ShallowSchema",
                f"public.{table.name} has the shape of ShallowPostgresSaver, which PostgresSaver cannot use; "
                "nothing was changed. Use another database, or rename these tables to keep them aside",
            )
    newest = max(catalog.versions, default=0)
    if newest > VERSION:
        raise Refused(
            "NewerSchema",
            f"the checkpoint tables are at version {newest} and this operator knows up to {VERSION}; "
            "nothing was changed. Upgrade the operator",
        )
    for table in tables:
        for problem in _problems(table):
            raise _unknown(f"public.{table.name}: {problem}")
    for name, (on, body) in INDEXES.items():
        index = catalog.indexes.get(name)
        if index and (index.table, index.body) != (on, body):
            found = f"it is on {index.table} using {index.body}"
            raise _unknown(f"index {name}: {found}, not on {on} using {body}")


def _shallow(table: Table) -> bool:
    mark = {CHECKPOINTS: "checkpoint_id", BLOBS: "version"}.get(table.name)
    return mark is not None and table.column("thread_id") is not None and table.column(mark) is None


def _problems(table: Table) -> list[str]:
    if not table.plain:
        return ["it is not an ordinary table"]
    wanted = COLUMNS[table.name]
    found = {column.name: column for column in table.columns}
    missing = [name for name in wanted if name not in found and (table.name, name) not in ADDED_LATER]
    problems = [f"column {name} is missing" for name in missing]
    problems += [
        problem for column in table.columns if (problem := _column_problem(table.name, column, wanted.get(column.name)))
    ]
    if table.key != KEYS[table.name]:
        problems.append(f"its primary key is ({', '.join(table.key)})")
    return problems


def _column_problem(table: str, column: Column, wanted: Column | None) -> str:
    """Columns that others added are fine as long as a saver's insert still works."""
    if wanted is None:
        unknown = column.required and not column.default
        return f"column {column.name} is not known and has to be given" if unknown else ""
    if column.type != wanted.type:
        return f"column {column.name} is {column.type}, not {wanted.type}"
    if column.required and not wanted.required and (table, column.name) not in RELAXED_LATER:
        return f"column {column.name} must not be NULL"
    return ""


def _unknown(problem: str) -> Refused:
    return Refused("UnknownSchema", f"{problem}; nothing was changed. Put it right, or use another database")
