"""Values in Kubernetes' words and in people's, digests, and what one status makes of another."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.kernel.manifest import merge_patch
from checkpointstore.kernel.values import MIB, bytes_text, digest, mebibytes, quantity
from tests.contract.field import merged


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (7, "7"),
        (1023, "1023"),
        (1024, "1.0Ki"),
        (9.9 * 1024, "9.9Ki"),
        (10 * 1024, "10Ki"),
        (4_000_000, "3.8Mi"),
        (85 * MIB, "85Mi"),
        (1.25 * 1024**3, "1.2Gi"),
        (512 * 1024**3, "512Gi"),
        (3 * 1024**4, "3.0Ti"),
        (5000 * 1024**4, "5000Ti"),
    ],
)
def test_a_size_for_people(count: float, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize("text", ["500m", "2", "1.5Gi", "10G", 3])
def test_a_quantity_is_a_number(text: str | int) -> None:
    values = {"500m": 0.5, "2": 2, "1.5Gi": 1.5 * 1024**3, "10G": 10**10, 3: 3}
    assert quantity(text) == values[text]


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "-1", "1Kib", "1e3"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)


def test_mebibytes_are_rounded_down() -> None:
    assert (mebibytes("1Gi"), mebibytes("1M"), mebibytes(2 * MIB - 1)) == (1024, 0, 1)


def test_a_digest_is_another_when_any_part_is() -> None:
    parts = [("a", "b"), ("ab",), ("ab", ""), ("", "ab"), ("b", "a"), ("a", "b", "")]
    found = {digest(*each) for each in parts}
    assert len(found) == len(parts)
    assert all(len(text) == 16 and set(text) <= set("0123456789abcdef") for text in found)
    assert digest("a", "b") == digest("a", "b")


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, {"a": {"b": {"c": 2}}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, {}),
        ({"a": {"b": 1}}, {"a": 7}, {"a": 7}),
        ({"a": 7}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_merge_patch_says_what_differs(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge_patch(old, new) == patch


plain = st.recursive(
    st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=2),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abc"), plain, max_size=3)


@given(old=objects, new=objects)
def test_whoever_applies_the_patch_has_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merged(old, merge_patch(old, new)) == new
