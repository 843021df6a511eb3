"""What the operator relies on of the Kubernetes API, true of the twin and of a real API server alike."""

import pytest

from checkpointstore.adapters.kube import Kube
from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.errors import Conflict, Refused, Terminating, Unavailable
from checkpointstore.kernel.manifest import covers

from .conftest import Place


def config(place: Place, name: str, **data: str) -> Manifest:
    return place.manifest("v1", "ConfigMap", name, data=data)


async def live(kube: Kube, manifest: Manifest) -> Manifest:
    meta = manifest["metadata"]
    found = await kube.get(manifest["kind"], meta["namespace"], meta["name"])
    assert found is not None
    return found


def test_applying_again_changes_nothing(place: Place) -> None:
    async def story(kube: Kube) -> None:
        first = await kube.apply(config(place, "again", key="value"))
        second = await kube.apply(config(place, "again", key="value"))
        assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
        assert second["data"] == {"key": "value"}

    place.run(story)


def test_what_is_no_longer_applied_goes(place: Place) -> None:
    async def story(kube: Kube) -> None:
        await kube.apply(config(place, "less", one="1", two="2"))
        assert (await kube.apply(config(place, "less", one="1")))["data"] == {"one": "1"}

    place.run(story)


def test_what_others_set_stays_and_what_they_take_comes_back(place: Place) -> None:
    """A field that we own and somebody changes is ours again after the next apply; one that they added stays theirs."""

    async def story(kube: Kube) -> None:
        mine = config(place, "shared", mine="1")
        await kube.apply(mine)
        stranger = {"data": {"mine": "2", "theirs": "3"}}
        await kube.merge("ConfigMap", place.namespace, "shared", stranger)
        changed = await live(kube, mine)
        assert changed["data"] == {"mine": "2", "theirs": "3"}
        assert not covers(changed, mine)
        fresh = await kube.apply(mine)
        assert fresh["data"] == {"mine": "1", "theirs": "3"}
        assert covers(fresh, mine)

    place.run(story)


def test_creating_what_exists_is_a_conflict(place: Place) -> None:
    async def story(kube: Kube) -> None:
        await kube.create(config(place, "once", key="first"))
        with pytest.raises(Conflict):
            await kube.create(config(place, "once", key="second"))
        assert (await live(kube, config(place, "once")))["data"] == {"key": "first"}

    place.run(story)


def test_a_name_is_made_up_where_none_is_given(place: Place) -> None:
    async def story(kube: Kube) -> None:
        manifest = config(place, "")
        del manifest["metadata"]["name"]
        manifest["metadata"]["generateName"] = "some-"
        made = [(await kube.create(manifest))["metadata"]["name"] for _ in range(2)]
        assert all(name.startswith("some-") for name in made)
        assert made[0] != made[1]

    place.run(story)


def test_what_is_not_there_is_none_and_deleting_it_is_fine(place: Place) -> None:
    async def story(kube: Kube) -> None:
        assert await kube.get("ConfigMap", place.namespace, "nobody") is None
        assert await kube.merge("ConfigMap", place.namespace, "nobody", {"data": {"key": "value"}}) is None
        await kube.delete("ConfigMap", place.namespace, "nobody")
        assert await kube.get("ConfigMap", place.namespace, "nobody") is None

    place.run(story)


def test_replacing_what_has_changed_is_a_conflict(place: Place) -> None:
    """The Lease rests on this: of two who read the same version only one writes."""

    async def story(kube: Kube) -> None:
        await kube.create(config(place, "raced", holder="nobody"))
        seen = await live(kube, config(place, "raced"))
        await kube.replace({**seen, "data": {"holder": "first"}})
        with pytest.raises(Conflict):
            await kube.replace({**seen, "data": {"holder": "second"}})
        assert (await live(kube, seen))["data"] == {"holder": "first"}

    place.run(story)


