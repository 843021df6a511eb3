"""`make demo-down` runs the demo with the machine's own Python, which has nothing but its library."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_demo_needs_no_package() -> None:
    command = [sys.executable, "-S", "-m", "demo", "--help"]
    answer = subprocess.run(command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
