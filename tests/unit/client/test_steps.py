"""How a thread is waited for."""

import pytest

from checkpointstore.client.steps import Ask, Pause, RecallFailed, bring_back


def waited(answers: list[str], patience: float) -> list[float]:
    """The pauses between the answers, until it ends."""
    work = bring_back("one", patience)
    pauses: list[float] = []
    step = next(work)
    try:
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = work.send(None)
            else:
                assert step == Ask("SELECT checkpointstore.recall(%s) AS answer", ("one",))
                step = work.send(answers.pop(0))
    except StopIteration:
        return pauses


def test_a_thread_that_is_hot_is_not_waited_for() -> None:
    assert waited(["Hot"], 60) == []


def test_it_looks_less_and_less_often() -> None:
    pauses = waited(["Queued"] * 20 + ["Hot"], 60)
    assert pauses[:3] == pytest.approx([0.02, 0.03, 0.045])
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1.0


def test_it_gives_up_after_its_patience_and_looks_a_last_time_then() -> None:
    answers = ["Failed"] * 40
    with pytest.raises(RecallFailed, match=r"thread one is not back after 2.5 s: Failed"):
        waited(answers, 2.5)
    asked = 40 - len(answers)
    pauses = waited(["Failed"] * (asked - 1) + ["Hot"], 2.5)
    assert sum(pauses) == pytest.approx(2.5)


def test_who_has_no_patience_asks_once() -> None:
    with pytest.raises(RecallFailed):
        waited(["Queued"], 0)
