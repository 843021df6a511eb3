"""HTML whose text is escaped unless it was made here: str goes in, Html comes out."""

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = frozenset({"input", "link", "meta"})


class Html(str):
    """Markup, which is never escaped again."""

    __slots__ = ()


Content: TypeAlias = "str | int | Iterable[Content] | None"


def element(tag: str, *content: Content, **attributes: str | bool | None) -> Html:
    """`element("td", text, class_="bad")`; an attribute that is True stands alone, None or False is left out."""
    told = "".join(_attribute(name, value) for name, value in attributes.items() if value not in (None, False))
    if tag in _VOID:
        return Html(f"<{tag}{told}>")
    return Html(f"<{tag}{told}>{together(content)}</{tag}>")


def together(content: Content) -> Html:
    """Any content as markup: text escaped, None as nothing, the rest one after another."""
    if isinstance(content, Html):
        return content
    if content is None:
        return Html()
    if isinstance(content, str | int):
        return Html(escape(str(content)))
    return Html("".join(together(item) for item in content))


def _attribute(name: str, value: str | bool | None) -> str:
    spelled = name.rstrip("_").replace("_", "-")
    return f" {spelled}" if value is True else f' {spelled}="{escape(str(value))}"'
