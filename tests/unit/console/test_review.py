"""Who sees what, in how few questions, and for how long an answer is believed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from checkpointstore.console import recent, review
from checkpointstore.console.reading import Reading
from checkpointstore.console.recent import Recent
from checkpointstore.console.review import Person, Reviews
from checkpointstore.kernel.errors import Unavailable
from tests.unit.console.fleet import Fake, cluster, many

KEYS = {("shop", "agents"), ("shop", "orders"), ("bank", "ledger")}


@pytest.mark.parametrize(
    ("name", "seen", "questions"),
    [
        ("admin", KEYS, 1),
        ("shopkeeper", {("shop", "agents"), ("shop", "orders")}, 4),
        ("clerk", {("bank", "ledger")}, 6),
        ("stranger", set(), 6),
    ],
)
def test_everybody_sees_what_they_may_get(name: str, seen: set[review.Key], questions: int) -> None:
    fake = cluster()

    async def look() -> None:
        reviews = Reviews(fake)
        person = await reviews.who(f"token-of-{name}")
        assert person == Person(name)
        for _ in range(3):
            assert await reviews.visible(person, KEYS) == seen
        assert fake.count("SubjectAccessReview") == questions
        assert fake.count("TokenReview") == 1
        assert {key for key in KEYS if await reviews.sees(person, key)} == seen

    asyncio.run(look())


def test_a_person_of_another_name_has_other_rights() -> None:
    async def look() -> None:
        reviews = Reviews(cluster())
        assert await reviews.visible(Person("admin"), KEYS) == KEYS
        assert await reviews.visible(Person("stranger"), KEYS) == frozenset()
        assert await reviews.who("token-of-nobody") is None

    asyncio.run(look())


def test_groups_and_extra_are_handed_on() -> None:
    class Told(Fake):
        async def review(self, kind: str, spec: Any) -> Any:
            self.asked.append((kind, spec))
            user = {"username": "a", "uid": "1", "groups": ["b", "c"], "extra": {"k": ["v"]}}
            return {"authenticated": True, "user": user} if kind == "TokenReview" else {"allowed": True}

    fake = Told()

    async def look() -> None:
        reviews = Reviews(fake)
        person = await reviews.who("t")
        assert person
        await reviews.sees(person, ("shop", "agents"))

    asyncio.run(look())
    spec = fake.asked[-1][1]
    assert (spec["user"], spec["uid"], spec["groups"], spec["extra"]) == ("a", "1", ("b", "c"), {"k": ("v",)})


@pytest.mark.parametrize("status", [{}, {"allowed": "true"}, {"allowed": False, "denied": True}])
def test_what_is_not_a_clear_yes_is_a_no(status: dict[str, Any]) -> None:
    class Vague(Fake):
        async def review(self, kind: str, spec: Any) -> Any:
            return status | ({"authenticated": "yes"} if kind == "TokenReview" else {})

    async def look() -> None:
        assert await Reviews(Vague()).who("t") is None
        assert not await Reviews(Vague()).sees(Person("a"), ("shop", "agents"))

    asyncio.run(look())


def test_questions_about_single_stores_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "NAMED", 30)
    fake = cluster(many(200))
    keys = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in fake.objects["CheckpointStore"]}
    assert asyncio.run(Reviews(fake).visible(Person("stranger"), keys)) == frozenset()
    assert fake.count("SubjectAccessReview") == 1 + 20 + 30


def answers(*values: object) -> Callable[[], Coroutine[Any, Any, object]]:
    left = list(values)

    async def ask() -> object:
        await asyncio.sleep(0)
        value = left.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    return ask


def test_an_answer_is_kept_for_its_time_and_a_failure_is_not() -> None:
    async def look() -> None:
        now = [0.0]
        kept: Recent[object] = Recent(10, 5, lambda: now[0])
        ask = answers(1, Unavailable("no"), 2)
        assert await asyncio.gather(*(kept.get("a", ask) for _ in range(3))) == [1, 1, 1]
        now[0] = 9.9
        assert await kept.get("a", ask) == 1
        now[0] = 10
        with pytest.raises(Unavailable):
            await kept.get("a", ask)
        assert await kept.get("a", ask) == 2

    asyncio.run(look())


def test_no_more_answers_are_kept_than_said() -> None:
    async def look() -> None:
        kept: Recent[object] = Recent(10, 2)
        for key in "abcd":
            await kept.get(key, answers(key))
        assert list(kept._held) == ["c", "d"]

    asyncio.run(look())


def test_one_who_goes_away_takes_the_answer_from_nobody() -> None:
    async def look() -> None:
        kept: Recent[object] = recent.Recent(10, 2)
        ask = answers("there")
        leaving = asyncio.create_task(kept.get("a", ask))
        staying = asyncio.create_task(kept.get("a", ask))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == "there"

    asyncio.run(look())


def test_two_hundred_stores_are_one_list_for_everybody() -> None:
    fake = cluster(many(200))

    async def look() -> None:
        reading = Reading(fake)
        assert {len(found) for found in await asyncio.gather(*(reading.stores() for _ in range(9)))} == {200}
        key = ("team-00", "agents-000")
        assert {pod["metadata"]["namespace"] for pod in await reading.pods(key)} == {"team-00"}
        assert len(await reading.pods(key)) == 5

    asyncio.run(look())
    assert fake.count("CheckpointStore") == 1
    assert fake.count("Pod") == 1


def test_backups_and_events_are_those_of_the_store() -> None:
    fake = cluster()

    async def look() -> None:
        reading = Reading(fake)
        assert [item["metadata"]["name"] for item in await reading.backups(("shop", "agents"))] == [
            "agents-full-202611260300"
        ]
        assert await reading.backups(("shop", "orders")) == []
        assert len(await reading.events(("shop", "agents"))) == 1
        assert await reading.events(("shop", "orders")) == []

    asyncio.run(look())


def test_only_a_token_that_was_taken_last_time_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "TRUSTED_SECONDS", 0)
    fake = cluster()

    async def look() -> None:
        reviews = Reviews(fake)
        assert not reviews.met("token-of-admin")
        await reviews.who("token-of-admin")
        await reviews.who("wrong")
        assert (reviews.met("token-of-admin"), reviews.met("wrong")) == (True, False)
        monkeypatch.setattr(review, "PEOPLE", 1)
        await reviews.who("token-of-clerk")
        assert (reviews.met("token-of-admin"), reviews.met("token-of-clerk")) == (False, True)
        fake.tokens.clear()
        await reviews.who("token-of-clerk")
        assert not reviews.met("token-of-clerk")

    asyncio.run(look())
