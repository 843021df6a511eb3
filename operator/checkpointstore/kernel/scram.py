"""SCRAM-SHA-256 verifiers as PostgreSQL stores them, computed here so that no server sees a password."""

import base64
import hashlib
import hmac

ITERATIONS = 4096


def verifier(username: str, password: str) -> str:
    """The same name and password always give the same verifier.

    So setting it again changes nothing, and the pooler's auth_file can hold the very one the server has,
    which lets PgBouncer pass a client's login through. The salt gives away no more than the verifier does.
    """
    if not password.isascii() or not password.isprintable():
        raise ValueError("a generated password holds printable ASCII only")
    secret = password.encode()
    salt = hashlib.pbkdf2_hmac("sha256", secret, f"checkpointstore/{username}".encode(), ITERATIONS)[:16]
    salted = hashlib.pbkdf2_hmac("sha256", secret, salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
