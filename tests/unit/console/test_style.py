"""The colours: text can be read on what it stands on, by day and by night."""

import re

import pytest

from checkpointstore.console.server import STATIC

CSS = (STATIC / "console.css").read_text()
LEAST = 4.5
"""Contrast of text, as WCAG 2.2 asks for at level AA."""


def themes() -> dict[str, dict[str, str]]:
    found = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)]
    return dict(zip(("light", "dark"), found, strict=True))


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize("name", ["text", "quiet", "link", "good", "warn", "bad", "open"])
def test_text_can_be_read(theme: str, name: str) -> None:
    colours = themes()[theme]
    assert min(contrast(colours[name], colours[ground]) for ground in ("back", "raised")) >= LEAST


def test_both_themes_name_the_same_colours_and_none_is_used_that_is_not_there() -> None:
    light, dark = themes().values()
    assert light.keys() == dark.keys() == set(re.findall(r"var\(--(\w+)\)", CSS))


def test_style_and_script_ask_nobody_else() -> None:
    for file in STATIC.iterdir():
        text = file.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text), file.name
