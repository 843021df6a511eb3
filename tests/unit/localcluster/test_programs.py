"""Programs are built once for each state of their sources, whole or not at all."""

from pathlib import Path

import pytest

from localcluster import programs
from localcluster.errors import LocalClusterError
from localcluster.programs import Program


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program `one` in a source folder and a cache of its own; building it only writes a file."""
    source = tmp_path / "go" / "one"
    source.mkdir(parents=True)
    (tmp_path / "go" / "go.work").write_text("use (\n\t./other\n)\n")
    (source / "go.mod").write_text("module one\n\nrequire (\n\texample.dev/x v1.2.3\n\texample.dev/xy v9.9.9\n)\n")
    (source / "main.go").write_text("package main\n")
    program = Program("one", aliases=("uno", "eins"))
    monkeypatch.setattr(programs, "SOURCES", tmp_path / "go")
    monkeypatch.setattr(programs, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(programs, "BIN", tmp_path / "bin")
    monkeypatch.setattr(programs, "programs", lambda: (program,))
    return program


class Compiler:
    """Stands for `go build`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = 0
        self.workspaces: set[str] = set()
        self.breaks = False
        monkeypatch.setattr(programs, "run", self.run)

    def run(self, *argv: str, cwd: Path, env: dict[str, str]) -> str:
        self.runs += 1
        self.workspaces.add(env["GOWORK"])
        Path(argv[argv.index("-o") + 1]).write_text("half" if self.breaks else "whole")
        if self.breaks:
            raise LocalClusterError("killed")
        return ""


def test_a_second_build_builds_nothing(one: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = Compiler(monkeypatch)
    for _ in range(2):
        programs.build(["uno"])
    assert compiler.runs == 1
    assert {path.name: path.resolve() for path in (tmp_path / "bin").iterdir()} == {
        "uno": programs.binary(one),
        "eins": programs.binary(one),
    }


@pytest.mark.parametrize("file", ["main.go", "go.mod", "go.sum"])
def test_changed_sources_are_built_again_and_replace_the_old_result(
    one: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    compiler = Compiler(monkeypatch)
    programs.build(["uno"])
    old = programs.binary(one)
    with (one.folder / file).open("a") as source:
        source.write("// changed\n")
    programs.build(["uno"])
    assert compiler.runs == 2
    assert not old.exists()
    assert (tmp_path / "bin" / "uno").resolve() == programs.binary(one)


def test_programs_of_a_workspace_are_built_again_when_one_of_them_changes(
    one: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The newest version that one requires is what all are made of."""
    two, alone = Program("two"), Program("alone")
    monkeypatch.setattr(programs, "programs", lambda: (one, two, alone))
    go = tmp_path / "go"
    (go / "go.work").write_text("use (\n\t./one\n\t./two\n)\n")
    (go / "go.work.sum").write_text("")
    for program in (two, alone):
        program.folder.mkdir()
        (program.folder / "go.mod").write_text(f"module {program.name}\n")
    compiler = Compiler(monkeypatch)

    def built(*changed: Path) -> set[str]:
        before = {program.name: programs.binary(program) for program in programs.programs()}
        for path in changed:
            path.write_text(f"{path.read_text()}// changed\n")
        programs.build(["uno", "two"])
        return {program.name for program in programs.programs() if programs.binary(program) != before[program.name]}

    assert built() == set()
    for path in (go / "go.work", go / "go.work.sum", go / "two/go.mod"):
        assert built(path) == {"one", "two"}, path
    assert built(one.folder / "main.go") == {"one"}
    assert built(alone.folder / "go.mod") == {"alone"}
    assert compiler.workspaces == {str(go / "go.work")}
    programs.build(["alone"])
    assert compiler.workspaces == {str(go / "go.work"), "off"}


def test_flags_are_part_of_the_digest(one: Program) -> None:
    other = Program("one", aliases=one.aliases, variables=(("main.version", "v2"),))
    assert programs.digest(one) != programs.digest(other)


def test_an_interrupted_build_leaves_no_result(one: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(monkeypatch)
    compiler.breaks = True
    with pytest.raises(LocalClusterError):
        programs.build(["uno"])
    assert not programs.binary(one).exists()
    compiler.breaks = False
    programs.build(["uno"])
    assert programs.binary(one).read_text() == "whole"


def test_only_what_is_asked_for_is_built(one: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(monkeypatch)
    programs.build(["something else"])
    assert compiler.runs == 0


def test_a_version_is_read_from_the_module_file(one: Program) -> None:
    assert programs.version("one", "example.dev/x") == "v1.2.3"
    with pytest.raises(ValueError, match="does not require"):
        programs.version("one", "example.dev/z")


def test_every_program_has_its_module_sums_and_kubernetes_tells_its_version() -> None:
    for program in programs.programs():
        names = {path.name for path in program.folder.iterdir()}
        assert "go.mod" in names
        assert program.name == "pause" or "go.sum" in names, "versions must be pinned by their sums"
        # Only a program of ours has a main.go; another project's is built by its import path.
        assert (program.package == ".") == ("main.go" in names and not program.module)
    knode = programs.programs()[0]
    assert "-X k8s.io/client-go/pkg/version.gitVersion=v1." in knode.link_flags()
    assert {"kubectl", "helm", "etcd", "coredns", "pause"} <= set(programs.for_local())
    assert "kind" not in programs.for_local()
