"""Catalogs as the planners' tests begin with them: nothing there, or everything as an undisturbed Job leaves it."""

from dataclasses import replace

from checkpointstore.features.schema.access.planner import ARCHIVING, LOOKUP, METRICS, WRITE
from checkpointstore.features.schema.catalog import Admin, Catalog, Column, Database, Ground, Index, Role, Server, Table
from checkpointstore.features.schema.langgraph import shape
from checkpointstore.features.schema.request import Provider, Request

PATRONI = Request(store="shop/agents", provider=Provider.PATRONI, host="agents-rw.shop.svc")
EXTERNAL = Request(store="shop/agents", provider=Provider.EXTERNAL)
MARK = PATRONI.mark
NOTHING = Catalog()
DBA = Admin(name="dba", superuser=False, createrole=True, acts_as_owner=False)


def table(name: str, **changes: object) -> Table:
    """One of our tables, complete; `changes` as for dataclasses.replace."""
    compressed = {column for on, column in shape.COMPRESSED if on == name}
    columns = tuple(
        replace(
            column,
            compression="lz4" if column.name in compressed else "",
            distinct="1" if (name, column.name) == (shape.BLOBS, "checkpoint_ns") else "",
        )
        for column in shape.COLUMNS[name].values()
    )
    versions = name == shape.VERSIONS
    granted = frozenset({"SELECT"}) if versions else WRITE
    whole = Table(name, "app_owner", columns, shape.KEYS[name], True, {} if versions else dict(shape.OPTIONS), granted)
    return replace(whole, **changes)  # type: ignore[arg-type]


def without(original: Table, column: str) -> Table:
    return replace(original, columns=tuple(item for item in original.columns if item.name != column))


def changed(original: Table, column: str, **changes: object) -> Table:
    return replace(
        original,
        columns=tuple(
            replace(item, **changes) if item.name == column else item  # type: ignore[arg-type]
            for item in original.columns
        ),
    )


def plus(original: Table, column: Column) -> Table:
    return replace(original, columns=(*original.columns, column))


TABLES = {name: table(name) for name in shape.TABLES}
INDEXES = {name: Index(name, on, body) for name, (on, body) in shape.INDEXES.items()}
ROLES = {
    "app_owner": Role("app_owner", mark=MARK),
    "app": Role("app", mark=MARK),
    "app_a": Role("app_a", login=True, groups=frozenset({"app"}), wears="app", plans="auto", mark=MARK, verifier="v"),
    "pooler": Role("pooler", login=True, mark=MARK),
    "monitoring": Role("monitoring", login=True, groups=frozenset({"pg_monitor"}), mark=MARK),
}
COMPLETE = Catalog(
    server=Server(),
    admin=Admin(),
    roles=ROLES,
    database=Database("app", "app_owner", connect=frozenset({"app", "pooler", "monitoring"})),
    ground=Ground(
        True, True, WRITE, LOOKUP, ARCHIVING, METRICS, versions_expected=1, extensions=frozenset({"pg_stat_statements"})
    ),
    tables=TABLES,
    indexes=INDEXES,
    versions=frozenset(range(10)),
)


def with_tables(*tables: Table) -> Catalog:
    return replace(COMPLETE, tables={**TABLES, **{item.name: item for item in tables}})
