"""Roles, database and grants: from what the catalog says to the statements that are missing."""

from collections.abc import Iterator

from ....kernel.errors import Refused
from ..catalog import Catalog, Table
from ..request import Provider, Request, Roles
from ..script import load
from ..step import MAY_CREATE_ROLES, Step

ROLES = load(__package__, "10_roles.sql")
DATABASE = load(__package__, "20_database.sql")
GROUND = load(__package__, "30_ground.sql")
POOLER = load(__package__, "40_pooler.sql")
ARCHIVE = load(__package__, "45_archiving.sql")
METRIC = load(__package__, "46_metrics.sql")
TABLE = load(__package__, "50_table.sql")

READ = frozenset({"SELECT"})
WRITE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
LOOKUP = "checkpointstore lookup 2"
ARCHIVING = "checkpointstore archiving 4"
METRICS = "checkpointstore metrics 2"
"""Raise the numbers with the functions' texts: a function that is marked otherwise is replaced."""


def check(request: Request, catalog: Catalog, username: str) -> None:
    """Raise Refused where roles are not ours to touch, or this admin cannot make them."""
    if request.provider is Provider.PATRONI:
        return
    if catalog.server.version < 140000:
        raise Refused("UnsupportedVersion", f"PostgreSQL {catalog.server.text}: 14 is the oldest that works")
    admin = catalog.admin
    if not (admin.superuser or admin.createrole):
        raise Refused("InsufficientPrivilege", f"{admin.name} may not make roles: {_create_roles(catalog)}")
    for name in (request.roles.owner, request.roles.group, username, *request.retire):
        role = catalog.roles.get(name)
        if role and role.mark != request.mark:
            raise Refused(
                "RoleTaken",
                f"role {name} exists and is not this store's; drop it, or let it be this store's with "
                f"COMMENT ON ROLE \"{name}\" IS '{request.mark}'",
            )


def roles(request: Request, catalog: Catalog, username: str) -> Iterator[Step]:
    """The roles and who belongs to whom; the application's login cannot log in yet."""
    names, mark = request.roles, request.mark
    needs = _create_roles(catalog)
    kinds = {names.owner: "create_role", names.group: "create_role", username: "create_role"}
    if request.provider is Provider.PATRONI:
        kinds |= {names.pooler: "create_certificate_login", names.monitoring: "create_certificate_login"}
    for name, kind in kinds.items():
        if name not in catalog.roles:
            yield Step(f"create role {name}", ROLES.sql(kind, role=name, mark=mark), needs=needs)
    memberships = [(username, names.group)]
    if request.provider is Provider.PATRONI:
        memberships.append((names.monitoring, "pg_monitor"))
    for name, group in memberships:
        role = catalog.roles.get(name)
        if role is None or group not in role.groups:
            yield Step(f"grant {group} to {name}", ROLES.sql("join", role=name, group=group), needs=needs)
    role = catalog.roles.get(username)
    if role is None or role.wears != names.group:
        wear = ROLES.sql("wear", role=username, group=names.group)
        yield Step(f"let {username} act as {names.group}", wear, needs=needs)
    if role is None or not role.plans:
        yield Step(f"let {username} plan by values", ROLES.sql("plan", role=username), needs=needs)
    if not (catalog.admin.superuser or catalog.admin.acts_as_owner):
        yield Step(f"join {names.owner}", ROLES.sql("become", owner=names.owner), needs=needs)


def database(request: Request, catalog: Catalog) -> Iterator[Step]:
    """The store's own database, where the server is the store's own."""
    names, name, now = request.roles, request.database, catalog.database
    if now is None:
        sql = DATABASE.sql("create", database=name, owner=names.owner)
        yield Step(f"create database {name}", sql, alone=True)
    elif now.owner != names.owner:
        yield Step(f"own database {name}", DATABASE.sql("own", database=name, owner=names.owner))
    if now is None or now.public:
        yield Step(f"close database {name}", DATABASE.sql("close", database=name))
    for role in (names.group, names.pooler, names.monitoring):
        if now is None or now.public or role not in now.connect:
            connect = DATABASE.sql("connect", database=name, role=role)
            yield Step(f"let {role} connect", connect)


