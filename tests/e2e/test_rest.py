"""What the operator does when nothing is to be done, after it was killed many times: nothing."""

from datetime import timedelta

import pytest

from demo import installation, store
from demo.kubectl import wait_for
from tests.e2e import audit, inventory
from tests.e2e.figure import Figures
from tests.e2e.subject import PASSING, Subject

REST = timedelta(seconds=60)
FLUSHED = timedelta(seconds=2)
ELSEWHERE = " e2e-failover-"
"""Whose stores it may write to meanwhile: their primaries are killed."""


def test_at_rest_the_operator_writes_nothing(survivor: Subject, figures: Figures) -> None:
    """A whole minute; a probe that a busy machine misses begins another."""
    log = audit.log()
    if log is None:
        pytest.skip("this cluster has no audit log")
    user = installation.user(survivor.kubectl)
    found: dict[str, int] = {}

    def quiet() -> bool:
        until = audit.now() - FLUSHED
        with log.open() as lines:
            # The last one may be half written yet.
            counted = audit.writes((line for line in lines if line.endswith("\n")), user, until - REST, until)
        found.clear()
        found.update({what: count for what, count in counted.items() if ELSEWHERE not in what})
        return not found

    with figures.timed("operator_wrote_nothing_for_60_s_after"):
        wait_for("a minute without writes", quiet, 80, every=5, seen=lambda: str(found))
    assert store.is_ready(survivor.seen()), store.described(survivor.seen())


def test_nothing_of_a_deleted_store_came_back(survivor: Subject) -> None:
    """A minute later: a Patroni that ends after the deletion could make its Endpoints again."""
    back = inventory.of_store(survivor.kubectl, survivor.namespace, f"{PASSING}-")
    assert not back, f"orphans: {sorted(back)}"
