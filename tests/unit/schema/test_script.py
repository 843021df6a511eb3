"""SQL files: blocks, comments, and slots that nothing can break out of."""

import pytest

from checkpointstore.features.schema.script import parse

TEXT = """-- why this file is
-- name: first
SELECT :'value'::text,

-- a reason in between
       :"name"
-- why the second
-- name: second
SELECT 1
"""


def test_blocks_are_named_and_lose_their_comments() -> None:
    script = parse(TEXT)
    assert list(script.blocks) == ["first", "second"]
    assert script.sql("second") == "SELECT 1"
    assert script.sql("first", value="v", name="n") == "SELECT 'v'::text,\n       \"n\""


@pytest.mark.parametrize(("value", "quoted"), [("it's", "'it''s'"), ('say "x"', "'say \"x\"'")])
def test_literals_are_quoted(value: str, quoted: str) -> None:
    assert parse("-- name: q\n:'value'").sql("q", value=value) == quoted


@pytest.mark.parametrize(("name", "quoted"), [('a"; DROP', '"a""; DROP"'), ("it's", '"it\'s"')])
def test_identifiers_are_quoted(name: str, quoted: str) -> None:
    assert parse('-- name: q\n:"name"').sql("q", name=name) == quoted


@pytest.mark.parametrize("value", ["a\\", "a\0b"])
def test_what_cannot_be_quoted_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="value: a backslash or a NUL"):
        parse("-- name: q\n:'value'").sql("q", value=value)


def test_a_missing_value_or_block_is_an_error() -> None:
    with pytest.raises(KeyError, match="value"):
        parse("-- name: q\n:'value'").sql("q")
    with pytest.raises(KeyError, match="nowhere"):
        parse("").sql("nowhere")
