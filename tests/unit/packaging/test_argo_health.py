"""Argo CD's health check, run by a real Lua over the cases of health_test.yaml (Argo CD's own format)."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import sync
from tests.unit.packaging.rendered import need

ARGO = sync.ROOT / "manifests" / "argo"
CASES: list[dict[str, Any]] = yaml.safe_load((ARGO / "health_test.yaml").read_text())["tests"]
# Argo CD's Lua has the base and table libraries and its own `os`; a script that reaches for more fails there.
HARNESS = """
obj = {object}
local print, loadstring = print, loadstring or load
string, io, os, debug, coroutine, require = nil, nil, nil, nil, nil, nil
local result = assert(loadstring([==[{script}]==]))()
print(result.status)
print(result.message)
"""


def literal(value: Any) -> str:
    """A JSON-like value as a Lua expression; null becomes nil, as in Argo CD."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"[ {literal(key)} ] = {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(literal(item) for item in value) + "}"
    if isinstance(value, int | float):
        return repr(value)
    return "[==[" + str(value) + "]==]"


def health(store: dict[str, Any]) -> tuple[str, str]:
    """(status, message) as health.lua gives them."""
    program = HARNESS.format(object=literal(store), script=(ARGO / "health.lua").read_text())
    # 5.1 is the language of Argo CD's interpreter.
    command = [need("lua5.1", "lua5.4", "lua"), "-"]
    answer = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    status, message = answer.stdout.splitlines()
    return status, message


@pytest.mark.parametrize("case", CASES, ids=lambda case: Path(case["inputPath"]).stem)
def test_health(case: dict[str, Any]) -> None:
    store = yaml.safe_load((ARGO / case["inputPath"]).read_text())
    assert health(store) == (case["healthStatus"]["status"], case["healthStatus"]["message"])


def test_every_testdata_file_is_a_case() -> None:
    assert {case["inputPath"] for case in CASES} == {f"testdata/{path.name}" for path in (ARGO / "testdata").iterdir()}


def test_patch_for_argocd_cm_holds_the_same_script() -> None:
    patch = yaml.safe_load((ARGO / "argocd-cm.yaml").read_text())
    assert patch == {
        "data": {
            "resource.customizations.health.checkpointstore.dev_CheckpointStore": (ARGO / "health.lua").read_text()
        }
    }
