"""Fixtures of the end-to-end tests: one cluster, one operator from the chart, one namespace a module."""

import fcntl
import itertools
import secrets
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo import agentjob, store
from demo.agentjob import Agent, Line
from demo.clock import Clock
from demo.installation import Installation, chosen, install
from demo.kubectl import Kubectl
from localcluster.objectstore import ObjectStore
from tests.e2e import aftermath
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject

LANES = {
    # These four at once: they disturb nobody, and most of their time they wait.
    "stores": (
        "test_reading",
        "test_external",
        "test_input",
        "test_report",
        "test_deletion",
        "test_full_volume",
    ),
    "threads": ("test_retention", "test_blobs", "test_tiering", "test_dashboards", "test_tracing"),
    # A node that takes no pods for half a minute keeps the others waiting, no more.
    "backups": ("test_backup", "test_backup_faults", "test_adoption"),
    # Gaps are measured when the unit tests are over and the other lanes nearly so.
    "changes": ("test_authority", "test_console", "test_changes"),
    # One after the other, as they disturb all stores; they measure little, so that integration tests run beside them.
    # The last takes all from the cluster that is ours, and installs it anew.
    "disturbing": ("test_outside", "test_upgrade", "test_demo", "test_install"),
    # One after the other, and nothing beside: they measure, or break what all stand on.
    "alone": (
        "test_slice",
        "test_autoscaling",
        "test_alerts",
        "test_operator",
        # It looks for a minute without writes, which the module between takes.
        "test_failover",
        "test_rest",
        "test_faults",
    ),
}
ORDER = tuple(itertools.chain(*LANES.values()))
NOTED = pytest.StashKey[Figures]()
READY_SECONDS = 150


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lane", choices=LANES, help="end-to-end tests that may run beside those of the other lanes")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "e2e: needs a real cluster, which the tests bring up themselves")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each in its lane, and these in their order."""
    ours = [item for item in items if item.path.parent.name == "e2e"]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
    if unplaced := {item.path.stem for item in ours} - set(ORDER):
        raise pytest.UsageError(f"no place in LANES of tests/e2e/conftest.py: {', '.join(sorted(unplaced))}")
    places = [i for i, item in enumerate(items) if item in ours]
    ours.sort(key=lambda item: ORDER.index(item.path.stem))
    for place, item in zip(places, ours, strict=True):
        items[place] = item
    if lane := config.getoption("--lane", None):
        elsewhere = [item for item in ours if item.path.stem not in LANES[lane]]
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What fails is rarely seen a second time: the report says how it was."""
    report = yield
    installation = getattr(item, "funcargs", {}).get("installation")
    if report.failed and installation:
        report.sections.append(("the cluster", aftermath.told(installation.kubectl)))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    figures = config.stash.get(NOTED, None)
    if figures and figures.noted:
        terminalreporter.section("figures")
        for figure in figures.noted:
            terminalreporter.write_line(str(figure))


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line at once, past pytest's capturing."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def past_capture(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(text, flush=True)

    return past_capture


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Figures:
    """Where measured figures are noted."""
    return request.config.stash.setdefault(NOTED, Figures(say))


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest) -> Installation:
    """The cluster of this environment with the operator on it, left running for the next session."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(flush=True)
        with Path(tempfile.gettempdir(), "checkpointstore-e2e.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return install(chosen(), Clock())


@pytest.fixture(scope="session")
def kubectl(installation: Installation) -> Kubectl:
    """kubectl on the cluster."""
    return installation.kubectl


@pytest.fixture(scope="session")
def server(installation: Installation) -> ObjectStore:
    """The cluster's S3 server."""
    return installation.cluster.object_store()


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the module's own that admits only `restricted` pods; gone afterwards."""
    module = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with made(kubectl, module) as name:
        yield name


@contextmanager
def made(kubectl: Kubectl, what: str) -> Iterator[str]:
    """A namespace for as long as it lasts."""
    name = f"e2e-{what}-{secrets.token_hex(2)}"
    kubectl.namespace(name)
    yield name
    # test_install takes all from the cluster that is ours.
    kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def survivor(kubectl: Kubectl) -> Iterator[Subject]:
    """A store of two instances that nobody touches, in whose namespace the operator is killed over others."""
    with made(kubectl, "survivor") as namespace:
        subject = Subject(kubectl, namespace, "survivor")
        subject.apply({"postgres": {"instances": 2}})
        subject.changed("both instances", subject.whole, 180)
        yield subject


@pytest.fixture(scope="module")
def make_store(kubectl: Kubectl, namespace: str) -> Callable[..., dict[str, Any]]:
    """Applies a store and waits until it is Ready."""

    def make(name: str, spec: dict[str, Any]) -> dict[str, Any]:
        kubectl.apply(store.manifest(name, namespace, spec))
        return store.wait_ready(kubectl, name, namespace, READY_SECONDS)

    return make


@pytest.fixture(scope="module")
def start_agent(installation: Installation, namespace: str) -> Callable[..., Agent]:
    """Starts an agent script beside a store and follows what it says."""
    return starter(installation, namespace)


def starter(installation: Installation, namespace: str) -> Callable[..., Agent]:
    """What starts agent scripts in a namespace."""

    def start(script: str, name: str = "agents", environment: Mapping[str, str] | None = None, node: str = "") -> Agent:
        job = f"{name}-{script.partition('.')[0].replace('_', '-')}-{secrets.token_hex(2)}"
        kubectl, image = installation.kubectl, installation.agent_image
        agent = agentjob.start(
            kubectl, namespace, image, script, store=name, name=job, environment=environment, node=node
        )
        return agent.follow()

    return start


@pytest.fixture(scope="module")
def run_agent(start_agent: Callable[..., Agent]) -> Callable[..., tuple[Line, Agent]]:
    """Runs an agent script to its end; gives its result and all that it said."""

    def run(script: str, name: str = "agents", **environment: str) -> tuple[Line, Agent]:
        agent = start_agent(script, name, environment)
        return agent.result(), agent

    return run
