"""An agent's log is read on where it broke off, and a writer's seconds are judged by client."""

import json
import runpy
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO, Any, cast

from demo.agentjob import Agent
from demo.kubectl import ROOT, Kubectl
from tests.e2e.writing import wrote

# Says one line more at each call of `logs`, the result last, as a log does that breaks off and is begun again.
PROGRAM = """#!/bin/sh
case "$1" in
config) echo '{"clusters": [{"cluster": {}}], "users": [{"user": {"exec": {}}}]}'; exit;;
get) echo '{"items": [{"status": {"phase": "Running"}}]}'; exit;;
esac
echo called >> "$0.calls"
echo "error: it broke off" >&2
for number in $(seq $(wc -l < "$0.calls")); do
  [ $number = 3 ] && echo '{"event": "result", "ok": true}' || echo "{\\"event\\": \\"turn\\", \\"message\\": $number}"
done
[ $number = 3 ] || printf '{"event": "tu'
"""


def test_a_log_that_breaks_off_is_read_on_without_repeating_itself(tmp_path: Path, monkeypatch: Any) -> None:
    program = tmp_path / "kubectl"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (tmp_path / "config").touch()
    monkeypatch.setattr("demo.agentjob.time.sleep", lambda seconds: None)
    agent = Agent(Kubectl(tmp_path / "config", program, program), "talk", "demo").follow()
    assert agent.result(timeout=30) == {"event": "result", "ok": True}
    assert [line.get("message") for line in agent.lines] == [1, 2, None]
    assert agent.other == ["error: it broke off"] * 3, "kubectl's own words are none of the agent's lines"


# Says nothing before it is over, as a log that breaks off at once, and all of it afterwards.
OVER = """#!/bin/sh
case "$1" in
config) echo '{"clusters": [{"cluster": {}}], "users": [{"user": {"exec": {}}}]}'; exit;;
get)
  [ -e "$0.calls" ] && phase=Succeeded || phase=Running
  echo '{"items": [{"status": {"phase": "'$phase'"}}]}'; exit;;
esac
[ -e "$0.calls" ] && echo '{"event": "result", "ok": true}'
echo called >> "$0.calls"
"""


def test_what_was_said_after_the_log_broke_off_is_read_when_all_is_over(tmp_path: Path, monkeypatch: Any) -> None:
    program = tmp_path / "kubectl"
    program.write_text(OVER)
    program.chmod(0o755)
    (tmp_path / "config").touch()
    monkeypatch.setattr("demo.agentjob.time.sleep", lambda seconds: None)
    agent = Agent(Kubectl(tmp_path / "config", program, program), "talk", "demo").follow()
    assert agent.result(timeout=30)["ok"]


def test_every_client_must_have_written() -> None:
    seconds: list[dict[str, Any]] = [{"each": [5, 5]}, {"each": [9, 5]}, {"each": [12, 6]}]
    assert [wrote(seconds[:count]) for count in (0, 1, 2, 3)] == [False, False, False, True]


def test_an_agent_writes_a_line_in_one_piece() -> None:
    """As its threads write, too: of a text and an end apart one line in four comes out as two halves."""
    written: list[str] = []

    class Out:
        def write(self, text: str) -> None:
            written.append(text)

        def flush(self) -> None: ...

    report = runpy.run_path(str(ROOT / "demo/agent/report.py"))
    with redirect_stdout(cast(IO[str], Out())):
        report["say"]("turn", message=1)
    (line,) = written
    assert json.loads(line)["message"] == 1
    assert line.endswith("}\n")
