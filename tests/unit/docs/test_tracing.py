"""The page on tracing shows the code that tests/e2e/test_tracing.py runs, which takes nothing but a traceparent."""

import importlib
import re

import pytest

from tests.unit.docs.test_pages import ROOT

CODE = ROOT / "demo/agent/traced.py"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_page_shows_what_is_run() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/tracing.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown == CODE.read_text().partition("\n\n")[2]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (TRACE, TRACE),
        ("", "agent"),
        (TRACE.upper(), "agent"),
        (TRACE + "\n", "agent"),
        (TRACE + "'; DROP TABLE checkpoints; --", "agent"),
        ("vendor=00f067aa0ba902b7", "agent"),
    ],
)
def test_only_a_traceparent_becomes_a_name(monkeypatch: pytest.MonkeyPatch, told: str, name: str) -> None:
    monkeypatch.syspath_prepend(str(CODE.parent))
    traced = importlib.import_module("traced")
    before = traced.TRACEPARENT.set(told)
    assert traced.name() == name
    traced.TRACEPARENT.reset(before)
