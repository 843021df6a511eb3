"""What pgBackRest says becomes a reason, an exit code and a message without secrets."""

import pytest

from checkpointstore.repository import complaint
from tests.unit.repository.captured import DAMAGED, FAILURES


@pytest.mark.parametrize(("text", "reason", "code"), FAILURES)
def test_what_pgbackrest_says_has_a_reason(text: str, reason: str, code: int) -> None:
    failure = complaint.failure(text)
    assert (failure.reason, failure.code) == (reason, code)
    assert "authorization" not in failure.message
    assert failure.message.isprintable()
    assert "\ufffd" not in failure.message


def test_the_message_names_the_instance_and_the_object_stores_code() -> None:
    texts = {reason: text for text, reason, _ in reversed(FAILURES)}
    assert "unable to check pg1" in complaint.failure(texts["InstanceUnreachable"]).message
    assert complaint.failure(texts["BucketMissing"]).message.endswith("404 (Not Found) NoSuchBucket")


def test_a_file_that_a_restore_cannot_read_is_damaged_and_no_key_is_wrong() -> None:
    restored = complaint.failure(DAMAGED, complaint.RESTORE_FAILED)
    assert (restored.reason, restored.code) == ("RestoreFailed", 64)
    encrypted = complaint.failure("ERROR: [095]: raised from local-1 protocol: unable to flush", "RestoreFailed")
    assert (encrypted.reason, encrypted.code) == ("RestoreFailed", 64)
    full = complaint.failure("ERROR: [064]: unable to write '/d': [28] No space left on device", "RestoreFailed")
    assert (full.reason, full.code) == ("RestoreFailed", 1)


def test_a_long_line_is_cut() -> None:
    assert len(complaint.first("ERROR: [064]: " + "x" * 5000)) == complaint.LONGEST
    assert complaint.first("") == "nothing"
