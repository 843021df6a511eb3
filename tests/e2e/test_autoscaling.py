"""A pooler follows its load as a real Prometheus tells it: in time, within the budget, and nobody is cut off."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from checkpointstore.features.pooler.load import CLIENTS, WAITING
from demo import prometheus
from demo.agentjob import Agent
from demo.installation import Installation
from demo.kubectl import CommandFailed, Kubectl, NotInTime, wait_for
from demo.timeline import Moment, Place, Timeline
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject
from tests.e2e.writing import Writer

MAX_WAIT = 0.05
AUTOSCALING: dict[str, Any] = {"minInstances": 2, "maxInstances": 4, "maxWait": "50ms"}
# Half of what 100 connections leave: 40. Without load 10 for each of 2 pods, so that 4 pods fit.
SPEC: dict[str, Any] = {
    "postgres": {"parameters": {"max_connections": "100"}},
    # A row a second, as PostgreSQL counts them over five minutes, of the hundreds that the crowd writes.
    "monitoring": {"thresholds": {"writesPerSecond": 1, "p99": "10s", "sustainedFor": "1m"}},
}
BUDGET, REST = 40, 10
RATE, SECONDS = 0.25, 0.5
THREAD = 100
"""Clients that keep two pods of a 25th of a core busy, at three puts a second each."""


@pytest.fixture(scope="module")
def metrics(installation: Installation) -> Iterator[Kubectl]:
    """A Prometheus that reads every five seconds."""
    prometheus.install(installation.kubectl, installation.prometheus_image, "5s")
    yield installation.kubectl
    prometheus.uninstall(installation.kubectl)


@pytest.fixture(scope="module")
def patience(soak: bool) -> int:
    """Seconds without load after which a pooler is made smaller; noise must not do it."""
    return 30 if soak else 10


@pytest.fixture(scope="module")
def stores(metrics: Kubectl, namespace: str, patience: int) -> dict[str, Subject]:
    """Both at once: until they are there, and have been looked at, takes longest."""
    limited = {"requests": {"cpu": "40m", "memory": "64Mi"}, "limits": {"cpu": "40m"}}
    specs = {
        "load": {**SPEC, "pooler": {"autoscaling": {**AUTOSCALING, "scaleDownAfter": f"{patience}s"}}},
        "thread": {"pooler": {"autoscaling": AUTOSCALING, "resources": limited}},
    }
    made = {name: Subject(metrics, namespace, name) for name in specs}
    for name, subject in made.items():
        subject.apply(specs[name])
    for subject in made.values():
        subject.ready()
    return made


@pytest.fixture(scope="module")
def load(stores: dict[str, Subject]) -> Subject:
    """A store whose puts take half a second of a server connection."""
    subject = stores["load"]
    Place(subject.kubectl, subject.namespace, subject.name).slow(SECONDS)
    return subject


def test_pools_grow_before_clients_wait_long_and_shrink_when_they_have_gone(
    load: Subject,
    start_agent: Callable[..., Agent],
    figures: Figures,
    say: Callable[[str], None],
    soak: bool,
    patience: int,
) -> None:
    """20, 200, 600, 20 stock savers; the pools are the bottleneck, as each put sleeps half a second in the server.

    200 need 25 server connections, which the budget has; 600 need 75, which it has not.
    """
    # Without --soak each step ends when what it is for was seen.
    seconds = (60, 120, 90, 150) if soak else (5, 120, 90, 150)
    steps = list(zip((20, 200, 600, 20), seconds, strict=True))
    load.said("AutoscalingLimited", "WithinLimits", 120)
    with Timeline(Place(load.kubectl, load.namespace, load.name), say) as timeline:
        environment = {"STEPS": ",".join(f"{clients}:{length}:{RATE}" for clients, length in steps), "RUN": "pools"}
        agent = start_agent("crowd.py", "load", environment)
        passed = partial(after, agent, timeline, soak)
        grown = passed(1, lambda item: item.pool > REST and item.wait < MAX_WAIT)
        told = passed(2, lambda item: item.limit in ("ServerConnectionsExhausted", "PostgresSaturated"))
        back = passed(3, at_rest)
        result = agent.result(sum(seconds) + 180)
    # On a machine whose processors are all busy, more connections would not help, and that is what it says.
    busy = any(item.limit == "PostgresSaturated" for item in timeline.moments)
    for name, value in (("200_clients_to_wait_below_target", grown), ("600_clients_to_limit_told", told)):
        assert value is not None or busy, timeline.moments
        if value is not None:
            figures.note(f"autoscaling_{name}", value, "s", "<=60")
    assert back is not None, timeline.moments
    figures.note("autoscaling_20_clients_to_the_least", back, "s", f"<={patience + 20}")
    figures.note("autoscaling_logins_that_knocked_again", result["late"], "logins")
    assert result["failures"] == 0, result["failed"]
    assert max(item.used for item in timeline.moments) <= BUDGET
    assert {item.ready for item in timeline.moments} == {"True"}
    assert {item.reconciling for item in timeline.moments} == {"False"}


def after(agent: Agent, timeline: Timeline, soak: bool, number: int, seen: Callable[[Moment], bool]) -> float | None:
    """Seconds from the beginning of a step of the crowd to what it is for, which ends it; not where all is soaked."""
    step = agent.wait_line(f"step {number}", lambda line: line.get("step") == number, 600)
    with suppress(NotInTime):
        wait_for("what the step is for", lambda: timeline.first(step["at"], seen) is not None, 40)
    # It may have ended by itself.
    with suppress(CommandFailed):
        if not soak:
            agent.inside("touch", f"/tmp/step-{number}")
    return timeline.first(step["at"], seen)


def at_rest(moment: Moment) -> bool:
    """Whether the pooler has the size that it has without load."""
    return (moment.pods, moment.pool) == (2, REST)


def test_pods_are_added_where_pgbouncers_thread_is_full(
    stores: dict[str, Subject],
    start_agent: Callable[..., Agent],
    figures: Figures,
    say: Callable[[str], None],
    soak: bool,
) -> None:
    """A pod of this pooler may use a 25th of a core, some 120 puts a second: what is full is not the pools.

    Clients that are there move to the pods that come, and who has been let go is left alone.
    """
    subject = stores["thread"]
    subject.said("AutoscalingLimited", "WithinLimits", 120)
    seconds = 240
    with Timeline(Place(subject.kubectl, subject.namespace, subject.name), say) as timeline:
        agent = start_agent("crowd.py", "thread", {"STEPS": f"10:5:0.25,{THREAD}:{seconds}:3", "RUN": "thread"})
        began = agent.wait_line("the crowd", lambda line: line.get("step") == 1, 600)["at"]
        least, most = wait_for("the crowd to be in all pods", lambda: spread(subject), 80, every=2)
        even = time.time() - began
        say(f"  {least:.0f} to {most:.0f} clients a pod")
        grown = after(agent, timeline, soak, 1, larger)
        result = agent.result(seconds + 180)
    assert grown is not None, timeline.moments
    figures.note("autoscaling_full_thread_to_more_pods", grown, "s", "<=60")
    assert any("one thread is nearly full" in event["message"] for event in subject.events("PoolerScaled"))
    figures.note("autoscaling_full_thread_to_clients_in_new_pods", even, "s", "<=60")
    figures.note("autoscaling_logins_that_knocked_again", result["late"], "logins")
    figures.note("autoscaling_calls_failed_as_clients_moved", result["failures"], f"of {THREAD} clients")
    known = ("admin forced disconnect", "SSL")
    assert all(any(word in text for word in known) for text in result["failed"]), result["failed"]
    assert subject.events("ClientsRebalanced")
    statuses = [item for pod in subject.pods("pooler").values() for item in pod["status"]["containerStatuses"]]
    assert not any(item["restartCount"] for item in statuses)
    # Each is let go once for each pod that comes, but for one, now and then (docs/limits.md).
    came = max(item.desired for item in timeline.moments) - AUTOSCALING["minInstances"]
    assert sum(len(reasons) > came for reasons in result["often"]) <= 0.03 * THREAD, result["often"]


def spread(subject: Subject) -> tuple[float, float] | None:
    """The fewest and the most clients that a pooler pod has, once there are some in more than two pods."""
    pods = f'{{namespace="{subject.namespace}",pod=~"{subject.name}-pooler-.+",database="app"}}'
    each = f"sum by (pod) ({CLIENTS}{pods} + {WAITING}{pods})"
    told = [prometheus.number(subject.kubectl, f"{what}({each})") or 0.0 for what in ("count", "min", "max")]
    number, least, most = told
    return (least, most) if number > 2 and number * least >= 0.4 * THREAD else None


def larger(moment: Moment) -> bool:
    """Whether there are more pods than without load."""
    return moment.pods > 2


def test_writes_that_last_are_told(load: Subject, say: Callable[[str], None]) -> None:
    """They are counted over five minutes, so that those of the crowd that has gone still count."""
    say(f"  {load.said('ThresholdsExceeded', 'TooManyWrites', 90)}")
    assert load.events("ThresholdExceeded")


def test_without_prometheus_it_stays_as_it_is(load: Subject, metrics: Kubectl, figures: Figures) -> None:
    before = load.seen()["status"]["pooler"]
    where = ("-n", prometheus.NAMESPACE)
    metrics("scale", "deployment", prometheus.NAME, "--replicas=0", *where)
    with figures.timed("autoscaling_prometheus_gone_to_told", "<=60"):
        message = load.said("AutoscalingLimited", "PrometheusUnreachable", 150)
    assert prometheus.URL in message
    assert load.condition("Ready")["status"] == "True"
    assert load.seen()["status"]["pooler"] == before
    metrics("scale", "deployment", prometheus.NAME, "--replicas=1", *where)
    with figures.timed("autoscaling_prometheus_back_to_told", "<=60"):
        load.said("AutoscalingLimited", "WithinLimits", 150)
    assert load.seen()["status"]["pooler"] == before


def test_pods_that_leave_cut_no_transaction(load: Subject, start_agent: Callable[..., Agent], figures: Figures) -> None:
    """Four pods, as the spec asks for at least so many, then two, as that suffices."""
    load.psql("drop trigger slow on public.checkpoints")
    least(load, 4)
    writer = Writer.start(start_agent, figures, "load", "leaving")
    with writer.through("autoscaling_scale_down"):
        least(load, 2)
    writer.stop()


def least(subject: Subject, instances: int) -> None:
    """Change minInstances and wait until there are so many pods, the last one that leaves gone."""
    subject.patch({"pooler": {"autoscaling": {"minInstances": instances}}})
    wait_for(
        f"{instances} pooler pods",
        lambda: len(subject.pods("pooler", going=True)) == instances,
        150,
        every=1,
        seen=lambda: str(subject.seen().get("status", {}).get("pooler")),
    )
    subject.ready()


@pytest.mark.skipif("not config.getoption('--soak')", reason="half an hour: run by `make soak`")
def test_noise_does_not_make_it_flap(
    load: Subject, start_agent: Callable[..., Agent], figures: Figures, say: Callable[[str], None]
) -> None:
    """Half an hour of clients that come at random moments, a third of the pools at work on average."""
    Place(load.kubectl, load.namespace, load.name).slow(0.1)
    with Timeline(Place(load.kubectl, load.namespace, load.name), say) as timeline:
        agent = start_agent("crowd.py", "load", {"STEPS": "140:1980:0.5", "RUN": "noise"})
        agent.result(2400)
    settled = timeline.since(timeline.moments[0].at + 180)
    sizes = [(item.desired, item.pool) for item in settled]
    changes = sum(before != after for before, after in itertools.pairwise(sizes))
    figures.note("autoscaling_size_changes_in_30_noisy_minutes", changes, "changes", "<=0")
    assert changes == 0, sizes
