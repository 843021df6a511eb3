"""A run works less while applications' statements take longer than they usually do, as a real server counts them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from checkpointstore.adapters.retention import Tables
from checkpointstore.features.retention import pressure
from checkpointstore.features.retention.pressure import Times
from checkpointstore.features.retention.request import Request
from checkpointstore.jobs import retention
from checkpointstore.jobs.retention import Work
from tests.integration import graphs
from tests.integration.job import EXTERNAL_PASSWORD, Job
from tests.integration.server import Server
from tests.integration.tiering import Store, copies


@contextmanager
def meanwhile(act: Any) -> Iterator[None]:
    """Something is done again and again."""
    ended = threading.Event()

    def again() -> None:
        while not ended.is_set():
            act()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def work(store: Store, connection: psycopg.Connection[Any]) -> Work:
    request = Request.model_validate_json(store.environ(share=0.5)["CHECKPOINTSTORE_JOB"])
    return Work(Tables(connection, "app_owner", "app", dry=False), request)


def test_it_backs_off_while_writes_wait_and_not_when_they_are_as_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "FEWEST", 5)
    with store.saver() as saver, store.server.admin("app") as connection, store.server.admin("app") as other:
        graph, turns = graphs.chat(saver), iter(range(10**6))

        def talk() -> None:
            # A thread that grows takes longer by itself.
            turn = next(turns)
            graphs.talk(graph, f"busy-{turn // 10}", 1, first=turn % 10)

        def takes(seconds: float) -> None:
            body = f"BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END"
            other.execute(f"CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS '{body}'")

        takes(0)
        other.execute("CREATE TRIGGER slow AFTER INSERT ON checkpoint_writes EXECUTE FUNCTION slow()")
        connection.execute("SELECT pg_stat_statements_reset()")
        for _ in range(100):
            talk()
        busy = work(store, connection)
        busy._feel()
        assert busy.usual, "the server tells"
        shares = []
        with meanwhile(talk):
            takes(0.2)
            for _ in range(4):
                # So that enough is told of, also where the writer is paused meanwhile.
                time.sleep(3)
                busy._feel()
                shares.append(busy.pace.share)
            takes(0)
            for _ in range(90):
                time.sleep(1)
                busy._feel()
                if busy.pace.share == 0.5:
                    break
    print(shares)
    assert shares[:3] == [0.25, 0.125, 0.0625]
    assert shares[3] == 0.125, "it is at its least, so something else is slow"
    assert busy.pace.share == 0.5


def test_a_run_looks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOOK", 0.0)
    looks: list[Times] = []
    monkeypatch.setattr(retention, "felt", lambda usual, meanwhile: looks.append(usual))
    copies(store, 3)
    assert store.quick(keepLast=1).removed.checkpoints > 0
    assert looks
    assert any(looks)


def test_what_a_stranger_calls_so_is_not_called(store: Store) -> None:
    with store.server.admin("app") as connection:
        tables = work(store, connection).tables
        copies(store, 1)
        assert tables.times()
        connection.execute("RESET ROLE")
        connection.execute("ALTER FUNCTION checkpointstore.statement_times() OWNER TO app_owner")
        assert tables.times() == {}


def test_somebody_elses_server_tells_nothing(external: Job, server: Server) -> None:
    assert external.run().code == 0
    with psycopg.connect(
        server.uri("dba", EXTERNAL_PASSWORD), autocommit=True, row_factory=psycopg.rows.dict_row
    ) as connection:
        assert Tables(connection, "shop_agents_owner", "shop_agents", dry=False).times() == {}
