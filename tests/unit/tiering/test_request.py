"""What Jobs say when they could not do what they were asked."""

import pytest

from checkpointstore.features.tiering.request import Cold, Holding, Moved, Outcome, Repeated
from checkpointstore.kernel.erasure import Erased


@pytest.mark.parametrize("kind", [Erased, Repeated, Outcome])
def test_what_is_in_the_way_fits_into_a_termination_message(kind: type[Erased | Repeated | Outcome]) -> None:
    said = kind.failure("Unavailable", "no answer " * 1000)
    assert (said.reason, said.message[:9], len(said.message)) == ("Unavailable", "no answer", 1000)
    assert len(said.model_dump_json(by_alias=True).encode()) < 4096


def test_what_a_run_did_with_many_tiers_fits_too() -> None:
    """Eight of them, as the catalog tells no more, of the longest words and numbers."""
    most = 10**15
    tier = Holding(name="n" * 32, storage_class="C" * 64, objects=most, bytes=most, threads=most)
    moved = Moved(**dict.fromkeys(Moved.model_fields, most))
    cold = Cold(threads=most, objects=most, bytes=most, waiting=most, deleted=most, tiers=(tier,) * 8)
    said = Outcome(threads=most, moved=moved, cold=cold, busy=most, busy_reason="why" * 100, seconds=480.1)
    assert len(said.text().encode()) < 4096
