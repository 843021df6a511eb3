"""A crowd comes and goes: a pooler that follows it, against one that stays at the least and one at the most."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.picture import drawn
from benchmarks.sample import one
from benchmarks.stage import Scene, Stage, Wrong
from demo import agentjob, prometheus
from demo.timeline import Moment, Place, Timeline

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "autoscaling.svg"
CLIENTS = (20, 200, 600, 20)
SECONDS, LONG = (30, 90, 90, 120), (60, 150, 150, 300)
AFTER = "60s"
WAIT = 0.05
FOLLOWS: dict[str, Any] = {"minInstances": 2, "maxInstances": 6, "maxWait": "50ms", "scaleDownAfter": AFTER}
# A client is let go when its pod goes, and to move to pods that came, once for each growth.
MAY_LOSE = 4
# PgBouncer's one thread is the bottleneck: a pod may use a 25th of a core, and the server answers at once.
THREAD: dict[str, Any] = {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "40m"}}}


def pools(stage: Stage) -> None:
    """20, 200, 600, 20 stock savers, pools full: waiting, p99, pod-minutes of a pooler that follows them; 10 minutes"""
    _compare(stage, "pools", {}, rate=0.2, slow=0.5, connections=200)


def thread(stage: Stage) -> None:
    """The same where PgBouncer's one thread is full; 18 minutes"""
    _compare(stage, "thread", THREAD, rate=0.5, slow=0.0, connections=200)


def _compare(stage: Stage, what: str, pooler: dict[str, Any], rate: float, slow: float, connections: int) -> None:
    prometheus.install(stage.kubectl, stage.prometheus, "5s")
    try:
        with stage.scene("autoscaling") as scene:
            _in_turn(scene, what, pooler, rate, slow, connections)
    finally:
        prometheus.uninstall(stage.kubectl)


def _in_turn(scene: Scene, what: str, pooler: dict[str, Any], rate: float, slow: float, connections: int) -> None:
    """The same crowd through three poolers, one after the other."""
    note = scene.stage.report.note
    server = {"parameters": {"max_connections": str(connections)}}
    sizes: dict[str, dict[str, Any]] = {
        "follows": {"autoscaling": FOLLOWS},
        "least": {"instances": 2},
        "most": {"instances": 6},
    }
    waits: dict[str, list[float]] = {}
    settled: dict[str, float] = {}
    pods: dict[str, float] = {}
    for name, size in sizes.items():
        store = f"{what}-{name}"
        scene.store(store, {"postgres": server, "pooler": {**pooler, **size}})
        place = Place(scene.stage.kubectl, scene.namespace, store)
        if slow:
            place.slow(slow)
        moments, lines, lost = _crowd(scene, place, rate, may_lose=MAY_LOSE if name == "follows" else 0)
        waits[name] = [line["p99"] for line in lines if line["event"] == "stepped"]
        settled[name] = _at_the_end(lines, 2)
        pods[name] = _pod_minutes(moments)
        note(f"autoscaling.{what}.{name}.failed_calls", one(lost), "calls")
        note(f"autoscaling.{what}.{name}.pod_minutes", one(pods[name]), "min")
        for clients, p99 in zip(CLIENTS[:3], waits[name], strict=False):
            note(f"autoscaling.{what}.{name}.put.p99.{clients}_clients", one(p99), "ms")
        note(f"autoscaling.{what}.{name}.put.p99.600_clients_at_the_end", one(settled[name]), "ms")
        if name == "follows":
            _followed(scene, what, moments, [line["at"] for line in lines if line["event"] == "step"])
        scene.clear()
    for name in ("least", "most"):
        note(f"autoscaling.{what}.p99_600_clients.{name}_to_follows", one(waits[name][2] / waits["follows"][2]), "x")
        ratio = settled[name] / settled["follows"]
        note(f"autoscaling.{what}.p99_600_clients_at_the_end.{name}_to_follows", one(ratio), "x")
        note(f"autoscaling.{what}.pod_minutes.{name}_to_follows", one(pods[name] / pods["follows"]), "x")


def _crowd(
    scene: Scene, place: Place, rate: float, may_lose: int
) -> tuple[Sequence[Moment], list[dict[str, Any]], int]:
    """What was seen and told, and how many calls failed: a connection fails once when it is let go."""
    seconds = LONG if scene.stage.full else SECONDS
    steps = ",".join(f"{clients}:{length}:{rate}" for clients, length in zip(CLIENTS, seconds, strict=True))
    kubectl, namespace = scene.stage.kubectl, scene.namespace
    with Timeline(place, scene.stage.report.out) as timeline:
        name = f"{place.name}-crowd"
        environment = {"STEPS": steps}
        agent = agentjob.start(
            kubectl, namespace, scene.stage.image, "crowd.py", store=place.name, name=name, environment=environment
        ).follow()
        result = agent.result(sum(seconds) + 300)
    if result["most"] > may_lose:
        raise Wrong(f"{result['failures']} calls failed, {result['most']} of one client: {result['failed']}")
    return timeline.moments, agent.lines, result["failures"]


def _at_the_end(lines: Sequence[dict[str, Any]], step: int) -> float:
    """The median second's p99 in the last third of a step, when the pooler has the size that it has for it."""
    [began] = [line["at"] for line in lines if line["event"] == "step" and line["step"] == step]
    [ended] = [line["at"] for line in lines if line["event"] == "step" and line["step"] == step + 1]
    since = ended - (ended - began) / 3
    told: list[float] = [line["p99"] for line in lines if line["event"] == "second" and since <= line["at"] < ended]
    return median(told)


def _followed(scene: Scene, what: str, moments: Sequence[Moment], steps: Sequence[float]) -> None:
    """How soon it followed each step, and its picture."""
    note = scene.stage.report.note
    for clients, began, ended in zip(CLIENTS[1:3], steps[1:3], steps[2:4], strict=True):
        late = [item.at - began for item in moments if began <= item.at < ended and item.wait > WAIT]
        note(f"autoscaling.{what}.{clients}_clients.wait_below_target_after", one(max(late, default=0.0)), "s", "<=60")
    first, last = moments[0], moments[-1]
    least = (
        item for item in moments if item.at > steps[3] and (item.desired, item.pool) == (first.desired, first.pool)
    )
    back = next((item.at - steps[3] for item in least), float("inf"))
    note(f"autoscaling.{what}.least_again_after", one(back), "s", "<=120")
    place = PICTURE.with_name(f"{PICTURE.stem}-{what}.svg")
    scene.stage.report.out(f"    {last.pods} pods at the end; drawn in {place.name}")
    place.write_text(drawn(moments, list(zip(steps, CLIENTS, strict=True)), WAIT))


def _pod_minutes(moments: Sequence[Moment]) -> float:
    return sum((after.at - before.at) * before.pods for before, after in itertools.pairwise(moments)) / 60
