"""SQL files: blocks that start with `-- name: x`, with psql's :"identifier" and :'literal' as slots."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_BLOCK = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_SLOT = re.compile(r""":"(?P<identifier>\w+)"|:'(?P<literal>\w+)'""")


@dataclass(frozen=True, slots=True)
class Script:
    blocks: Mapping[str, str]

    def sql(self, name: str, /, **values: str) -> str:
        """The block with its slots filled and quoted; a missing block or value is a KeyError."""
        return _SLOT.sub(lambda slot: _quoted(slot, values), self.blocks[name])


def load(package: str, name: str) -> Script:
    return parse(files(package).joinpath(name).read_text("utf-8"))


def parse(text: str) -> Script:
    parts = _BLOCK.split(text)[1:]
    return Script({name: _statements(body) for name, body in zip(parts[::2], parts[1::2], strict=True)})


def _statements(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if line.strip() and not line.startswith("--"))


def _quoted(slot: re.Match[str], values: Mapping[str, str]) -> str:
    quote, name = ('"', slot["identifier"]) if slot["identifier"] else ("'", slot["literal"])
    value = values[name]
    if "\0" in value or "\\" in value:
        raise ValueError(f"{name}: a backslash or a NUL cannot be part of a name")
    return quote + value.replace(quote, 2 * quote) + quote
