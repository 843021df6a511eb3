"""The schema Job: from any state to a store's roles, database and tables; then it lets the application in."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ..adapters import postgres
from ..features.schema import planner
from ..features.schema.catalog import Admin, Catalog, Table
from ..features.schema.outcome import Outcome
from ..features.schema.request import Provider, Request
from ..features.schema.step import Plan, Step
from ..kernel import scram
from ..kernel.errors import Refused, Unavailable
from . import journal, life, mounted

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Order:
    """The request with what the mounted Secrets add."""

    request: Request
    target: postgres.Target
    username: str
    password: str = field(repr=False)

    @property
    def database(self) -> str:
        return self.target.options.get("dbname", self.request.database)


def _order(environ: Mapping[str, str]) -> Order:
    request = life.asked(Request, environ)
    username, password = mounted.application(environ)
    if username in request.retire:
        raise Refused("InvalidRequest", f"retire: {username} is the login to admit")
    return Order(request, mounted.admin(environ, request), username, password)


def _persist(order: Order) -> Outcome:
    """Start over, from a fresh look at the catalog, until it is done or the patience is over."""
    deadline = time.monotonic() + order.request.patience_seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return _work(order)
        except Unavailable as error:
            if time.monotonic() + pause > deadline:
                raise
            journal.write("waiting", message=error.message)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _work(order: Order) -> Outcome:
    request, username = order.request, order.username
    target = order.target
    if request.provider is Provider.PATRONI:
        with _session(order, target.database("postgres")) as session:
            _settle(session, order, lambda catalog: planner.prepare(request, catalog, username))
        target = target.database(request.database)
    with _session(order, target) as session:
        catalog = _settle(session, order, lambda catalog: planner.plan(request, catalog, username))
        verifier = scram.verifier(username, order.password)
        for step in planner.admit(request, catalog, username, verifier).steps:
            _perform(session, order, step)
        return Outcome.success(request, catalog.server)


@contextmanager
def _session(order: Order, target: postgres.Target) -> Iterator[postgres.Connection]:
    with postgres.connect(target, f"checkpointstore schema {order.request.store}") as connection:
        if not postgres.lock(connection):
            raise Unavailable("another schema Job is at work")
        yield connection


def _settle(session: postgres.Connection, order: Order, ask: Callable[[Catalog], Plan]) -> Catalog:
    """Ask what is missing and do it, until nothing is; the catalog that needs nothing is the answer."""
    before = Plan()
    for _ in range(ROUNDS):
        catalog = _observe(session, order)
        plan = ask(catalog)
        if plan.done:
            return catalog
        if plan.awaits:
            raise Unavailable(plan.awaits)
        if plan == before:
            # PostgreSQL only warns when a GRANT by somebody without the right to it does nothing.
            step = plan.steps[0]
            raise Refused("InsufficientPrivilege", f"{step.name}: had no effect; {step.needs}")
        for step in plan.steps:
            _perform(session, order, step)
        before = plan
    raise Unavailable("the catalog keeps changing under the Job")


def _perform(session: postgres.Connection, order: Order, step: Step) -> None:
    start = time.monotonic()
    role = order.request.roles.owner if step.as_owner else ""
    try:
        if step.alone:
            postgres.run_alone(session, step.sql, role)
        else:
            postgres.run(session, step.sql, role)
    except Refused as error:
        needs = f"; {step.needs}" if step.needs else ""
        raise Refused(error.reason, f"{step.name}: {error.message}{needs}") from None
    except Unavailable as error:
        raise Unavailable(f"{step.name}: {error.message}") from None
    journal.write("done", step=step.name, seconds=round(time.monotonic() - start, 3))


def _observe(session: postgres.Connection, order: Order) -> Catalog:
    request, names = order.request, order.request.roles
    wanted = [names.owner, names.group, names.pooler, names.monitoring, order.username, *request.retire]
    admin = postgres.admin(session, names.owner)
    roles = postgres.roles(session, wanted)
    if admin.superuser:
        for name, verifier in postgres.verifiers(session, list(roles)).items():
            roles[name] = replace(roles[name], verifier=verifier)
    tables = postgres.tables(session, planner.tables(request), names.group)
    return Catalog(
        server=postgres.server(session),
        admin=admin,
        roles=roles,
        database=postgres.database(session, order.database, wanted),
        ground=postgres.ground(session, names.owner, names.group),
        tables=tables,
        indexes=postgres.indexes(session, planner.indexes(request)),
        versions=_versions(session, admin, tables),
    )


def _versions(session: postgres.Connection, admin: Admin, tables: Mapping[str, Table]) -> frozenset[int]:
    table = tables.get("checkpoint_migrations")
    if table is None or table.column("v") is None:
        return frozenset()
    try:
        return postgres.versions(session)
    except Refused as error:
        needs = f'GRANT "{table.owner}" TO "{admin.name}"'
        raise Refused(error.reason, f"{error.message}; {needs}") from None


run = life.Program(Outcome, lambda environ: _persist(_order(environ))).run
