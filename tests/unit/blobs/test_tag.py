"""What a row's type says of values outside."""

from datetime import UTC, datetime

import pytest

from checkpointstore.features.blobs.tag import keys, until

FOLDER = "shop/agents/6f1b"
KEY = f"{FOLDER}/20260108T000000Z/{'a' * 64}"
OTHER = f"{FOLDER}/20260115T000000Z/{'b' * 64}"


@pytest.mark.parametrize(
    ("type_", "found"),
    [
        (f"blob:{KEY}:msgpack", [KEY]),
        (f"blob:{KEY}:msgpack+aes", [KEY]),
        (f"blob:{KEY}:", [KEY]),
        (f"blobs:{KEY},{OTHER}:msgpack", [KEY, OTHER]),
        ("msgpack", []),
        ("blobby", []),
        ("blob", []),
        ("", []),
        (None, []),
    ],
)
def test_keys_of_a_type(type_: str | None, found: list[str]) -> None:
    assert list(keys(type_)) == found


@pytest.mark.parametrize(
    ("key", "moment"),
    [
        (KEY, datetime(2026, 1, 8, tzinfo=UTC)),
        (KEY.replace("6f1b", "6f1c"), None),
        (f"{FOLDER}/deeper/20260108T000000Z/{'a' * 64}", None),
        (KEY[:-1], None),
        (f"{FOLDER}/readme", None),
        (KEY.replace("20260108", "20260230"), None),
    ],
)
def test_until_when_rows_refer_to_it_newly(key: str, moment: datetime | None) -> None:
    assert until(key, FOLDER) == moment
