"""The Job's choice against a model of it, on random stores: forks, subgraphs, old versions, odd ids, deltas."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st

from checkpointstore.features.retention.identifier import lowest
from tests.integration.job import Job
from tests.integration.kept import Point, Policy, kept
from tests.integration.pruning import Store
from tests.integration.server import Server

NOW = datetime.now(UTC)
DAY = 86400.0
# Half a day beside each age that a policy may have, so that the run's own clock makes no difference.
AGES = [-9.5, -0.5, 0.5, 1.5, 2.5, 3.5, 5.5, 8.5]
# A smaller example is not worth minutes of runs.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
MARKS = ["counters_since_delta_snapshot", "delta_writes_versioned", "snapshot"]
NAMES = ["kept", "kept", "other", "call:1", "call:2", "call:1|deep"]
ODD = ["0001", "1f000000-0000-1000-8000-000000000000", "latest", "zz"]


@st.composite
def identifiers(draw: st.DrawFn, odd: bool) -> str:
    if odd and draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(ODD))
    at = NOW - timedelta(days=draw(st.sampled_from(AGES)), seconds=draw(st.integers(0, 20)))
    return lowest(at)[:-1] + draw(st.sampled_from("0123"))


@st.composite
def threads(draw: st.DrawFn, thread: str) -> list[Point]:
    odd = draw(st.integers(0, 5)) == 0
    mark = draw(st.sampled_from([*[""] * 9, *MARKS]))
    ids = draw(st.lists(identifiers(odd), unique=True, max_size=10))
    points = [draw(_points(thread, "", identifier, ids)) for identifier in ids]
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3)):
        own = draw(st.lists(identifiers(odd), unique=True, min_size=1, max_size=5))
        root = draw(st.sampled_from([*ids, *ids, None, ODD[0], lowest(NOW)]))
        points += [replace(draw(_points(thread, name, identifier, own)), root=root) for identifier in own]
    if mark and points:
        place = draw(st.integers(0, len(points) - 1))
        points[place] = replace(points[place], mark=mark, blobs=points[place].blobs | {"a"})
    return points


@st.composite
def _points(draw: st.DrawFn, thread: str, name: str, identifier: str, ids: list[str]) -> Point:
    return Point(
        thread,
        name,
        identifier,
        parent=draw(st.sampled_from([*ids, *ids, None, "gone"])),
        source=draw(st.sampled_from(["loop", "loop", "update", "fork"])),
        version=draw(st.sampled_from([4, 4, 3])),
        sends=draw(st.booleans()),
        blobs=draw(st.frozensets(st.sampled_from("abcdef"), max_size=3)),
    )


def stores() -> st.SearchStrategy[list[Point]]:
    return st.tuples(threads(""), threads("a"), threads("b")).map(lambda parts: [p for part in parts for p in part])


@st.composite
def policies(draw: st.DrawFn) -> tuple[dict[str, Any], Policy]:
    last = draw(st.none() | st.integers(1, 6))
    days = draw(st.none() | st.sampled_from([1, 3, 7]))
    after = draw(st.none() | st.sampled_from([2, 7]))
    young, fresh = (lowest(NOW - timedelta(days=age)) if age is not None else None for age in (days, after))
    asked: dict[str, Any] = {"keepLast": last or (1 if days else 0)}
    asked |= {"keepFor": days * DAY} if days else {}
    asked |= {"deleteAfter": after * DAY} if after else {}
    return asked, Policy(last, young, fresh)


def write(connection: psycopg.Connection[Any], points: list[Point]) -> None:
    connection.execute("TRUNCATE checkpoints, checkpoint_blobs, checkpoint_writes")
    for point in points:
        place = (point.thread, point.name, point.id)
        metadata: dict[str, Any] = {"source": point.source, "parents": {"": point.root} if point.root else {}}
        metadata |= {point.mark: {}} if point.mark in MARKS[:2] else {}
        versions = {blob: f"{blob}1" for blob in ("z", *point.blobs)}
        # A value that is true, and one that only stands for a snapshot in a blob.
        values = {"z": True} | ({"a": True} if point.mark == "snapshot" else {})
        body = {"v": point.version, "id": point.id, "channel_values": values, "channel_versions": versions}
        connection.execute(
            "INSERT INTO checkpoints VALUES (%s, %s, %s, %s, NULL, %s, %s)",
            [*place, point.parent, json.dumps(body), json.dumps(metadata)],
        )
        for blob in point.blobs:
            connection.execute(
                "INSERT INTO checkpoint_blobs VALUES (%s, %s, %s, %s, 'null', '') ON CONFLICT DO NOTHING",
                [*place[:2], blob, f"{blob}1"],
            )
        for channel in () if point.silent else ("__pregel_tasks", "said") if point.sends else ("said",):
            connection.execute(
                "INSERT INTO checkpoint_writes VALUES (%s, %s, %s, %s, 0, %s, 'null', '')", [*place, channel, channel]
            )


def keys(connection: psycopg.Connection[Any], table: str, columns: str) -> set[tuple[str, ...]]:
    return {tuple(row.values()) for row in connection.execute(f"SELECT DISTINCT {columns} FROM {table}")}


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Store]:
    server.reset()
    where = {"host": "localhost", "port": server.port, "database": "app", "modules": ["LangGraph"]}
    assert Job({"store": "shop/agents", "provider": "Patroni", **where}, server.secrets).run().code == 0
    yield Store(server)
    server.reset()


def day(number: int) -> str:
    """An id of the n-th day of ten."""
    return lowest(NOW - timedelta(days=10 - number))


ROOT = [Point("a", "", day(number)) for number in (2, 4, 6)]
LAST: tuple[dict[str, Any], Policy] = ({"keepLast": 1}, Policy(1, None, None))
AGED: tuple[dict[str, Any], Policy] = ({"keepLast": 1, "keepFor": 4.5 * DAY}, Policy(None, day(5), None))
OLD: tuple[dict[str, Any], Policy] = ({"keepLast": 0, "deleteAfter": 4.5 * DAY}, Policy(None, None, day(5)))


def sub(name: str, *days: int, root: int | None = None) -> list[Point]:
    return [Point("a", name, day(number), root=day(root) if root else None) for number in days]


def sent(name: str, first: int, second: int) -> list[Point]:
    """A checkpoint of an old version, and the parent that has what was sent to it."""
    parent = Point("a", name, day(first), sends=True)
    return [parent, Point("a", name, day(second), parent=parent.id, version=3)]


@example(points=[*ROOT, *sub("kept", 0, 1), *sent("kept", 3, 5)], policy=LAST)
@example(points=[*ROOT[:2], *sent("", 5, 6)], policy=LAST)
@example(points=[*ROOT, *sub("call:1", 3, 7, root=2)], policy=LAST)
@example(points=[*ROOT, *sub("call:1", 3, 5, root=6)], policy=LAST)
@example(points=[*ROOT, *sub("call:1", 3, 5, root=4), *sub("call:2", 7, root=6)], policy=LAST)
@example(points=[*ROOT, *sub("call:1", 1, 3, 5), *sub("kept", 1, 3, 5, 7)], policy=LAST)
@example(points=[*ROOT[:2], replace(ROOT[2], source="fork", parent=day(2)), *sub("kept", 0, 1, 3, 5)], policy=LAST)
@example(points=[*ROOT, *(replace(p, mark="snapshot", blobs=frozenset("a")) for p in sub("kept", 1, 3))], policy=LAST)
@example(points=[*ROOT, *(replace(p, mark=MARKS[1]) for p in sub("call:1", 3, root=2))], policy=LAST)
@example(points=[*ROOT, Point("a", "", "0001")], policy=AGED)
@example(points=[*ROOT, Point("a", "", "0001")], policy=LAST)
@example(points=[*ROOT, Point("a", "kept", "0001"), *sub("kept", 1, 3)], policy=LAST)
@example(points=[*ROOT, Point("a", "", "zz"), *sub("kept", 1, 3)], policy=LAST)
@example(points=ROOT[:2], policy=OLD)
@example(points=[*ROOT[:2], Point("a", "kept", "0001")], policy=OLD)
@example(points=[*ROOT[:2], Point("a", "kept", "0001", silent=True)], policy=OLD)
@example(points=[*ROOT[:2], *sub("kept", 7)], policy=OLD)
@example(points=[*ROOT[:2], *(replace(point, silent=True) for point in sub("kept", 7))], policy=OLD)
@example(points=sub("kept", 1, 3), policy=OLD)
@given(points=stores(), policy=policies())
@settings(max_examples=60, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
def test_the_model_keeps_what_stays(store: Store, points: list[Point], policy: tuple[dict[str, Any], Policy]) -> None:
    asked, rule = policy
    with store.server.admin("app") as connection:
        write(connection, points)
        told = store.quick(**asked, dryRun=True).removed
        done = store.quick(**asked).removed
        wanted = kept(points, rule)
        event(f"{'nothing' if len(wanted) == len(points) else 'something'} goes")
        left = keys(connection, "checkpoints", "thread_id, checkpoint_ns, checkpoint_id")
        assert left == {(point.thread, point.name, point.id) for point in wanted}
        written = keys(connection, "checkpoint_writes", "thread_id, checkpoint_ns, checkpoint_id")
        assert written == {(point.thread, point.name, point.id) for point in wanted if not point.silent}
        if len(wanted) < len(points):
            # What somebody else left lies in threads that nobody has pruned.
            changed = {point.thread for point in points if point not in wanted}
            blobs = keys(connection, "checkpoint_blobs", "thread_id, checkpoint_ns, channel")
            used = {(point.thread, point.name, blob) for point in wanted for blob in point.blobs}
            assert {blob for blob in blobs if blob[0] in changed} == {blob for blob in used if blob[0] in changed}
        assert done.checkpoints == len(points) - len(wanted)
        assert told == done
        again = store.quick(**asked).removed
        assert (again.checkpoints, again.writes, again.blobs) == (0, 0, 0)
