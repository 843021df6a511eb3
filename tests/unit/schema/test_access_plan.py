"""Roles, database and grants: what is missing, what is refused, and what never happens before the end."""

from dataclasses import replace

import pytest

from checkpointstore.features.schema import planner
from checkpointstore.features.schema.access.planner import ARCHIVING, METRICS
from checkpointstore.features.schema.catalog import Admin, Database, Ground, Role, Server
from checkpointstore.features.schema.step import Plan
from checkpointstore.kernel.errors import Refused
from tests.unit.schema.facts import COMPLETE, DBA, EXTERNAL, MARK, NOTHING, PATRONI, ROLES, TABLES, with_tables


def names(plan: Plan) -> list[str]:
    return [step.name for step in plan.steps]


def test_patroni_is_prepared_from_nothing() -> None:
    plan = planner.prepare(PATRONI, NOTHING, "app_a")
    assert names(plan) == [
        "create role app_owner",
        "create role app",
        "create role app_a",
        "create role pooler",
        "create role monitoring",
        "grant app to app_a",
        "grant pg_monitor to monitoring",
        "let app_a act as app",
        "let app_a plan by values",
        "create database app",
        "close database app",
        "let app connect",
        "let pooler connect",
        "let monitoring connect",
        "create what tells of archiving in postgres",
    ]
    alone = [step.name for step in plan.steps if step.alone]
    assert alone == ["create database app"]


def test_nobody_gets_a_password_before_the_end() -> None:
    steps = planner.prepare(PATRONI, NOTHING, "app_a").steps + planner.plan(PATRONI, NOTHING, "app_a").steps
    assert not [step.name for step in steps if "PASSWORD" in step.sql]
    logins = [step.name for step in steps if " LOGIN" in step.sql]
    assert logins == ["create role pooler", "create role monitoring"] * 2


def test_a_prepared_server_needs_nothing() -> None:
    assert planner.prepare(PATRONI, COMPLETE, "app_a").done


@pytest.mark.parametrize(
    ("database", "wanted"),
    [
        (
            Database("app", "postgres", connect=frozenset({"app", "pooler", "monitoring"})),
            ["own database app"],
        ),
        (Database("app", "app_owner", connect=frozenset({"app", "pooler"})), ["let monitoring connect"]),
        (
            Database("app", "app_owner", public=True, connect=frozenset({"app", "pooler", "monitoring"})),
            ["close database app", "let app connect", "let pooler connect", "let monitoring connect"],
        ),
    ],
)
def test_a_database_that_was_there(database: Database, wanted: list[str]) -> None:
    assert names(planner.prepare(PATRONI, replace(COMPLETE, database=database), "app_a")) == wanted


def test_the_ground_comes_before_any_table() -> None:
    bare = replace(COMPLETE, ground=Ground(archiving=ARCHIVING), tables={}, indexes={}, versions=frozenset())
    assert names(planner.plan(PATRONI, bare, "app_a")) == [
        "grant schema public to app_owner",
        "grant schema public to app",
        "grant on future tables",
        "create the pooler's lookup",
        "create extension pg_stat_statements",
        "create what tells of threads",
    ]


def test_archiving_is_told_whatever_the_tables_are() -> None:
    shallow = with_tables(replace(TABLES["checkpoints"], key=("thread_id", "checkpoint_ns")))
    with pytest.raises(Refused):
        planner.plan(PATRONI, shallow, "app_a")
    untold = replace(shallow, ground=replace(COMPLETE.ground, archiving="checkpointstore archiving 3"))
    assert names(planner.plan(PATRONI, untold, "app_a")) == ["create what tells of archiving in app"]


def test_what_tells_of_threads_is_replaced_with_its_mark() -> None:
    older = replace(COMPLETE, ground=replace(COMPLETE.ground, metrics="checkpointstore metrics 0"))
    (step,) = planner.plan(PATRONI, older, "app_a").steps
    assert step.name == "create what tells of threads"
    assert step.sql.endswith(f"IS '{METRICS}'")


