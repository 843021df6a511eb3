"""`pip install .` gives the command, with nothing of this folder in the way."""

import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command as pip has installed it with the operator's libraries, run far from the source."""
    folder = tmp_path_factory.mktemp("pip")
    venv.create(folder / "venv", with_pip=True)
    # Of hundreds of modules few are imported here.
    pip = [str(folder / "venv/bin/pip"), "install", "--no-compile", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", "constraints.txt", ".[operator]"], cwd=ROOT, check=True)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        call = [str(folder / "venv/bin/checkpointstore"), *arguments]
        return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_prints_the_crd(command: Command) -> None:
    printed = command("crd")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == "".join(path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml")))


def test_its_operator_says_what_it_lacks(command: Command) -> None:
    ended = command("operator", HOME="/nonexistent")
    assert (ended.returncode, ended.stderr) == (2, "CHECKPOINTSTORE_IMAGE_POSTGRES is not set: the chart sets it\n")


def test_its_report_says_that_there_is_no_cluster(command: Command) -> None:
    ended = command("report", "agents", HOME="/nonexistent", KUBECONFIG="/nonexistent/config")
    assert ended.returncode != 0
    assert "no cluster" in ended.stderr
    assert "Traceback" not in ended.stderr
