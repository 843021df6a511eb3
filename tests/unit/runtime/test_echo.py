"""A pod's event wakes an actor unless it says only how far the server has come in its WAL."""

import copy
import json
from typing import Any

import pytest

from checkpointstore.runtime.echo import Echoes

RUNS = {"state": "running", "role": "replica", "timeline": 1, "xlog_location": 100, "replay_lsn": 90}


def pod(said: object = RUNS, version: int = 1, **meta: Any) -> dict[str, Any]:
    notes = {"status": said if isinstance(said, str) else json.dumps(said)}
    told = {"uid": "u", "resourceVersion": str(version), "managedFields": [{"time": version}], "annotations": notes}
    return {"kind": "Pod", "metadata": {**told, **meta}, "spec": {}, "status": {"podIP": "198.18.0.9"}}


@pytest.fixture
def echoes() -> Echoes:
    echoes = Echoes()
    assert echoes.news("ADDED", pod())
    return echoes


def test_a_place_in_the_wal_is_no_news(echoes: Echoes) -> None:
    moved = pod({**RUNS, "xlog_location": 200, "replay_lsn": 200, "slots": {"agents_0": 200}}, version=2)
    assert not echoes.news("MODIFIED", moved)


@pytest.mark.parametrize(
    "changed",
    [
        pod({**RUNS, "role": "primary"}, version=2),
        pod({**RUNS, "pending_restart": True}, version=2),
        pod("not what Patroni writes", version=2),
        pod(version=2, labels={"role": "primary"}),
        pod(version=2, deletionTimestamp="2026-01-01T00:00:00Z"),
        {**pod(version=2), "status": {"podIP": "198.18.0.10"}},
        {**pod(version=2), "metadata": {"uid": "u"}},
        pod(version=2, uid="of another pod of that name"),
    ],
)
def test_all_else_is(echoes: Echoes, changed: dict[str, Any]) -> None:
    seen = copy.deepcopy(changed)
    assert echoes.news("MODIFIED", changed)
    assert changed == seen, "it is kopf's"
    assert not echoes.news("MODIFIED", changed)
    assert echoes.news("MODIFIED", pod(version=3)) or changed["metadata"]["uid"] != "u"


def test_what_is_told_anew_by_a_new_watch_is(echoes: Echoes) -> None:
    """Between two watches something may have happened that nobody told."""
    assert echoes.news(None, pod())
    assert echoes.news("ADDED", pod())
    assert not echoes.news("MODIFIED", pod())


def test_a_pod_that_is_gone_is_forgotten(echoes: Echoes) -> None:
    assert echoes.news("DELETED", pod())
    assert echoes.news("MODIFIED", pod())
