"""What the server's own catalog says, as frozen facts; the planners see nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Server:
    version: int = 170000
    """`server_version_num`"""
    max_connections: int = 100
    lz4: bool = True
    """Whether the server was built with it."""

    @property
    def text(self) -> str:
        return f"{self.version // 10000}.{self.version % 10000}"


@dataclass(frozen=True, slots=True)
class Admin:
    """The role the Job is logged in as."""

    name: str = "postgres"
    superuser: bool = True
    createrole: bool = True
    acts_as_owner: bool = True
    """Whether it may SET ROLE to the owner role; False while that role does not exist."""


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    login: bool = False
    groups: frozenset[str] = frozenset()
    wears: str = ""
    """The role a login takes on by itself (`ALTER ROLE ... SET role`)."""
    plans: str = ""
    """Its own `plan_cache_mode`."""
    mark: str = ""
    verifier: str | None = None
    """None where there is no password or this admin may not read it."""


@dataclass(frozen=True, slots=True)
class Database:
    name: str
    owner: str
    public: bool = False
    """Whether everybody may connect."""
    connect: frozenset[str] = frozenset()
    """Those of our roles that may connect."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    required: bool = False
    default: str = ""
    compression: str = ""
    distinct: str = ""
    """Its own `n_distinct`, which ANALYZE takes for what it would count."""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    owner: str
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    plain: bool = True
    """False for a view, a partitioned or a foreign table."""
    options: Mapping[str, str] = field(default_factory=dict)
    granted: frozenset[str] = frozenset()
    """What the application's group was granted on it."""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    table: str
    body: str
    """What `pg_get_indexdef` says after USING."""
    valid: bool = True
    building: bool = False
    """Another session is building it at this moment."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What tables stand on, in the database the session is in."""

    owner_may_create: bool = False
    group_may_create: bool = False
    default_grants: frozenset[str] = frozenset()
    """What the group gets on tables the owner will make."""
    lookup: str = ""
    """The mark on the pooler's lookup function; empty where there is none."""
    archiving: str = ""
    """The mark on the function that tells of archiving; empty where there is none."""
    metrics: str = ""
    """The mark on the functions that tell of threads; empty where there are none."""
    limit: str = ""
    """The mark on the function that limits checkpoints; empty where there is none."""
    versions_expected: float = 100
    """How many channels the server thinks a checkpoint has: the rows it expects of `jsonb_each_text`."""
    extensions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Catalog:
    server: Server = Server()
    admin: Admin = Admin()
    roles: Mapping[str, Role] = field(default_factory=dict)
    database: Database | None = None
    ground: Ground = Ground()
    tables: Mapping[str, Table] = field(default_factory=dict)
    indexes: Mapping[str, Index] = field(default_factory=dict)
    versions: frozenset[int] = frozenset()
    """The rows of checkpoint_migrations."""

    def column(self, table: str, name: str) -> Column | None:
        return self.tables[table].column(name) if table in self.tables else None