def test_replacing_what_is_gone_says_so(place: Place) -> None:
    async def story(kube: Kube) -> None:
        await kube.create(config(place, "gone"))
        seen = await live(kube, config(place, "gone"))
        await kube.delete("ConfigMap", place.namespace, "gone")
        with pytest.raises((Unavailable, Conflict)):
            await kube.replace({**seen, "data": {"key": "value"}})

    place.run(story)


def test_a_merge_takes_away_what_it_sets_to_null(place: Place) -> None:
    async def story(kube: Kube) -> None:
        await kube.apply(config(place, "merged", one="1", two="2"))
        await kube.merge("ConfigMap", place.namespace, "merged", {"data": {"one": None, "three": "3"}})
        assert (await live(kube, config(place, "merged")))["data"] == {"two": "2", "three": "3"}

    place.run(story)


def test_lists_select_by_label_and_say_their_kind(place: Place) -> None:
    async def story(kube: Kube) -> None:
        await kube.apply(config(place, "listed"))
        other = config(place, "unlisted")
        other["metadata"]["labels"] = {"tried": "no"}
        await kube.apply(other)
        found = await kube.all("ConfigMap", place.namespace, "tried=yes")
        names = [item["metadata"]["name"] for item in found]
        assert "listed" in names
        assert "unlisted" not in names
        assert {(item["kind"], item["apiVersion"]) for item in found} == {("ConfigMap", "v1")}

    place.run(story)


def test_what_is_immutable_is_refused(place: Place) -> None:
    async def story(kube: Kube) -> None:
        selector = {"matchLabels": {"tried": "yes"}}
        pod = {
            "metadata": {"labels": {"tried": "yes"}},
            "spec": {"containers": [{"name": "one", "image": "images/none:1"}]},
        }
        deployment = place.manifest("apps/v1", "Deployment", "fixed")
        deployment["spec"] = {"replicas": 0, "selector": selector, "template": pod}
        await kube.apply(deployment)
        labels = {"tried": "yes", "more": "yes"}
        pod["metadata"] = {"labels": labels}
        deployment["spec"] = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
        with pytest.raises(Refused) as caught:
            await kube.apply(deployment)
        assert caught.value.reason == "Rejected"
        assert "selector" in caught.value.message

    place.run(story)


def test_the_spec_counts_generations_and_the_status_does_not(place: Place) -> None:
    async def story(kube: Kube) -> None:
        budget = place.manifest("policy/v1", "PodDisruptionBudget", "counted")
        budget["spec"] = {"maxUnavailable": 1, "selector": {"matchLabels": {"tried": "yes"}}}
        first = await kube.apply(budget)
        told = await kube.merge(
            "PodDisruptionBudget", place.namespace, "counted", {"status": {"expectedPods": 0}}, "status"
        )
        assert told is not None
        budget["spec"] = {**budget["spec"], "maxUnavailable": 2}
        second = await kube.apply(budget)
        assert [item["metadata"]["generation"] for item in (first, told, second)] == [1, 1, 2]

    place.run(story)


def test_whether_a_kind_is_served(place: Place) -> None:
    async def story(kube: Kube) -> None:
        assert await kube.serves("ConfigMap")

    place.run(story)


def test_a_change_of_what_is_not_the_newest_any_more_is_a_conflict(place: Place) -> None:
    async def story(kube: Kube) -> None:
        first = await kube.apply(config(place, "newest", key="1"))
        version = {"resourceVersion": first["metadata"]["resourceVersion"]}
        await kube.merge("ConfigMap", place.namespace, "newest", {"metadata": version, "data": {"key": "2"}})
        with pytest.raises(Conflict):
            await kube.merge("ConfigMap", place.namespace, "newest", {"metadata": version, "data": {"key": "3"}})
        assert (await live(kube, first))["data"] == {"key": "2"}

    place.run(story)


def test_nothing_is_made_in_a_namespace_that_is_being_deleted(place: Place) -> None:
    namespace = place.doom()

    async def story(kube: Kube) -> None:
        late = config(place, "late")
        late["metadata"]["namespace"] = namespace
        for make in (kube.create, kube.apply):
            with pytest.raises(Terminating):
                await make(late)

    place.run(story)
