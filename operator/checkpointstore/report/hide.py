"""Keeps secrets out of a report: the values that are known, and whatever looks like one."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..kernel.action import Manifest

HIDDEN = "***"
# Shorter values are words that stand everywhere; no generated secret is that short.
SHORTEST = 8
_OPEN = frozenset(
    {"ca.crt", "tls.crt", "username", "host", "direct-host", "port", "database", "sslmode", "type", "provider"}
    # What PgBouncer reads, but for its users and its key.
    | {"pgbouncer.ini", "hba.conf", "ident.conf", "server.crt"}
)
_NOISE = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
_SENSITIVE = re.compile(r"pass|pwd|secret|token|credential|private|(^|_)key$", re.IGNORECASE)
# What the lines of a key are made of, with line ends as JSON writes them too.
_KEY_LINES = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n\\"
_KEY_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]+=*"), HIDDEN),
    (re.compile(r"SCRAM-SHA-(?:1|256)\$\d+:[^\s'\",;]+"), HIDDEN),
    (re.compile(r"\bmd5[0-9a-f]{32}\b"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), HIDDEN),
    (re.compile(r"(\bBearer )[\w.~+/-]{8,}=*", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@'\"]*:)[^\s@/'\"]+(?=@)", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(r"(\bPASSWORD\s+)(?:[EU]&?)?(?:'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$)", re.IGNORECASE | re.DOTALL),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"((?:\b|_)(?:(?:pg)?password|passwd|passphrase|secret_?key|access_?key|token)\\?[\"']?[ \t]*[=:][ \t]*)"
            r"(?:\\?\"[^\"\n]*\"|'[^'\n]*'|[^\s\"',;&]+)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    # What PostgreSQL logs of a statement's parameters is data of the application.
    (re.compile(r"(\bparameters: )\$1 = .*", re.IGNORECASE), rf"\1{HIDDEN}"),
)


class Curtain:
    """Every text of a report goes through `hide`, once."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        spelled = {spelling for value in values for spelling in _spellings(value)}
        # The longest first: a whole URL rather than only the password in it.
        self._known = sorted(spelled, key=lambda spelling: (-len(spelling), spelling))

    def hide(self, text: str) -> str:
        """The text with each secret replaced by three stars."""
        for spelling in self._known:
            text = text.replace(spelling, HIDDEN)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return _without_tails(text)


def _without_tails(text: str) -> str:
    """Hides the rest of a private key whose beginning was cut off with the older lines of a log."""
    *heads, last = _KEY_END.split(text)
    return "".join(f"{head.rstrip(_KEY_LINES)}\n{HIDDEN}" for head in heads) + last


def _spellings(value: str) -> Iterator[str]:
    """A value as it may stand in a text: plain, line by line, in base64, in a URL, in JSON."""
    lines = [line for line in value.splitlines() if not line.startswith("-----")]
    for plain in {value, value.strip(), *lines}:
        if len(plain) >= SHORTEST:
            yield from (plain, quote(plain, safe=""), json.dumps(plain)[1:-1])
            yield base64.b64encode(plain.encode()).decode().rstrip("=")


def values(secret: Manifest) -> list[str]:
    """What must never be seen of a Secret; certificates, names and addresses may be."""
    data = {key: base64.b64decode(text).decode(errors="replace") for key, text in (secret.get("data") or {}).items()}
    return [value for key, value in data.items() if key not in _OPEN]


def clean(manifest: Manifest) -> Manifest:
    """An object without what nobody reads, and without values of variables that are named like a secret.

    Of a Secret only the names of its keys are left.
    """
    meta = {key: value for key, value in manifest.get("metadata", {}).items() if key != "managedFields"}
    if "annotations" in meta:
        meta["annotations"] = {key: text for key, text in meta["annotations"].items() if key not in _NOISE}
    left = {**manifest, "metadata": meta}
    if manifest.get("kind") != "Secret":
        return {key: _walk(value) for key, value in left.items()}
    keys = sorted({*(left.pop("data", None) or {}), *(left.pop("stringData", None) or {})})
    return {**left, "keys": keys}


def _walk(value: Any) -> Any:
    if isinstance(value, list):
        return [_walk(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    walked = {key: _walk(item) for key, item in value.items()}
    if isinstance(value.get("value"), str) and _SENSITIVE.search(str(value.get("name", ""))):
        walked["value"] = HIDDEN
    return walked
