"""Deleting a store leaves its volumes, by the default policy, and nothing else; its name is free at once.

A namespace that is deleted is not held up, whatever should have gone with a store in it.
"""

import time
from collections.abc import Callable
from typing import Any

from demo import bucket, store
from demo.kubectl import Kubectl, NotInTime, wait_for
from localcluster.objectstore import ObjectStore
from tests.e2e.figure import Figures
from tests.e2e.inventory import objects

NAME = "passing"


def test_deletion_leaves_only_volumes(
    kubectl: Kubectl, namespace: str, make_store: Callable[..., dict[str, Any]], figures: Figures
) -> None:
    make_store(NAME, {})
    before = objects(kubectl, namespace)
    volumes = {name for name in before if name.startswith("PersistentVolumeClaim/")}
    assert volumes
    began = time.monotonic()
    kubectl("delete", "checkpointstore", NAME, "-n", namespace)
    left: set[str] = set()

    def gone() -> bool:
        left.clear()
        left.update(objects(kubectl, namespace))
        return left == volumes

    try:
        wait_for("everything but the volumes gone", gone, 120, seen=lambda: f"left: {sorted(left - volumes)}")
    except NotInTime as error:
        raise AssertionError(str(error)) from error
    figures.note("delete_to_gone", time.monotonic() - began, "s")


def test_a_store_made_again_at_once_waits_for_what_the_earlier_one_left(
    kubectl: Kubectl, namespace: str, make_store: Callable[..., dict[str, Any]], figures: Figures
) -> None:
    spec = {"reclaimPolicy": {"volumes": "Delete"}}
    make_store("again", spec)
    hold = ("patch", "statefulset", "again", "-n", namespace, "--type=merge", "--patch")
    kubectl(*hold, '{"metadata": {"finalizers": ["checkpointstore.dev/a-test-holds-it"]}}')
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        if "PredecessorTerminating" in line:
            let_go()

    def let_go() -> None:
        # The one that waits for it has none yet.
        if kubectl.find("statefulset", "again", namespace):
            kubectl(*hold, '{"metadata": {"finalizers": null}}')

    try:
        kubectl("delete", "checkpointstore", "again", "-n", namespace)
        began = time.monotonic()
        kubectl.apply(store.manifest("again", namespace, spec))
        store.wait_ready(kubectl, "again", namespace, 120, hear)
    finally:
        let_go()
    figures.note("made_again_to_ready", time.monotonic() - began, "s")
    print("\n".join(line for line in heard if line.startswith("Ready=")))
    assert not [line for line in heard if line.startswith("Stalled=True")]
    assert any("PredecessorTerminating" in line for line in heard), heard


def test_a_namespace_is_not_held_up_by_what_should_go_from_a_bucket(
    kubectl: Kubectl, namespace: str, server: ObjectStore, figures: Figures
) -> None:
    doomed = f"{namespace}-doomed"
    kubectl.namespace(doomed)
    bucket.give(kubectl, doomed, server)
    tiers = [{"name": "cold", "after": "1h"}]
    tiering = {"objectStore": bucket.object_store(server, bucket.folder("doomed")), "tiers": tiers}
    kubectl.apply(store.manifest("held", doomed, {"tiering": tiering, "reclaimPolicy": {"coldData": "Delete"}}))

    def has_finalizer() -> bool:
        return bool((kubectl.find("cps", "held", doomed) or {"metadata": {}})["metadata"].get("finalizers"))

    wait_for("a finalizer", has_finalizer, 60, every=0.5)
    with figures.timed("delete_namespace_to_gone", "<=120"):
        kubectl("delete", "namespace", doomed, timeout=300)
