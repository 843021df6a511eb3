"""From what the catalog says of the checkpoint tables to the statements that are missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..access.planner import READ, WRITE, share, take
from ..catalog import Catalog
from ..request import Provider, Request
from ..script import load
from ..step import Step
from .shape import BLOBS, CHECKPOINTS, COMPRESSED, INDEXES, OPTIONS, TABLES, VERSION, VERSIONS, WRITES

STORAGE = load(__package__, "80_storage.sql")
EXTRAS = load(__package__, "90_indexes.sql")
RECORD = load(__package__, "00_checkpoint_migrations.sql")
LIMIT = load(__package__, "95_limit.sql")
LIMITED = "checkpointstore limit 1"
"""Raise the number with the functions' texts."""
PARTS = 4096
SQUATTED = "drop public.checkpointstore_limit() and public.checkpointstore_large(), which another role has made"


@dataclass(frozen=True, slots=True)
class Migration:
    """One of upstream's, by its number; `stands` says whether its effect is there, whoever made it."""

    version: int
    name: str
    stands: Callable[[Catalog], bool]
    index: bool = False

    @property
    def sql(self) -> str:
        return load(__package__, f"{self.version:02}_{self.name}.sql").sql("migrate")


def _table(name: str) -> Callable[[Catalog], bool]:
    return lambda catalog: name in catalog.tables


def _index(name: str) -> Callable[[Catalog], bool]:
    return lambda catalog: name in catalog.indexes and catalog.indexes[name].valid


def _blob_may_be_null(catalog: Catalog) -> bool:
    blob = catalog.column(BLOBS, "blob")
    return blob is None or not blob.required


def _has_task_path(catalog: Catalog) -> bool:
    return catalog.column(WRITES, "task_path") is not None


MIGRATIONS = (
    Migration(0, VERSIONS, _table(VERSIONS)),
    Migration(1, CHECKPOINTS, _table(CHECKPOINTS)),
    Migration(2, BLOBS, _table(BLOBS)),
    Migration(3, WRITES, _table(WRITES)),
    Migration(4, "blob_may_be_null", _blob_may_be_null),
    Migration(5, "nothing", lambda catalog: True),
    Migration(6, "checkpoints_thread_id_idx", _index("checkpoints_thread_id_idx"), index=True),
    Migration(7, "checkpoint_blobs_thread_id_idx", _index("checkpoint_blobs_thread_id_idx"), index=True),
    Migration(8, "checkpoint_writes_thread_id_idx", _index("checkpoint_writes_thread_id_idx"), index=True),
    Migration(VERSION, "task_path", _has_task_path),
)
EXTRA_INDEXES = ("checkpoints_metadata_idx", "checkpoints_checkpoint_id_idx")


def awaits(catalog: Catalog) -> str:
    """An index that somebody builds right now is invalid too, and must not be dropped under them."""
    return next((f"another session builds {name}" for name in INDEXES if _found(catalog, name, building=True)), "")


def steps(request: Request, catalog: Catalog) -> Iterator[Step]:
    """Statements in upstream's order: an application whose setup() meets us halfway reads a true version."""
    names = request.roles
    for name in TABLES:
        if name in catalog.tables:
            yield from take(names, catalog, catalog.tables[name])
    for migration in MIGRATIONS:
        yield from _migrate(catalog, migration)
    for name in EXTRA_INDEXES:
        yield from _build(catalog, name, EXTRAS.sql(name))
    yield from _tune(catalog)
    yield from _look_up(request, catalog)
    for name in TABLES:
        if name in catalog.tables:
            yield from share(names, catalog.tables[name], READ if name == VERSIONS else WRITE)
    yield from _limit(request.limit, catalog)


def _limit(most: int, catalog: Catalog) -> Iterator[Step]:
    """Triggers for `most` bytes a checkpoint, or none."""
    mark = f"{LIMITED} {most}" if most else ""
    if mark == catalog.ground.limit:
        return
    if not mark:
        yield Step("lift the limit on checkpoints", LIMIT.sql("lift"), as_owner=True, needs=SQUATTED)
        return
    sql = LIMIT.sql("limit", limit=str(most), large=str(max(1, most // PARTS)), mark=mark)
    yield Step(f"limit checkpoints to {most} bytes", sql, as_owner=True, needs=SQUATTED)


def _migrate(catalog: Catalog, migration: Migration) -> Iterator[Step]:
    """The effect and its row are one transaction, except for an index, which cannot be in one."""
    version, stands = migration.version, migration.stands(catalog)
    name = f"LangGraph {version}: {migration.name}"
    record = RECORD.sql("record", version=str(version))
    if migration.index:
        yield from _build(catalog, migration.name, migration.sql)
    elif not stands:
        yield Step(name, f"{migration.sql};\n{record}", as_owner=True)
        return
    if version not in catalog.versions:
        yield Step(f"{name}, record", record, as_owner=True)


def _build(catalog: Catalog, name: str, sql: str) -> Iterator[Step]:
    if _index(name)(catalog):
        return
    if _found(catalog, name):
        yield Step(f"drop invalid index {name}", EXTRAS.sql("drop", index=name), as_owner=True, alone=True)
    yield Step(f"build index {name}", sql, as_owner=True, alone=True)


def _found(catalog: Catalog, name: str, building: bool = False) -> bool:
    index = catalog.indexes.get(name)
    return index is not None and not index.valid and index.building >= building


def _tune(catalog: Catalog) -> Iterator[Step]:
    for table, column in COMPRESSED:
        found = catalog.column(table, column)
        if catalog.server.lz4 and (found is None or found.compression != "lz4"):
            sql = STORAGE.sql("compress", table=table, column=column)
            yield Step(f"compress {table}.{column}", sql, as_owner=True)
    for table in (CHECKPOINTS, BLOBS, WRITES):
        options = catalog.tables[table].options if table in catalog.tables else {}
        if not OPTIONS.items() <= options.items():
            yield Step(f"tune vacuum of {table}", STORAGE.sql("vacuum", table=table, **OPTIONS), as_owner=True)


def _look_up(request: Request, catalog: Catalog) -> Iterator[Step]:
    """A checkpoint's values are found by their keys, whatever else there is of the thread."""
    namespace = catalog.column(BLOBS, "checkpoint_ns")
    if namespace is None or namespace.distinct != "1":
        yield Step("count namespaces of values as one", STORAGE.sql("namespaces"), as_owner=True)
    # Of a server of our own only: PostgreSQL's functions are its superuser's, and everybody's in the database.
    if request.provider is Provider.PATRONI and catalog.ground.versions_expected != 1:
        yield Step("expect one value of a checkpoint", STORAGE.sql("expect"))
