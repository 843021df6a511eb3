"""SCRAM verifiers: PostgreSQL's own form, always the same, and only for passwords that every client encodes alike."""

import base64
import hashlib
import hmac
import re

import pytest

from checkpointstore.kernel.scram import verifier


def test_always_the_same_and_different_for_everybody() -> None:
    assert verifier("app_a", "secret") == verifier("app_a", "secret")
    assert len({verifier(name, word) for name in ("app_a", "app_b") for word in ("x", "y")}) == 4


def test_a_client_that_knows_the_password_can_prove_it() -> None:
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)", verifier("app_a", "secret"))
    assert found
    iterations, salt, stored = int(found[1]), base64.b64decode(found[2]), base64.b64decode(found[3])
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", salt, iterations)
    assert (iterations, len(salt)) == (4096, 16)
    assert stored == hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()


@pytest.mark.parametrize("password", ["pässword", "tab\t"])
def test_passwords_are_printable_ascii(password: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        verifier("app_a", password)
