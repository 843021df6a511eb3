"""How rows refer to values that are outside."""

from typing import Any

import pytest

from checkpointstore.client import tag
from checkpointstore.features.blobs.tag import keys

KEY, OTHER = (f"shop/agents/6f-1b/20261129T000000Z/{letter * 64}" for letter in "ab")
NOON = 1795953600.0  # 2026-11-29T12:00:00Z


@pytest.mark.parametrize(
    ("now", "grace", "end"),
    [
        (NOON, 3600, "20261129T130000Z"),
        (NOON + 3599.9, 3600, "20261129T130000Z"),
        (NOON + 3600, 3600, "20261129T140000Z"),
        (NOON, 86400, "20261130T000000Z"),
        (NOON, 7 * 86400, "20261203T000000Z"),
        (0.0, 1, "19700101T000001Z"),
    ],
)
def test_an_interval_ends_after_now_and_before_a_whole_one_has_passed(now: float, grace: int, end: str) -> None:
    assert tag.until(now, grace) == end


@pytest.mark.parametrize("kind", ["msgpack", "bytes", "", "msgpack+aes", "of:more:colons", "a\nb"])
def test_a_tag_is_read_as_it_was_written(kind: str) -> None:
    assert tag.read_one(tag.one(KEY, kind)) == (KEY, kind)
    assert tag.read_several(tag.several([tag.one(KEY, "x"), tag.one(OTHER, "y"), tag.one(KEY, "x")], kind)) == kind


def test_a_checkpoints_type_names_each_object_once() -> None:
    said = tag.several([tag.one(KEY, "msgpack"), tag.one(OTHER, "bytes"), tag.one(KEY, "msgpack")], "msgpack")
    assert said == f"blobs:{KEY},{OTHER}:msgpack"
    assert keys(said) == [KEY, OTHER]


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "null",
        "msgpack",
        "msgpack+aes",
        "blob:",
        f"blob:{KEY}",
        "blob:../../other:msgpack",
        f"blob:{KEY.upper()}:msgpack",
        f"blob:{KEY.rpartition('/')[0]}:msgpack",
        f"blob:{KEY.partition('2026')[2]}:msgpack",
        f"x{tag.one(KEY, 'msgpack')}",
    ],
)
def test_what_is_no_tag_of_ours_is_left_to_others(kind: str | None) -> None:
    assert (tag.read_one(kind), tag.read_several(kind)) == (None, None)


def test_one_and_several_are_told_apart() -> None:
    assert tag.read_several(tag.one(KEY, "msgpack")) is None
    assert tag.read_one(tag.several([tag.one(KEY, "x")], "msgpack")) is None


WHOLE: dict[str, Any] = {"id": "1", "channel_values": {"a": 1, "b": None}, "channel_versions": {"a": 1}}


def test_a_checkpoint_keeps_the_places_of_values_that_it_lacks() -> None:
    lacking = tag.without(WHOLE, {"a": "tag"})
    assert lacking == {**WHOLE, "channel_values": {"a": None, "b": None}, "blobs": {"a": "tag"}}
    assert list(lacking["channel_values"]) == ["a", "b"]
    assert tag.without(WHOLE, {}) == WHOLE
    assert WHOLE["channel_values"] == {"a": 1, "b": None}


class Other(dict[str, Any]):
    pass


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        {},
        {"channel_values": {}},
        {"channel_values": [], "channel_versions": {}},
        {**WHOLE, "blobs": {}},
        Other(WHOLE),
    ],
)
def test_what_is_no_whole_checkpoint_is_a_value(value: Any) -> None:
    assert tag.is_checkpoint(WHOLE)
    assert not tag.is_checkpoint(value)
