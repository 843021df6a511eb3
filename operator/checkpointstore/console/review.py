"""Who holds a token, and which stores he may see: both as the API server answers, kept for some seconds."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..api.store import GROUP, PLURAL
from .recent import Recent

TRUSTED_SECONDS = 15
PEOPLE, ANSWERS = 1000, 20_000
NAMED = 500
"""Stores that are asked about one by one, for a person who may see neither all nor those of their namespaces."""
Key = tuple[str, str]
"""Namespace and name."""


class Reviewer(Protocol):
    async def review(self, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the API server took the bearer of a token for."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Reviews:
    """Answers are kept by a digest of the token, never by the token itself."""

    def __init__(self, kube: Reviewer) -> None:
        self._kube = kube
        self._people: Recent[Person | None] = Recent(TRUSTED_SECONDS, PEOPLE)
        self._rights: Recent[bool] = Recent(TRUSTED_SECONDS, ANSWERS)
        self._met: OrderedDict[bytes, None] = OrderedDict()

    async def who(self, token: str) -> Person | None:
        """The token's bearer, None when the API server does not take it."""
        key = _digest(token)
        person = await self._people.get(key, lambda: self._who(token))
        if person:
            self._met[key] = None
            self._met.move_to_end(key)
            while len(self._met) > PEOPLE:
                self._met.popitem(last=False)
        else:
            self._met.pop(key, None)
        return person

    def met(self, token: str) -> bool:
        """Whether the API server took it when it was last asked: no guess, however many others guess."""
        return _digest(token) in self._met

    async def _who(self, token: str) -> Person | None:
        # Without audiences it is the API server's own: a token for somebody else opens nothing here.
        status = await self._kube.review("TokenReview", {"token": token})
        if status.get("authenticated") is not True:
            return None
        user = status.get("user") or {}
        return Person(
            name=str(user.get("username", "")),
            uid=str(user.get("uid", "")),
            groups=tuple(user.get("groups") or ()),
            extra=tuple((key, tuple(values)) for key, values in sorted((user.get("extra") or {}).items())),
        )

    async def visible(self, person: Person, stores: Collection[Key]) -> frozenset[Key]:
        """Those of the stores that he may see. One question for all, then one a namespace, then one a store."""
        if await self._may(person, "list"):
            return frozenset(stores)
        namespaces = sorted({namespace for namespace, _ in stores})
        answers = await asyncio.gather(*(self._may(person, "get", namespace) for namespace in namespaces))
        whole = {namespace for namespace, answer in zip(namespaces, answers, strict=True) if answer}
        rest = sorted(key for key in stores if key[0] not in whole)[:NAMED]
        named = await asyncio.gather(*(self._may(person, "get", *key) for key in rest))
        seen = {key for key in stores if key[0] in whole}
        return frozenset(seen | {key for key, answer in zip(rest, named, strict=True) if answer})

    async def sees(self, person: Person, store: Key) -> bool:
        """Whether he may see this one."""
        return (
            await self._may(person, "list")
            or await self._may(person, "get", store[0])
            or await self._may(person, "get", *store)
        )

    async def _may(self, person: Person, verb: str, namespace: str = "", name: str = "") -> bool:
        return await self._rights.get(
            (person, verb, namespace, name), lambda: self._asked(person, verb, namespace, name)
        )

    async def _asked(self, person: Person, verb: str, namespace: str, name: str) -> bool:
        spec = {
            "user": person.name,
            "uid": person.uid,
            "groups": person.groups,
            "extra": dict(person.extra),
            "resourceAttributes": {
                "group": GROUP,
                "resource": PLURAL,
                "verb": verb,
                "namespace": namespace,
                "name": name,
            },
        }
        status = await self._kube.review("SubjectAccessReview", spec)
        return status.get("allowed") is True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
