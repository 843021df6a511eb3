"""The programs that Jobs name are in the package that their pods are given."""

import importlib
from pathlib import Path

import pytest

from checkpointstore.jobs import program
from checkpointstore.repository import erase
from checkpointstore.repository.job import Request
from checkpointstore.repository.pgbackrest import Repository


@pytest.mark.parametrize("name", ["backup", "erase", "look", "restore", "verify"])
def test_each_does_some_work(name: str) -> None:
    assert callable(importlib.import_module(f"checkpointstore.repository.{name}").work)


def test_a_pod_gets_the_whole_package_also_where_a_killed_container_left_a_part(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "backup.py").write_text("half of")
    program.run(tmp_path)
    copied = {path.name: path.read_text() for path in (tmp_path / "repository").iterdir()}
    assert copied == {path.name: path.read_text() for path in program.SOURCE.glob("*.py")}


def test_erasing_takes_the_path_of_this_store_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, tuple[str, ...], bool]] = []

    def call(self: Repository, name: str, *options: str, stanza: bool = True) -> None:
        called.append((self.path, (name, *options), stanza))

    monkeypatch.setattr(Repository, "call", call)
    assert erase.work(Request({"base": "/agents/shop/agents", "uid": "7"})) == {"erased": "/agents/shop/agents/7"}
    assert called == [("/agents/shop/agents/7", ("repo-rm", "--recurse"), False)]