def archiving(request: Request, catalog: Catalog, where: str) -> Iterator[Step]:
    """What the exporter asks of the server's archiving, in any database that it may be connected to."""
    if catalog.ground.archiving != ARCHIVING:
        sql = ARCHIVE.sql("archiving", monitoring=request.roles.monitoring, mark=ARCHIVING)
        yield Step(f"create what tells of archiving in {where}", sql)


def ground(request: Request, catalog: Catalog) -> Iterator[Step]:
    """What the tables stand on: the schema, what future tables grant, the pooler's lookup, statistics, metrics."""
    names, now = request.roles, catalog.ground
    if not now.owner_may_create:
        yield _schema_grant(catalog, names.owner, GROUND.sql("owner_schema", owner=names.owner))
    if not now.group_may_create:
        yield _schema_grant(catalog, names.group, GROUND.sql("group_schema", group=names.group))
    if not now.default_grants >= WRITE:
        sql = GROUND.sql("group_default", owner=names.owner, group=names.group)
        yield Step("grant on future tables", sql, as_owner=True)
    if request.provider is Provider.EXTERNAL:
        yield from _external_connect(names, catalog)
        return
    if now.lookup != LOOKUP:
        sql = POOLER.sql("lookup", group=names.group, pooler=names.pooler, mark=LOOKUP)
        yield Step("create the pooler's lookup", sql)
    if "pg_stat_statements" not in now.extensions:
        yield Step("create extension pg_stat_statements", GROUND.sql("statistics"))
    if now.metrics != METRICS:
        sql = METRIC.sql("metrics", owner=names.owner, monitoring=names.monitoring, mark=METRICS)
        yield Step("create what tells of threads", sql)


def take(names: Roles, catalog: Catalog, table: Table) -> Iterator[Step]:
    """Move a table to the owner role; its former owner keeps reading and writing."""
    if table.owner == names.owner:
        return
    sql = TABLE.sql("take", table=table.name, owner=names.owner, previous=table.owner)
    needs = (
        f'the admin of the Secret must be able to give the table away: GRANT "{table.owner}" TO "{catalog.admin.name}"'
    )
    yield Step(f"take over table {table.name}", sql, needs=needs)


def share(names: Roles, table: Table, wanted: frozenset[str]) -> Iterator[Step]:
    """Grant the application's group exactly `wanted`, READ or WRITE, on a table of the owner."""
    if wanted == READ and table.granted != READ:
        sql = TABLE.sql("read", table=table.name, group=names.group)
        yield Step(f"grant read on {table.name}", sql, as_owner=True)
    if wanted == WRITE and not table.granted >= WRITE:
        sql = TABLE.sql("write", table=table.name, group=names.group)
        yield Step(f"grant write on {table.name}", sql, as_owner=True)


def admit(request: Request, catalog: Catalog, username: str, verifier: str) -> Iterator[Step]:
    """The last of all: the application may log in, and who was replaced may not."""
    needs = _create_roles(catalog)
    role = catalog.roles.get(username)
    if role is None or not role.login or role.verifier != verifier:
        sql = ROLES.sql("admit", role=username, verifier=verifier)
        yield Step(f"let {username} log in", sql, needs=needs)
    for name in request.retire:
        gone = catalog.roles.get(name)
        if name != username and gone and (gone.login or gone.verifier):
            yield Step(f"retire {name}", ROLES.sql("retire", role=name), needs=needs)


def _external_connect(names: Roles, catalog: Catalog) -> Iterator[Step]:
    now = catalog.database
    if now and names.group not in now.connect:
        sql = DATABASE.sql("connect", database=now.name, role=names.group)
        yield Step(f"let {names.group} connect", sql, needs=f"GRANT CONNECT ON DATABASE {now.name}")


def _schema_grant(catalog: Catalog, role: str, sql: str) -> Step:
    database = catalog.database.name if catalog.database else ""
    needs = (
        "the admin of the Secret must be able to grant on the schema public: "
        f'ALTER DATABASE "{database}" OWNER TO "{catalog.admin.name}", '
        f'or GRANT ALL ON SCHEMA public TO "{catalog.admin.name}" WITH GRANT OPTION'
    )
    return Step(f"grant schema public to {role}", sql, needs=needs)


def _create_roles(catalog: Catalog) -> str:
    return MAY_CREATE_ROLES.format(admin=f'"{catalog.admin.name}"')
