"""How a row refers to values that are in the object store: by its type. Pure.

    blob:KEY:TYPE        the object is the value; its bytes are of TYPE, the row's tell how many
    blobs:KEY,KEY:TYPE   the row's bytes are a checkpoint of TYPE that lacks values

A key is FOLDER/UNTIL/SHA256: it names the store too, as rows may come from another one's backup. None of it has a `+`:
EncryptedSerializer splits at the first one, and its key is not needed to see what is referred to.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

OUTSIDE = "blobs"
"""Of a checkpoint that lacks values: each one's tag, by its channel."""
_KEY = r"[\w./-]+/\d{8}T\d{6}Z/[0-9a-f]{64}"
_ONE = re.compile(rf"blob:({_KEY}):(.*)", re.DOTALL)
_SEVERAL = re.compile(rf"blobs:{_KEY}(?:,{_KEY})*:(.*)", re.DOTALL)


def until(now: float, grace: int) -> str:
    """The end of the interval of `grace` seconds that `now` is in, both counted from 1970.

    A key has it: until then it may be referred to anew, and for `grace` seconds more what refers to it may
    be on its way into a row.
    """
    return datetime.fromtimestamp((int(now) // grace + 1) * grace, UTC).strftime("%Y%m%dT%H%M%SZ")


def one(key: str, kind: str) -> str:
    return f"blob:{key}:{kind}"


def several(tags: Sequence[str], kind: str) -> str:
    """Of a checkpoint of this type that lacks what these refer to."""
    keys = dict.fromkeys(found[0] for tag in tags if (found := read_one(tag)))
    return f"blobs:{','.join(keys)}:{kind}"


def read_one(kind: str | None) -> tuple[str, str] | None:
    """Key and type of a value that is outside."""
    found = _ONE.fullmatch(kind or "")
    return (found[1], found[2]) if found else None


def read_several(kind: str | None) -> str | None:
    """The type of a checkpoint that lacks values."""
    found = _SEVERAL.fullmatch(kind or "")
    return found[1] if found else None


def is_checkpoint(value: Any) -> bool:
    """Whether it is a whole one, as savers for SQLite serialize it."""
    return (
        type(value) is dict
        and type(value.get("channel_values")) is dict
        and type(value.get("channel_versions")) is dict
        and OUTSIDE not in value
    )


def without(checkpoint: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """A checkpoint that lacks the values of these channels; their places stay."""
    values = {channel: None if channel in tags else value for channel, value in checkpoint["channel_values"].items()}
    return {**checkpoint, "channel_values": values, **({OUTSIDE: dict(tags)} if tags else {})}