def test_external_makes_neither_pooler_nor_monitoring_and_joins_the_owner() -> None:
    catalog = replace(NOTHING, admin=DBA, database=Database("agents", "dba"))
    assert names(planner.plan(EXTERNAL, catalog, "app_a")) == [
        "create role app_owner",
        "create role app",
        "create role app_a",
        "grant app to app_a",
        "let app_a act as app",
        "let app_a plan by values",
        "join app_owner",
        "grant schema public to app_owner",
        "grant schema public to app",
        "grant on future tables",
        "let app connect",
    ]


def test_external_complete_needs_nothing() -> None:
    catalog = replace(COMPLETE, admin=replace(DBA, acts_as_owner=True))
    assert planner.plan(EXTERNAL, catalog, "app_a").done


@pytest.mark.parametrize(
    ("catalog", "reason", "words"),
    [
        (replace(COMPLETE, server=Server(version=130012)), "UnsupportedVersion", "PostgreSQL 13.12"),
        (
            replace(COMPLETE, admin=Admin("dba", superuser=False, createrole=False)),
            "InsufficientPrivilege",
            'ALTER ROLE "dba" CREATEROLE',
        ),
        (replace(COMPLETE, roles={**ROLES, "app": Role("app")}), "RoleTaken", f"IS '{MARK}'"),
        (
            replace(COMPLETE, roles={**ROLES, "app_a": Role("app_a", mark="other")}),
            "RoleTaken",
            "role app_a exists",
        ),
    ],
)
def test_external_refused(catalog: object, reason: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        planner.plan(EXTERNAL, catalog, "app_a")  # type: ignore[arg-type]
    assert refused.value.reason == reason
    assert words in refused.value.message


def test_our_own_server_takes_roles_of_an_adopted_volume_over() -> None:
    roles = {name: replace(role, mark="checkpointstore shop/former") for name, role in ROLES.items()}
    assert planner.plan(PATRONI, replace(COMPLETE, roles=roles), "app_a").done


def test_every_statement_of_external_says_what_to_grant_when_it_is_about_privilege() -> None:
    catalog = replace(NOTHING, admin=DBA, database=Database("agents", "dba"))
    steps = planner.plan(EXTERNAL, catalog, "app_a").steps
    assert [step.name for step in steps if not step.needs] == ["grant on future tables"]


@pytest.mark.parametrize(
    ("role", "wanted"),
    [
        (ROLES["app_a"], []),
        (replace(ROLES["app_a"], login=False), ["let app_a log in"]),
        (replace(ROLES["app_a"], verifier=None), ["let app_a log in"]),
        (replace(ROLES["app_a"], verifier="old"), ["let app_a log in"]),
        (None, ["let app_a log in"]),
    ],
)
def test_admission(role: Role | None, wanted: list[str]) -> None:
    roles = {"app_a": role} if role else {}
    assert names(planner.admit(PATRONI, replace(COMPLETE, roles=roles), "app_a", "v")) == wanted


def test_retirement() -> None:
    old = Role("app_b", login=True, verifier="x")
    request = PATRONI.model_copy(update={"retire": ("app_b", "app_c", "app_a")})
    catalog = replace(COMPLETE, roles={**ROLES, "app_b": old})
    assert names(planner.admit(request, catalog, "app_a", "v")) == ["retire app_b"]
    gone = replace(catalog, roles={**ROLES, "app_b": Role("app_b")})
    assert planner.admit(request, gone, "app_a", "v").done


def test_what_there_is_to_look_at() -> None:
    assert planner.tables(PATRONI) == [
        "checkpoint_migrations",
        "checkpoints",
        "checkpoint_blobs",
        "checkpoint_writes",
    ]
    assert len(planner.indexes(PATRONI)) == 5
