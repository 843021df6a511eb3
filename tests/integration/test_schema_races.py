"""Six Jobs at once, and six applications that run a stock setup() on a server they can already reach."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration import catalog, stock
from tests.integration.job import EXTERNAL_PASSWORD, PASSWORDS, Job
from tests.integration.server import Server

LEGACY = "legacy-Yt6rE2wQ9pL4"


def test_six_jobs_at_once(patroni: Job, server: Server, rounds: int) -> None:
    assert patroni.run().code == 0
    with server.admin("app") as connection:
        alone = catalog.facts(connection) | catalog.access(connection)
    for _ in range(rounds):
        server.reset()
        results = [running.wait() for running in [patroni.start() for _ in range(6)]]
        assert [result.code for result in results] == [0] * 6, results
        done = Counter(step for result in results for step in result.steps)
        assert set(done.values()) == {1}, "the lock lets one Job work and the others find it done"
        with server.admin("app") as connection:
            assert catalog.facts(connection) | catalog.access(connection) == alone
    print(f"{rounds} rounds of 6 Jobs: every Job succeeded and the catalog is that of one")


@pytest.mark.parametrize("user", ["dba", "legacy"])
def test_applications_that_race_the_job_need_one_retry(
    external: Job, server: Server, stock_facts: catalog.Facts, rounds: int, user: str
) -> None:
    """`dba`: the applications use the admin's own login, and again at the retry.

    `legacy`: they race with a login of their own, which owns nothing when the Job wins; the retry is the binding's.
    """
    errors = 0
    for number in range(rounds):
        _fresh(server, user)
        ours = server.uri("app_a", PASSWORDS["app_a"])
        uri = server.uri(user, EXTERNAL_PASSWORD if user == "dba" else LEGACY)
        retry = uri if user == "dba" else ours
        running = external.start()
        with ThreadPoolExecutor(6) as pool:
            first = list(pool.map(_attempt, [uri] * 6, [delay / 50 for delay in range(6)]))
        result = running.wait()
        assert result.code == 0, result.log
        with ThreadPoolExecutor(6) as pool:
            second = list(pool.map(_attempt, [retry] * 6, [0.0] * 6))
        assert second == [""] * 6, result.log
        errors += sum(bool(error) for error in first)
        with server.admin("app") as connection:
            facts = catalog.facts(connection)
        assert facts - stock_facts == catalog.extras()
        assert stock_facts - facts == catalog.replaced()
        stock.remember(retry, f"thread-{number}", ["raced"])
        assert stock.recall(ours, f"thread-{number}") == stock.recalled(["raced"])
    print(f"{rounds} rounds of 6 applications as {user}: {errors} first tries failed, 0 retries, catalog right")


def _attempt(uri: str, delay: float) -> str:
    time.sleep(delay)
    try:
        stock.setup(uri)
    except psycopg.Error as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _fresh(server: Server, user: str) -> None:
    """The external database again, empty, and the role the applications use."""
    with server.admin() as connection:
        connection.execute("DROP DATABASE app WITH (FORCE)")
        connection.execute("CREATE DATABASE app OWNER dba TEMPLATE template0")
        connection.execute("SET log_statement = none")
        if user == "legacy":
            connection.execute("DROP ROLE IF EXISTS legacy")
            connection.execute(f"CREATE ROLE legacy LOGIN PASSWORD '{LEGACY}'")
            connection.execute("GRANT legacy TO dba")
    if user == "legacy":
        with server.admin("app") as connection:
            connection.execute("GRANT USAGE, CREATE ON SCHEMA public TO legacy")
