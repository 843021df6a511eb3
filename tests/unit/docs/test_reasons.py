"""Every reason that the code gives is in the list that docs/api.md shows, and the list names no other."""

from fnmatch import fnmatchcase

from checkpointstore.api.reason import CONDITIONS, EVENTS, OF_BACKUPS
from checkpointstore.api.subject import Event
from checkpointstore.kernel import condition
from tests.unit.docs.literals import Use, uses

FOUND = uses()
CONDITION_USES = [use for use in FOUND if use.kind == "condition"]
DOCUMENTED = {
    (subject.type, status.value, reason.name): reason
    for subject in (*CONDITIONS, *OF_BACKUPS)
    for status, reasons in subject.reasons
    for reason in reasons
}


def known(use: Use) -> bool:
    """Whether some documented reason fits what the source says of a use."""
    return any(
        use.type in ("", type_) and use.status in ("", status) and use.reason == name
        for type_, status, name in DOCUMENTED
    )


def given(type_: str, status: str, name: str) -> bool:
    return any(use.type in ("", type_) and use.status in ("", status) and use.reason == name for use in CONDITION_USES)


def fits(use: Use, event: Event) -> bool:
    return use.type == event.type and fnmatchcase(event.reason, use.reason)


def test_the_source_is_read() -> None:
    """The reasons behind a wrapper, an alias, a conditional, a fallback and in what is written down, one of each."""
    known = {use.reason for use in FOUND}
    assert {"SecretMissing", "Applying", "Paused", "JobFailed", "UnknownSchema", "TookTooLong"} <= known


def test_every_reason_in_the_code_is_documented() -> None:
    assert [use for use in CONDITION_USES if not known(use)] == []


def test_every_documented_reason_is_in_the_code() -> None:
    assert [row for row in DOCUMENTED if not given(*row)] == []


def test_what_stalls_is_said_to_stall() -> None:
    stalling = {(use.type, use.reason) for use in CONDITION_USES if use.stalls and use.type}
    documented = {(type_, name) for (type_, _, name), reason in DOCUMENTED.items() if reason.stalls}
    assert stalling <= documented


def test_events_and_code_agree() -> None:
    emitted = [use for use in FOUND if use.kind == "event"]
    assert [use for use in emitted if not any(fits(use, event) for event in EVENTS)] == []
    assert [event for event in EVENTS if not any(fits(use, event) for use in emitted)] == []


def test_every_condition_has_its_reasons() -> None:
    kinds = {value for name, value in vars(condition).items() if name.isupper() and isinstance(value, str)}
    assert kinds == {subject.type for subject in CONDITIONS}


def test_no_reason_is_listed_twice() -> None:
    rows = [
        (subject.type, status, reason.name)
        for subject in (*CONDITIONS, *OF_BACKUPS)
        for status, reasons in subject.reasons
        for reason in reasons
    ]
    assert len(rows) == len(set(rows))
