"""The schema Job as a pure question: seen this catalog, what is still to be done, or why must it not be?"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from .access import planner as access
from .catalog import Catalog
from .langgraph import planner as langgraph
from .langgraph import shape as langgraph_shape
from .request import Module, Provider, Request
from .step import Plan, Step


@dataclass(frozen=True, slots=True)
class SchemaModule:
    """A set of tables: the shapes it refuses, whom it waits for, what it lacks, what it is made of."""

    check: Callable[[Catalog], None]
    awaits: Callable[[Catalog], str]
    steps: Callable[[Request, Catalog], Iterator[Step]]
    tables: Collection[str]
    indexes: Collection[str]
    version: int


MODULES = {
    Module.LANGGRAPH: SchemaModule(
        check=langgraph_shape.check,
        awaits=langgraph.awaits,
        steps=langgraph.steps,
        tables=langgraph_shape.TABLES,
        indexes=langgraph_shape.INDEXES,
        version=langgraph_shape.VERSION,
    ),
}


def tables(request: Request) -> list[str]:
    return [table for name in request.modules for table in MODULES[name].tables]


def indexes(request: Request) -> list[str]:
    return [index for name in request.modules for index in MODULES[name].indexes]


def prepare(request: Request, catalog: Catalog, username: str) -> Plan:
    """Patroni only, seen from the maintenance database: the roles, and the database to go on in."""
    return Plan(
        (
            *access.roles(request, catalog, username),
            *access.database(request, catalog),
            *access.archiving(request, catalog, "postgres"),
        )
    )


def plan(request: Request, catalog: Catalog, username: str) -> Plan:
    """Everything but the login. Raises Refused before anything that was there is touched."""
    access.check(request, catalog, username)
    if request.provider is Provider.PATRONI and catalog.ground.archiving != access.ARCHIVING:
        # Whatever stands in its tables, the exporter of a server of our own is connected to this database.
        return Plan((*access.roles(request, catalog, username), *access.archiving(request, catalog, request.database)))
    modules = [MODULES[name] for name in request.modules]
    for module in modules:
        module.check(catalog)
    if waits := "; ".join(filter(None, (module.awaits(catalog) for module in modules))):
        return Plan(awaits=waits)
    if ground := (*access.roles(request, catalog, username), *access.ground(request, catalog)):
        # Alone, as a GRANT that has no effect must show before a table stumbles over it.
        return Plan(ground)
    return Plan(tuple(step for module in modules for step in module.steps(request, catalog)))


def admit(request: Request, catalog: Catalog, username: str, verifier: str) -> Plan:
    """The application's login, once the plan is empty."""
    return Plan(tuple(access.admit(request, catalog, username, verifier)))
