"""How a row says that its value is outside: in its type, which any saver writes and reads as it is. Pure.

`blob:KEY:TYPE`, or `blobs:KEY,KEY:TYPE` where parts of a value are outside; TYPE is what the value has there. A key is
NAMESPACE/NAME/UID/UNTIL/SHA256 of a value, where UNTIL is when rows begin to refer to a new copy of it.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

TAGGED = re.compile(r"blobs?:([^:]+):")
TIME = "%Y%m%dT%H%M%SZ"
_KEY = re.compile(r"(?P<folder>.+)/(?P<until>\d{8}T\d{6}Z)/[0-9a-f]{64}")


def keys(type_: str | None) -> Sequence[str]:
    """What a row of that type refers to."""
    found = TAGGED.match(type_ or "")
    return found[1].split(",") if found else ()


def until(key: str, folder: str) -> datetime | None:
    """When rows stop to refer to it newly; None where it is no value of that folder."""
    found = _KEY.fullmatch(key)
    if not found or found["folder"] != folder:
        return None
    try:
        return datetime.strptime(found["until"], TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
