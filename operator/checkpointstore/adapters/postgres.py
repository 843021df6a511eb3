"""PostgreSQL, one function a round-trip: connect, lock, read the catalog as frozen facts, run one step."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from ..features.schema.catalog import Admin, Column, Database, Ground, Index, Role, Server, Table
from ..features.schema.script import load
from ..kernel.errors import Refused, StoreError, Unavailable

QUERIES = load(__package__, "catalog.sql")
LOCK = int.from_bytes(b"schema")
"""The advisory lock that one schema Job a database holds."""
REFUSALS = {
    "password authentication failed|no password supplied": "LoginRefused",
    "no pg_hba.conf entry|role .* (does not exist|is not permitted)": "LoginRefused",
    "database .* does not exist|permission denied for database": "DatabaseMissing",
    "certificate verify failed|does not match host name|does not support SSL": "CertificateRefused",
}
"""What a failed connection says, and what that means to a person."""
LOCK_TIMEOUT = "5s"
"""How long a statement may queue for a table, as every later query queues behind it."""

Connection: TypeAlias = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect; `options` are libpq's, with passwords in them, so they are never shown."""

    options: Mapping[str, str] = field(repr=False)
    superuser: bool = False

    def database(self, name: str) -> "Target":
        return replace(self, options={**self.options, "dbname": name})


def connect(target: Target, application: str) -> Connection:
    """A session on the primary, in autocommit; the caller closes it."""
    settings = "SET search_path = pg_catalog; SET statement_timeout = 0; SET client_min_messages = warning"
    if target.superuser:
        settings += "; SET log_statement = 'none'; SET pg_stat_statements.track_utility = off"
    try:
        connection = psycopg.connect(
            **cast(dict[str, Any], dict(target.options)),
            application_name=application,
            connect_timeout=5,
            target_session_attrs="primary",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=11000,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        )
        connection.execute(settings)
    except psycopg.Error as error:
        raise _unreached(" ".join(str(error).split()), target) from None
    return connection


def lock(connection: Connection) -> bool:
    """Try only: a session that waits holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that."""
    return bool(_one(connection, f"SELECT pg_try_advisory_lock({LOCK}) AS locked")["locked"])


def run(connection: Connection, statements: str, role: str = "") -> None:
    """Run statements as one transaction, with `role` as that role."""
    settings = sql.SQL("SET LOCAL lock_timeout = {}; SET LOCAL ROLE {}; ").format(LOCK_TIMEOUT, _role(role))
    with _translated():
        connection.execute(settings + sql.SQL(statements))


def run_alone(connection: Connection, statement: str, role: str = "") -> None:
    """Run a statement that no transaction may hold, however long others keep it waiting."""
    with _translated():
        connection.execute(sql.SQL("SET ROLE {}").format(_role(role)))
        connection.execute(statement)
        connection.execute("RESET ROLE")


def server(connection: Connection) -> Server:
    return Server(**_one(connection, QUERIES.sql("server")))


def admin(connection: Connection, owner: str) -> Admin:
    return Admin(**_one(connection, QUERIES.sql("admin"), owner=owner))


def roles(connection: Connection, names: Sequence[str]) -> dict[str, Role]:
    rows = _all(connection, QUERIES.sql("roles"), names=list(names))
    return {row["name"]: Role(**{**row, "groups": frozenset(row["groups"])}) for row in rows}


def verifiers(connection: Connection, names: Sequence[str]) -> dict[str, str | None]:
    """What only a superuser may read."""
    return {row["name"]: row["verifier"] for row in _all(connection, QUERIES.sql("verifiers"), names=list(names))}


def database(connection: Connection, name: str, names: Sequence[str]) -> Database | None:
    rows = _all(connection, QUERIES.sql("database"), database=name, names=list(names))
    return next((Database(**{**row, "connect": frozenset(row["connect"])}) for row in rows), None)


def ground(connection: Connection, owner: str, group: str) -> Ground:
    row = _one(connection, QUERIES.sql("ground"), owner=owner, group=group)
    sets = {name: frozenset(row[name]) for name in ("default_grants", "extensions")}
    return Ground(**{**row, **sets})


def tables(connection: Connection, names: Sequence[str], group: str) -> dict[str, Table]:
    rows = _all(connection, QUERIES.sql("tables"), tables=list(names), group=group)
    return {row["name"]: _table(row) for row in rows}


def indexes(connection: Connection, names: Sequence[str]) -> dict[str, Index]:
    return {row["name"]: Index(**row) for row in _all(connection, QUERIES.sql("indexes"), indexes=list(names))}


def versions(connection: Connection) -> frozenset[int]:
    return frozenset(row["v"] for row in _all(connection, QUERIES.sql("versions")))


def _table(row: Mapping[str, Any]) -> Table:
    columns = tuple(Column(**column) for column in row["columns"])
    shaped = {"columns": columns, "key": tuple(row["key"]), "granted": frozenset(row["granted"])}
    return Table(**{**row, **shaped})


def _one(connection: Connection, query: str, **values: Any) -> dict[str, Any]:
    return _all(connection, query, **values)[0]


def _all(connection: Connection, query: str, **values: Any) -> list[dict[str, Any]]:
    with _translated():
        return connection.execute(query, values or None).fetchall()


def _role(name: str) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("NONE")


def _unreached(text: str, target: Target) -> StoreError:
    """libpq gives no code for a failed connection. Our own server's refusals pass by themselves; others' do not."""
    reason = next((reason for words, reason in REFUSALS.items() if re.search(words, text)), "")
    return Refused(reason, text) if reason and not target.superuser else Unavailable(text)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise meaning(error) from None


def meaning(error: psycopg.Error) -> StoreError:
    """What the server says, as an error of ours."""
    text = error.diag.message_primary or str(error).strip()
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Refused("InsufficientPrivilege", text)
    return Unavailable(text)
