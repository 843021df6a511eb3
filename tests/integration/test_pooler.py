"""Orders to a real PgBouncer: idle clients are let go, nobody else is, and no order is waited for long."""

import asyncio
import datetime as dt
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from checkpointstore.adapters import pgbouncer
from checkpointstore.kernel.errors import Unavailable
from tests.integration.job import Job
from tests.integration.pooler import PgBouncer, pooling
from tests.integration.server import Server

CONNECTIONS, MANY = 2, 13


@pytest.fixture
def pooler(server: Server, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    """One with few server connections, or as many as the test says."""
    server.reset()
    where = {"host": "localhost", "port": server.port, "database": "app"}
    asked = {"store": "shop/agents", "provider": "Patroni", **where, "modules": ["LangGraph"], "patienceSeconds": 60}
    assert Job(asked, server.secrets).run().code == 0
    with pooling(server, getattr(request, "param", CONNECTIONS)) as pooler:
        yield pooler
    server.reset()


def soon() -> dt.datetime:
    """After everybody who is there."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)


def rebalance(pooler: PgBouncer, most: int, since: dt.datetime | None = None) -> int:
    return asyncio.run(pgbouncer.rebalance(pooler.peer, "app", most, since or soon(), pooler.admin))


def look(pooler: PgBouncer) -> tuple[bool, int]:
    """Whether clients wait, and how many there are of the application."""
    found = asyncio.run(pgbouncer.look(pooler.peer, pooler.admin))
    [clients] = asyncio.run(pgbouncer._ask(pooler.peer, pooler.admin, "SHOW CLIENTS"))
    assert found is not None
    return found.paused, sum(row["database"] == "app" for row in clients)


def connect(pooler: PgBouncer, number: int) -> list[psycopg.Connection[tuple[object, ...]]]:
    """So many clients that have asked for something, one after the other."""
    made = [psycopg.connect(pooler.uri, autocommit=True, prepare_threshold=None) for _ in range(number)]
    for connection in made:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    return made


def lives(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def test_the_longest_idle_go_until_so_many_are_left(pooler: PgBouncer) -> None:
    clients = connect(pooler, 50)
    # PgBouncer tells whole seconds.
    time.sleep(1.1)
    for client in clients[:8]:
        client.execute("SELECT 1")
    assert rebalance(pooler, 8) == 42
    assert look(pooler) == (False, 8)
    assert [lives(client) for client in clients] == [True] * 8 + [False] * 42
    assert rebalance(pooler, 8) == 0


def test_who_came_late_stays(pooler: PgBouncer) -> None:
    old = connect(pooler, 3)
    time.sleep(1.1)
    since = dt.datetime.now(dt.UTC).replace(microsecond=0)
    new = connect(pooler, 3)
    assert rebalance(pooler, 1, since) == 3
    assert [lives(client) for client in (*old, *new)] == [False] * 3 + [True] * 3


def test_who_comes_back_makes_nobody_else_go(pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = connect(pooler, 8)
    back: list[object] = []
    let_go = pgbouncer._let_go

    async def returning(ask: pgbouncer.Ask, *given: Any) -> int:
        async def slow(command: str, *limit: float) -> pgbouncer.Rows:
            if command.startswith("KILL_CLIENT"):
                back.append(await asyncio.to_thread(psycopg.connect, pooler.uri))
            return await ask(command, *limit)

        return await let_go(slow, *given)

    monkeypatch.setattr(pgbouncer, "_let_go", returning)
    assert rebalance(pooler, 5) == 3
    assert look(pooler) == (False, 8)
    assert sum(map(lives, clients)) == 5


@pytest.mark.parametrize("pooler", [MANY], indirect=True)
def test_a_pause_fails_nobody(pooler: PgBouncer) -> None:
    """Sixty clients that make new server connections all the time, as each pause ends those that there are."""
    failures: list[str] = []
    over = threading.Event()

    def live() -> None:
        with psycopg.connect(pooler.uri, autocommit=True, prepare_threshold=None) as connection:
            while not over.is_set():
                time.sleep(random.expovariate(2))
                connection.execute("SELECT pg_sleep(0.01)")

    def living() -> None:
        while not over.is_set():
            try:
                live()
            except psycopg.Error as error:
                failures.append(str(error))

    async def pausing() -> None:
        for _ in range(20):
            await asyncio.sleep(random.uniform(0, 1))
            await pgbouncer.pause(pooler.peer, "app", pooler.admin)
            await asyncio.sleep(0.05)
            await pgbouncer.resume(pooler.peer, "app", pooler.admin)

    threads = [threading.Thread(target=living) for _ in range(60)]
    for thread in threads:
        thread.start()
    asyncio.run(pausing())
    over.set()
    for thread in threads:
        thread.join(30)
    assert not failures


@pytest.mark.parametrize("pooler", [MANY], indirect=True)
def test_once_a_pause_is_asked_for_no_server_connection_is_made(pooler: PgBouncer) -> None:
    """Who needs one waits, and has it once clients go on, also where who asked died before it was a pause."""
    busy, answers = connect(pooler, CONNECTIONS), list[object]()
    other = psycopg.connect(pooler.uri, autocommit=True, prepare_threshold=None)
    for client in busy:
        client.execute("BEGIN")
    waiting = threading.Thread(target=lambda: answers.append(other.execute("SELECT 2").fetchone()))

    async def asked_for() -> set[tuple[int, ...]]:
        """Who waits for a server connection, and how many are being made and are there."""
        async with pgbouncer._console(pooler.peer, pooler.admin) as ask:
            assert await pgbouncer._settled(ask, "app")
            waiting.start()
            await asyncio.sleep(0.3)
            found = [row for row in await ask("SHOW POOLS") if row["user"] == "app_a"]
        return {tuple(int(row[key]) for key in ("cl_waiting", "sv_login", "sv_active", "sv_idle")) for row in found}

    assert asyncio.run(asked_for()) == {(1, 0, CONNECTIONS, 0)}
    assert look(pooler) == (True, CONNECTIONS + 1)
    asyncio.run(pgbouncer.resume(pooler.peer, "app", pooler.admin))
    waiting.join(10)
    assert answers == [(2,)]
    assert look(pooler) == (False, CONNECTIONS + 1)
    for client in (*busy, other):
        client.close()


def test_a_transaction_is_not_cut_and_who_waits_for_one_is_served(pooler: PgBouncer) -> None:
    """Both server connections are in transactions that outlast the pause; three clients wait behind them."""
    holding, waiting, idle = connect(pooler, 2), connect(pooler, 3), connect(pooler, 5)
    for number, client in enumerate(holding):
        client.execute("BEGIN")
        client.execute(f"CREATE TABLE held_{number} (number int)")
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda client=client: answers.append(client.execute("SELECT 2").fetchone()))
        for client in waiting
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert rebalance(pooler, 0) == 5
    assert look(pooler) == (False, 5)
    for number, client in enumerate(holding):
        client.execute(f"INSERT INTO held_{number} VALUES (1)")
        client.execute("COMMIT")
        assert client.execute(f"SELECT number FROM held_{number}").fetchall() == [(1,)]
    for thread in threads:
        thread.join(10)
    assert answers == [(2,)] * 3
    assert [lives(client) for client in (*holding, *waiting, *idle)] == [True] * 5 + [False] * 5


def test_nobody_is_let_go_while_a_server_connection_is_being_made(pooler: PgBouncer, server: Server) -> None:
    """Whoever comes next would be failed for it."""
    clients, answers = connect(pooler, 4), list[object]()
    clients[0].execute("BEGIN")
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    waiting = threading.Thread(target=lambda: answers.append(clients[1].execute("SELECT 2").fetchone()))
    os.kill(postmaster, signal.SIGSTOP)
    try:
        waiting.start()
        time.sleep(0.3)
        assert rebalance(pooler, 0) == 0
        assert look(pooler) == (False, 4)
    finally:
        os.kill(postmaster, signal.SIGCONT)
    waiting.join(10)
    clients[0].execute("COMMIT")
    assert answers == [(2,)]
    assert all(map(lives, clients))


def test_a_pooler_that_cannot_be_paused_keeps_its_clients(pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = connect(pooler, 4)

    async def refuse(*_: object) -> None:
        raise Unavailable("no answer in time")

    monkeypatch.setattr(pgbouncer, "pause", refuse)
    assert rebalance(pooler, 0) == 0
    assert look(pooler) == (False, 4)
    assert all(map(lives, clients))


def test_clients_go_on_whatever_ends_it(pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is cancelled in the middle, as when the operator ends."""
    clients = connect(pooler, 4)

    async def cancelled() -> None:
        monkeypatch.setattr(pgbouncer, "_let_go", lambda *_: asyncio.sleep(60))
        task = asyncio.create_task(pgbouncer.rebalance(pooler.peer, "app", 0, soon(), pooler.admin))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert look(pooler) == (False, 4)
    assert all(map(lives, clients))


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections on which psycopg asked for the end of a command, which takes ten seconds where none comes."""
    asked: list[object] = []

    async def cancel(connection: object, **_: object) -> None:
        asked.append(connection)

    monkeypatch.setattr(psycopg.AsyncConnection, "_try_cancel", cancel)
    return asked


def test_a_pause_does_not_wait_for_a_long_transaction(pooler: PgBouncer, ends: list[object]) -> None:
    """No other begins meanwhile. PgBouncer does not give a PAUSE up, so it is not asked to."""
    [client] = connect(pooler, 1)
    client.execute("BEGIN")
    with pytest.raises(Unavailable, match="TimeoutError"):
        asyncio.run(pgbouncer.pause(pooler.peer, "app", pooler.admin))
    assert not ends
    assert look(pooler) == (True, 1)
    asyncio.run(pgbouncer.resume(pooler.peer, "app", pooler.admin))
    assert look(pooler) == (False, 1)
    client.execute("COMMIT")


def test_a_pooler_that_hangs_is_not_waited_for(
    pooler: PgBouncer, ends: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an answer."""
    connect = pgbouncer._connect

    async def stopping(*given: Any) -> Any:
        connection = await connect(*given)
        os.kill(pooler.pid, signal.SIGSTOP)
        return connection

    monkeypatch.setattr(pgbouncer, "_connect", stopping)
    try:
        assert asyncio.run(pgbouncer.look(pooler.peer, pooler.admin)) is None
    finally:
        os.kill(pooler.pid, signal.SIGCONT)
    assert not ends
