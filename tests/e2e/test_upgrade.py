"""The chart is upgraded under stores that serve: nothing restarts unasked, a new image goes to one store at a time."""

import json
import time
from collections.abc import Iterator
from functools import partial

import pytest

from demo import installation as operator
from demo import store
from demo.kubectl import Kubectl, wait_for
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject

PATIENCE = 180
REGISTRY = "docker.io/"
CLUSTER_WIDE = "clusterroles,clusterrolebindings"


@pytest.fixture(scope="module")
def release(kubectl: Kubectl) -> Iterator[Kubectl]:
    """The operator's release, as it was before once the module has ended."""
    (listed,) = json.loads(kubectl.helm("list", "-n", operator.NAMESPACE, "-f", f"^{operator.RELEASE}$", "-o", "json"))
    yield kubectl
    where = ["-n", operator.NAMESPACE, "--wait"]
    kubectl.helm("rollback", operator.RELEASE, str(listed["revision"]), *where)


@pytest.fixture(scope="module")
def pair(release: Kubectl, namespace: str) -> tuple[Subject, Subject]:
    """Two stores of two instances."""
    stores = Subject(release, namespace, "first"), Subject(release, namespace, "second")
    for made in stores:
        made.apply({"postgres": {"instances": 2}, "pooler": {"instances": 1}})
    for made in stores:
        made.changed("both instances", made.whole, PATIENCE)
    return stores


def upgrade(kubectl: Kubectl, *settings: str) -> None:
    """`helm upgrade` with other values."""
    where = ["-n", operator.NAMESPACE, "--wait"]
    kubectl.helm("upgrade", operator.RELEASE, operator.CHART, "--reuse-values", *settings, *where)


def images(kubectl: Kubectl) -> set[str]:
    """The images of PostgreSQL and PgBouncer that come with the release."""
    (container,) = operator.operator(kubectl)["spec"]["containers"]
    environment = {item["name"]: str(item["value"]) for item in container["env"] if "value" in item}
    return {environment[f"CHECKPOINTSTORE_IMAGE_{name}"] for name in ("POSTGRES", "PGBOUNCER")}


def runs(subject: Subject) -> set[str]:
    """The images of a store's instances and poolers, those that go among them."""
    pods = [*subject.pods(going=True).values(), *subject.pods("pooler", going=True).values()]
    return {container["image"] for pod in pods for container in pod["spec"]["containers"]}


def at_full_strength(subject: Subject) -> bool:
    """Whether no instance and no pooler is missing or new and not ready yet."""
    found = subject.kubectl.get("deployment", f"{subject.name}-pooler", "-n", subject.namespace)
    status = found["status"]
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    counts = {status.get(kind, 0) for kind in ("replicas", "updatedReplicas", "readyReplicas")}
    return subject.whole() and seen and counts == {found["spec"]["replicas"]}


def shows(subject: Subject, value: str) -> bool:
    """Whether the primary has taken a setting up."""
    return subject.psql("show work_mem") == value


def test_another_operator_restarts_nothing(release: Kubectl, pair: tuple[Subject, Subject]) -> None:
    before = [subject.lives() | subject.lives("pooler") for subject in pair]
    pod = operator.holder(release)
    upgrade(release, "--set", "logLevel=DEBUG")
    wait_for("another operator to lead", lambda: operator.holder(release) not in ("", pod), 60)
    for subject in pair:
        subject.patch({"postgres": {"parameters": {"work_mem": "9MB"}}})
        subject.changed("the new operator to work", partial(shows, subject, "9MB"))
    assert [subject.lives() | subject.lives("pooler") for subject in pair] == before


def test_other_images_go_to_one_store_after_the_other(
    release: Kubectl, pair: tuple[Subject, Subject], figures: Figures
) -> None:
    """The same images by shorter names, which every runtime completes: other templates for Kubernetes."""
    old = images(release)
    assert [runs(subject) for subject in pair] == [old, old]
    settings = {}
    for name in ("postgres", "pgbouncer"):
        (was,) = (image for image in old if f"/{name}:" in image)
        assert was.startswith(REGISTRY)
        settings[name] = was.removeprefix(REGISTRY)
    new = set(settings.values())
    upgrade(release, *(part for name, image in settings.items() for part in ("--set-string", f"images.{name}={image}")))
    told: set[tuple[str, ...]] = set()
    most = 0

    def both() -> bool:
        nonlocal most
        found = [subject.seen() for subject in pair]
        told.add(tuple(store.conditions(body)["PostgresAvailable"]["reason"] for body in found))
        short = [subject for subject in pair if not at_full_strength(subject)]
        # One after the other: the turn may have passed on between two looks, a controller's status comes late, and a
        # probe may be missed on a busy machine; two that roll out are still at it.
        if len(short) > 1:
            time.sleep(3)
            short = [subject for subject in short if not at_full_strength(subject)]
        most = max(most, len(short))
        return all(runs(subject) == new for subject in pair) and not short

    with figures.timed("new_images_on_two_stores"):
        wait_for("the new images in both stores", both, 3 * PATIENCE, seen=lambda: str(sorted(told)))
    for subject in pair:
        subject.ready(PATIENCE)
    figures.note("new_images_most_stores_at_once", most, "stores", "<=1")
    assert most == 1, sorted(told)
    assert any("WaitingForTurn" in reasons for reasons in told), sorted(told)


def test_an_operator_of_one_namespace_has_no_rights_in_another(
    release: Kubectl, pair: tuple[Subject, Subject], namespace: str
) -> None:
    """It serves where it is told to, with a Role there and no ClusterRole; a store elsewhere is left alone."""
    elsewhere = f"{namespace}-not"
    release.namespace(elsewhere)
    try:
        lives = [subject.lives() for subject in pair]
        # The console is for an operator of every namespace.
        upgrade(release, "--set", "console.enabled=false", "--set-json", f'watchNamespaces=["{namespace}"]')
        assert operator.OPERATOR not in {item["metadata"]["name"] for item in release.items(CLUSTER_WIDE)}
        account = f"--as={operator.user(release)}"
        assert [allowed(release, account, where) for where in (namespace, elsewhere)] == [True, False]
        here, there = Subject(release, namespace, "served"), Subject(release, elsewhere, "served")
        for subject in (there, here):
            subject.apply({"pooler": {"instances": 1}})
        here.ready(PATIENCE)
        assert "status" not in there.seen()
        assert not there.pods()
        assert [subject.lives() for subject in pair] == lives
    finally:
        release("delete", "namespace", elsewhere, "--wait=false")


def allowed(kubectl: Kubectl, account: str, namespace: str) -> bool:
    """Whether an account has anything to do with StatefulSets in a namespace."""
    return "statefulsets.apps" in kubectl("auth", "can-i", "--list", "-n", namespace, account)
