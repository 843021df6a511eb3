"""Everything that a store's plan applies is taken by an API server as it is, and never needs to be applied again."""

import asyncio
from typing import Any

import pytest

from checkpointstore import reconcile
from checkpointstore.adapters.kube import Kube
from checkpointstore.api import store as api
from checkpointstore.kernel.action import Apply, Manifest
from checkpointstore.kernel.manifest import FIELD_MANAGER, covers
from checkpointstore.kernel.observed import Observed
from tests.golden.case import FULL

from .conftest import Place
from .field import owned, paths
from .world import PLATFORM

# Hibernated: nothing shall start on a cluster on which these images do not exist.
HIBERNATED = {"checkpointstore.dev/hibernate": "true"}
PLAIN: dict[str, Any] = {**FULL, "networkPolicy": {}}


async def manifests(place: Place, kube: Kube, name: str, spec: dict[str, Any]) -> list[Manifest]:
    """What the first pass applies, owned by a ConfigMap, as the garbage collector wants owners to exist."""
    owner = await kube.apply(place.manifest("v1", "ConfigMap", "owner"))
    meta = {
        "name": name,
        "namespace": place.namespace,
        "uid": owner["metadata"]["uid"],
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": HIBERNATED,
    }
    store = api.parse({"metadata": meta, "spec": spec})
    plan = reconcile.plan(store, Observed(), PLATFORM, store.created)
    found = [action.manifest for action in plan.actions if isinstance(action, Apply)]
    for manifest in found:
        reference = manifest["metadata"]["ownerReferences"][0]
        reference |= {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    assert {"StatefulSet", "Service", "Role", "Endpoints", "NetworkPolicy"} <= {item["kind"] for item in found}
    return found


@pytest.mark.parametrize(("name", "spec"), [("minimal", {}), ("plain", PLAIN), ("full", FULL)])
def test_an_applied_manifest_is_covered(place: Place, name: str, spec: dict[str, Any]) -> None:
    """At once, and after everybody else has had the time to fill in what is theirs."""

    async def story(kube: Kube) -> None:
        applied = await manifests(place, kube, name, spec)
        for manifest in applied:
            assert covers(await kube.apply(manifest), manifest), manifest["kind"]
        await asyncio.sleep(2 if type(kube) is Kube else 0)
        for manifest in applied:
            meta = manifest["metadata"]
            live = await kube.get(manifest["kind"], place.namespace, meta["name"])
            assert live is not None
            assert covers(live, manifest), manifest["kind"]

    place.run(story)


def test_ownership_is_kept_as_the_twin_does(place: Place) -> None:
    """The twin's idea of which fields a manifest sets is the API server's."""

    async def story(kube: Kube) -> None:
        for manifest in await manifests(place, kube, "kept", FULL):
            live = await kube.apply(manifest)
            entry = next(item for item in live["metadata"]["managedFields"] if item["manager"] == FIELD_MANAGER)
            assert frozenset(paths(entry["fieldsV1"])) == owned(manifest), manifest["kind"]

    place.run(story)


def test_a_change_is_not_covered_and_is_after_it_was_applied(place: Place) -> None:
    async def story(kube: Kube) -> None:
        before = {
            item["kind"]: item for item in await manifests(place, kube, "changed", {}) if item["kind"] == "StatefulSet"
        }
        statefulset = before["StatefulSet"]
        live = await kube.apply(statefulset)
        changed: Manifest = {**statefulset, "spec": {**statefulset["spec"], "replicas": 0}}
        template = changed["spec"]["template"] = {**statefulset["spec"]["template"]}
        template["metadata"] = {**template["metadata"], "annotations": {"checkpointstore.dev/restart": "now"}}
        assert not covers(live, changed)
        assert covers(await kube.apply(changed), changed)

    place.run(story)
