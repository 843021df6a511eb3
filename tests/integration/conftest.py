"""What the integration tests share: one server, and stores on it in the state a test begins with."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import catalog, objectstore, roomy, stock, trixie
from tests.integration import server as servers
from tests.integration.job import EXTERNAL_PASSWORD, PASSWORDS, Job
from tests.integration.outside import mount
from tests.integration.pruning import Store
from tests.integration.server import Server
from tests.integration.tiering import Store as Tiered

LONG = (
    "test_client",
    "test_prometheus",
    "test_monitoring",
    "test_retention_space",
    "test_pip",
    "test_repository_retention",
    "test_tiering_failures",
    "test_year",
    "test_tiering_moments",
    "test_retention_races",
    "test_console",
    "test_console_trend",
    "test_repository_restore",
    "test_pressure",
    "test_tiering_tiers",
    "test_tiering_races",
    "test_blobs_failures",
)
"""What takes longest, first: else the last of them go on by themselves while the other workers have nothing left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG)}
    ours = [index for index, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[index] for index in ours), key=lambda item: places.get(item.path.stem, len(LONG)))
    for index, item in zip(ours, ordered, strict=True):
        items[index] = item


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def bucket() -> Iterator[objectstore.Bucket]:
    with objectstore.running() as bucket:
        yield bucket


@pytest.fixture
def patroni(server: Server) -> Iterator[Job]:
    """A store on a server of its own, as Patroni leaves it after bootstrap: nothing of ours there."""
    server.reset()
    yield Job(
        {
            "store": "shop/agents",
            "provider": "Patroni",
            "host": "localhost",
            "port": server.port,
            "database": "app",
            "modules": ["LangGraph"],
            "patienceSeconds": 60,
        },
        server.secrets,
    )
    server.reset()


@pytest.fixture
def store(patroni: Job, server: Server, bucket: objectstore.Bucket) -> Tiered:
    """Its tables stand, and the bucket is empty."""
    assert patroni.run().code == 0
    bucket.empty()
    return Tiered(server, bucket)


@pytest.fixture
def uri(store: Tiered) -> str:
    """As the application connects."""
    return store.server.uri("app_a", PASSWORDS["app_a"])


@pytest.fixture
def blobs(bucket: objectstore.Bucket, tmp_path: Path) -> Iterator[Path]:
    """A mounted Secret about values outside, and an empty bucket."""
    bucket.empty()
    yield mount(bucket, tmp_path / "agents-blobs")
    bucket.empty()


@pytest.fixture(scope="session")
def squeezing() -> Iterator[Server]:
    if os.geteuid() and not trixie.here():
        pytest.skip("no pg_squeeze here, and only root can run another root's: install postgresql-17-squeeze")
    with roomy.squeezing() as server:
        yield server


@pytest.fixture
def roomy_store(squeezing: Server) -> Iterator[Store]:
    with roomy.copy(squeezing) as store:
        yield store


@pytest.fixture
def external(server: Server, tmp_path: Path) -> Iterator[Job]:
    """A store on somebody else's server: an admin with CREATEROLE who owns the database, and no superuser."""
    server.reset()
    with server.admin() as connection:
        connection.execute("SET log_statement = none")
        connection.execute(f"CREATE ROLE dba LOGIN CREATEROLE PASSWORD '{EXTERNAL_PASSWORD}'")
        connection.execute("CREATE DATABASE app OWNER dba TEMPLATE template0")
    keys = {
        "host": "localhost",
        "port": str(server.port),
        "database": "app",
        "username": "dba",
        "password": EXTERNAL_PASSWORD + "\n",
        "ca.crt": (server.secrets / "ca.crt").read_text(),
    }
    for name, value in keys.items():
        (tmp_path / name).write_text(value)
    roles = {"owner": "shop_agents_owner", "group": "shop_agents"}
    request = {"store": "shop/agents", "provider": "External", "roles": roles, "patienceSeconds": 60}
    yield Job(request, tmp_path)
    server.reset()


@pytest.fixture(scope="session")
def stock_facts(server: Server) -> Iterator[catalog.Facts]:
    """What the catalog says after nothing but a stock setup()."""
    with server.admin() as connection:
        connection.execute("CREATE DATABASE template_stock TEMPLATE template0")
    stock.setup(server.local_uri("template_stock"))
    with server.admin("template_stock") as connection:
        yield catalog.facts(connection)


@pytest.fixture
def rounds(soak: bool) -> int:
    """How often a race is run."""
    return 20 if soak else 3
