"""How an application finds its database: the binding Secret mounted as files, or one variable from it."""

import os
from pathlib import Path

MOUNT = Path(os.environ.get("BINDING_DIR", "/bindings/store"))


def read(key: str) -> str:
    """One key of the mounted binding Secret, such as `plain-uri`."""
    return (MOUNT / key).read_text().strip()


def uri() -> str:
    """The connection string for libpq, from DATABASE_URI if set, else from the mounted Secret."""
    return os.environ.get("DATABASE_URI") or read("uri")
