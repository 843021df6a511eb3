"""What Jobs say when they could not do what they were asked."""

import pytest

from checkpointstore.features.tiering.request import Erased, Outcome, Repeated


@pytest.mark.parametrize("kind", [Erased, Repeated, Outcome])
def test_what_is_in_the_way_fits_into_a_termination_message(kind: type[Erased | Repeated | Outcome]) -> None:
    said = kind.failure("Unavailable", "no answer " * 1000)
    assert (said.reason, said.message[:9], len(said.message)) == ("Unavailable", "no answer", 1000)
    assert len(said.model_dump_json(by_alias=True).encode()) < 4096
