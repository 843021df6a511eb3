"""docs/tracing.md on a real store: traces of stock savers are found where the page says, and do not mix."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from checkpointstore.adapters import certificate
from demo.agentjob import Agent
from demo.kubectl import ROOT, CommandFailed, Kubectl, wait_for
from tests.e2e.figure import Figures
from tests.e2e.forward import Forward
from tests.e2e.subject import Subject

NAME = "traced"
PAGE = (ROOT / "docs/tracing.md").read_text()
BLOCK = r"^```{}\n(.*?)^```"
TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# What belongs to no trace, or to a forged one.
UNTRACED = "agent"
# Holds up every put, and lets every get through.
LOCK = "set application_name = 'holder'; begin; lock table checkpoints in exclusive mode; select pg_sleep(600)"
HOLDS = "select count(*) from pg_stat_activity where application_name = 'holder' and wait_event = 'PgSleep'"
RELEASE = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holder'"
# What the server was called by, beside the thread, which the agent names by its trace.
KEPT = """
create table kept (thread text, name text);
create function keep() returns trigger language plpgsql security definer as
$$ begin insert into public.kept values (new.thread_id, current_setting('application_name')); return null; end $$;
create trigger keep after insert on checkpoints for each row execute function keep();
"""


def block(kind: str) -> str:
    """The page's only block of a kind."""
    (found,) = re.findall(BLOCK.format(kind), PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def traced(kubectl: Kubectl, namespace: str, make_store: Callable[..., dict[str, Any]]) -> Subject:
    """A store with the log that the page asks for."""
    make_store(NAME, {**yaml.safe_load(block("yaml"))["spec"], "pooler": {"instances": 1}})
    subject = Subject(kubectl, namespace, NAME)
    subject.psql(KEPT)
    return subject


@contextmanager
def held(subject: Subject) -> Iterator[None]:
    """Let nobody put."""

    def hold() -> None:
        with suppress(CommandFailed):
            subject.psql(LOCK)

    with ThreadPoolExecutor(1) as beside:
        holding = beside.submit(hold)
        try:
            wait_for("the lock", lambda: subject.psql(HOLDS) == "1", 60)
            yield
        finally:
            subject.psql(RELEASE)
            holding.result(30)


def waiting(subject: Subject) -> dict[str, str]:
    """By the page's question: who waits for the lock, with the process that does."""
    return dict(re.findall(r"^([^|\n]+)\|(\d+)\|active\|Lock\|", subject.psql(block("sql")), re.M))


def console(subject: Subject) -> list[list[dict[str, Any]]]:
    """The pooler's clients and servers."""
    secret = {name: text.encode() for name, text in subject.secret(f"{NAME}-admin-tls").items()}
    way = Forward(subject.kubectl, subject.namespace, f"deployment/{NAME}-pooler", 5432)
    try:
        with certificate.files(secret) as folder:
            login = psycopg.conninfo.make_conninfo(
                f"host=127.0.0.1 port={way.port()} dbname=pgbouncer user=console sslmode=verify-ca",
                sslrootcert=str(folder / "ca.crt"),
                sslcert=str(folder / "tls.crt"),
                sslkey=str(folder / "tls.key"),
            )
            with psycopg.connect(login, autocommit=True, prepare_threshold=None, row_factory=dict_row) as connection:
                return [connection.execute(command).fetchall() for command in ("SHOW CLIENTS", "SHOW SERVERS")]
    finally:
        way.end()


def lent(subject: Subject) -> dict[str, str]:
    """By the pooler: the name of each client that has a server connection, with PostgreSQL's process behind it."""
    clients, servers = console(subject)
    processes = {server["ptr"]: (server["application_name"], str(server["remote_pid"])) for server in servers}
    found = {}
    for client in clients:
        if client["link"]:
            name, process = processes[client["link"]]
            assert name == client["application_name"]
            found[name] = process
    return found


def told(agent: Agent) -> set[str]:
    """The traces that the agent says it is in."""
    return {line["traceparent"] for line in agent.lines if line["event"] == "trace"}


def log(subject: Subject) -> str:
    return subject.kubectl("logs", subject.primary(), "-n", subject.namespace, "-c", "postgres")


def logged(subject: Subject, event: str) -> dict[str, str]:
    """By the server's log: who has such a line, with the process that wrote it."""
    found = re.findall(rf"^\S+ \S+ \S+ \[(\d+)\] (\S+) LOG:  {event}", log(subject), re.MULTILINE)
    return {name: process for process, name in found}


def test_traces_are_found_where_the_page_says(
    traced: Subject, start_agent: Callable[..., Agent], figures: Figures
) -> None:
    """Two of AsyncPostgresSaver and two of PostgresSaver at once, over one pool each, and one that is forged."""
    waits, took = (
        r"process \d+ still waiting for RowExclusiveLock",
        r"duration: \d{4,}\.\d+ ms  (?:parse|bind|execute) ",
    )
    with held(traced):
        agent = start_agent("traces.py", NAME)
        wait_for("all to be held up", lambda: len(waiting(traced)) == 5, 120, seen=lambda: traced.psql(block("sql")))
        # Its log comes through the kubelet, later than its questions come to the server.
        wait_for("all to have told their traces", lambda: len(told(agent)) == 5, 60, seen=agent.tail)
        traces = {name for name in told(agent) if TRACE.fullmatch(name)}
        assert len(traces) == 4
        processes = waiting(traced)
        assert set(processes) == traces | {UNTRACED}
        assert lent(traced) == processes
        wait_for("the log to say so", lambda: logged(traced, waits) == processes, 60, seen=lambda: log(traced)[-3000:])
    milliseconds = agent.result()["milliseconds"]
    assert set(logged(traced, took)) >= traces
    assert "arameters: " not in log(traced), "what checkpoints hold is in no log"
    plain, renamed = milliseconds["check_connection"], milliseconds["traced"]
    figures.note("tracing_put_without_a_check", milliseconds["none"], "ms")
    figures.note("tracing_put_with_check_connection", plain, "ms")
    figures.note("tracing_put_named_by_its_trace", renamed, "ms", f"<={plain + 1}")


def test_no_put_carries_another_trace(traced: Subject, figures: Figures) -> None:
    """All that the agent has put, each thread named by the trace that it belongs to."""
    rows = [line.split("|") for line in traced.psql("select thread, name from kept").splitlines()]
    puts = [(thread, name) for thread, name in rows if TRACE.fullmatch(thread)]
    others = {thread: name for thread, name in rows if not TRACE.fullmatch(thread)}
    figures.note("tracing_puts_with_their_own_trace", sum(thread == name for thread, name in puts), f"of {len(puts)}")
    assert len(puts) > 200
    assert [(thread, name) for thread, name in puts if thread != name] == []
    assert sorted(others.values()) == ["", "", UNTRACED], others
