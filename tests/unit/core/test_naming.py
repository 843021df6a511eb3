"""Names stay names: every object of a store that may be called so fits Kubernetes, PostgreSQL and X.509."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checkpointstore import reconcile
from checkpointstore.api import store as api
from checkpointstore.kernel.action import Apply
from checkpointstore.kernel.errors import Refused
from checkpointstore.kernel.naming import NAME_LIMIT, NAME_PATTERN, Names
from checkpointstore.kernel.observed import Observed, Server
from checkpointstore.providers import external
from tests.contract.world import PLATFORM
from tests.golden.case import EXTERNAL

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
# What Kubernetes appends: a Deployment's pods, a Job's pods, a StatefulSet's controller-revision-hash.
LONGEST_SUFFIX = {"Job": "-x7k2p", "StatefulSet": "-7f6d8c9b54"}

legal = st.from_regex(re.compile(NAME_PATTERN), fullmatch=True).filter(lambda name: len(name) <= NAME_LIMIT)
server = Server("1", frozenset({"host", "port", "database", "username", "password", "ca.crt"}), "db", "5432", "app")


def store(name: str, spec: dict[str, object]) -> api.Store:
    meta = {"name": name, "namespace": "n" * 63, "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return api.parse({"metadata": meta, "spec": spec})


@given(name=legal, spec=st.sampled_from(({}, EXTERNAL)))
def test_every_name_fits(name: str, spec: dict[str, object]) -> None:
    subject = store(name, spec)
    plan = reconcile.plan(subject, Observed(server=server), PLATFORM, subject.created)
    names = {kind: getattr(Names(name), kind) for kind in dir(Names) if isinstance(getattr(Names, kind), property)}
    assert len(set(names.values())) == len(names)
    for text in (*names.values(), Names(name).instance(8), Names(name).volume(8)):
        assert LABEL.fullmatch(text), text
        assert len(text) <= 63
    for action in plan.actions:
        if isinstance(action, Apply):
            meta = action.manifest["metadata"]
            text = meta["name"] + LONGEST_SUFFIX.get(action.manifest["kind"], "")
            assert LABEL.fullmatch(text), text
            assert len(text) <= 63
            for value in meta["labels"].values():
                assert VALUE.fullmatch(value), value
                assert len(value) <= 63


@given(name=legal, other=legal)
def test_stores_that_share_a_server_have_roles_of_their_own(name: str, other: str) -> None:
    assume(name != other)
    env, another = (reconcile._env(store(item, {}), PLATFORM) for item in (name, other))
    roles = (*external.logins(env), f"{external.prefix(env)}_owner", external.prefix(env))
    assert all(re.fullmatch("[a-z][a-z0-9_]*", role) and len(role) <= 63 for role in roles)
    assert not set(roles) & {*external.logins(another), external.prefix(another)}


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(Refused, match=r"metadata\.name: at most 40 characters"):
        store("n" * 41, {})
