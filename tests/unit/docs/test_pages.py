"""The pages hold together: links lead somewhere, commands and fields exist, every abnormal reason has its runbook."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import langgraph.checkpoint.postgres
import pytest
from langgraph.checkpoint.memory import InMemorySaver

from checkpointstore.api import crd
from checkpointstore.api.reason import CONDITIONS, OF_BACKUPS
from checkpointstore.api.subject import Subject
from checkpointstore.kernel import command

ROOT = Path(__file__).resolve().parents[3]
RUNBOOKS = ROOT / "docs" / "runbooks"
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("[!.]*/README.md"),
        *ROOT.glob("charts/*/README.md"),
    ]
)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SECTIONS = ("What it means", "See", "Do")
DIRTY = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|tmp/bash_jobs)\b")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return CODE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> Iterator[str]:
    for target in LINK.findall(INLINE.sub("", prose(page))):
        path, _, anchor = target.partition("#")
        if path.startswith("https://"):
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](page.md#one) [`b`](page.md#two) [c](gone.md) [d](https://example.com) `[e](code)`\n")
    assert list(broken(page)) == ["page.md#two", "gone.md"]


@each_page
def test_no_path_of_a_machine(page: Path) -> None:
    assert DIRTY.findall(page.read_text()) == []


@each_page
def test_make_commands_exist(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", text, re.MULTILINE)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {first or second for first, second in named} <= targets


@each_page
def test_files_of_the_tree_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"(?<![\w/.-])((?:manifests|charts|demo|docs)/[\w./-]*\w)", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@each_page
def test_fields_that_are_named_exist(page: Path) -> None:
    text = prose(page)
    if page.name == "api.md":
        text, backups = text.split("\n## Kind CheckpointBackup\n")
        backups, rest = backups.split("\n## What a store makes\n")
        assert missing(backups, crd.checkpointbackups(), crd.checkpointstores()) == []
        text += rest
    assert missing(text, crd.checkpointstores()) == []


def missing(text: str, *kinds: dict[str, Any]) -> list[str]:
    """The fields of `spec` that a text names and no such kind has, but for those that it calls unknown."""
    schemas = [kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind in kinds]
    wrong = re.findall(r"unknown field \"([\w.]+)\"", text)
    named = re.findall(r"(?<![\w.])(spec(?:\.[a-z][A-Za-z]+)+)", text)
    known = [name for name in named if any(exists(schema, name.split(".")) for schema in schemas)]
    return [name for name in named if name not in wrong and name not in known]


def exists(node: dict[str, Any], path: list[str]) -> bool:
    if not path:
        return True
    child = node.get("properties", {}).get(path[0])
    return child is not None and exists(child, path[1:])


@each_page
def test_annotations_that_are_named_exist(page: Path) -> None:
    known = {value for name, value in vars(command).items() if name.isupper()}
    named = set(re.findall(r"checkpointstore\.dev/([a-z-]+)", CODE.sub(kubectl_only, page.read_text())))
    ours = {"v", "store", "admits"}  # the API's version, and labels
    assert {f"checkpointstore.dev/{name.rstrip('-')}" for name in named - ours} <= known


def kubectl_only(block: re.Match[str]) -> str:
    return "\n".join(line for line in block[0].splitlines() if "annotate" in line)


def test_every_command_annotation_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    known = {value for name, value in vars(command).items() if name.isupper() and name != "DOMAIN"}
    assert [value for value in known if f"`{value}=" not in text] == []


def test_every_sample_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert [file.name for file in (ROOT / "manifests" / "samples").iterdir() if file.name not in text] == []


PAGE = {"Succeeded": "LastBackupSucceeded"}
"""The page of a condition that has none of its own."""


@pytest.mark.parametrize(
    "subject", [s for s in (*CONDITIONS, *OF_BACKUPS) if s.type != "Reconciling"], ids=lambda s: s.type
)
def test_every_abnormal_reason_has_a_section_that_says_what_to_do(subject: Subject) -> None:
    page = (RUNBOOKS / f"{PAGE.get(subject.type, subject.type)}.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert [reason.name for reason in subject.abnormal() if reason.name not in sections] == []
    for reason in subject.abnormal():
        assert re.findall(r"^### (.+)$", sections[reason.name], re.MULTILINE) == list(SECTIONS), reason.name


def test_stalled_points_to_every_condition_that_stalls() -> None:
    page = (RUNBOOKS / "Stalled.md").read_text()
    assert [f"{title}" for title in SECTIONS if f"\n## {title}\n" not in page] == []
    for subject in CONDITIONS:
        if any(reason.stalls for reason in subject.abnormal()):
            assert f"({subject.type}.md)" in page
    schema = {"SchemaApplied"}  # the table's last row: "every other one"
    named = [r.name for s in CONDITIONS if s.type not in schema for r in s.abnormal() if r.stalls]
    assert [name for name in named if f"`{name}`" not in page] == []


def test_a_runbook_names_only_reasons_that_exist() -> None:
    """CamelCase headings are reasons."""
    subjects = (*CONDITIONS, *OF_BACKUPS)
    known = {reason.name for subject in subjects for _, reasons in subject.reasons for reason in reasons}
    titles = {
        title
        for page in RUNBOOKS.glob("[A-Z]*.md")
        if page.name != "README.md"
        for title in re.findall(r"^## (\w+)$", page.read_text(), re.MULTILINE)
    }
    assert titles - set(SECTIONS) <= known


def test_every_runbook_is_in_the_index() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    assert [page.name for page in RUNBOOKS.glob("*.md") if page.name != "README.md" and page.name not in index] == []


def test_the_readmes_agent_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands, but for a saver in memory."""

    class Saver:
        @staticmethod
        @contextlib.contextmanager
        def from_conn_string(uri: str) -> Iterator[InMemorySaver]:
            assert uri == "postgresql://here"
            yield InMemorySaver()

    monkeypatch.setattr(langgraph.checkpoint.postgres, "PostgresSaver", Saver)
    monkeypatch.setenv("DATABASE_URI", "postgresql://here")
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == "I remember 1 messages\n"


def test_the_commands_options_for_this_page_work(tmp_path: Path) -> None:
    page = tmp_path / "api.md"
    call = [sys.executable, "-m", "checkpointstore", "crd", "--reference", str(page)]
    environment = {"PYTHONPATH": str(ROOT / "operator")}
    missing = subprocess.run([*call, "--check"], env=environment, capture_output=True, text=True, check=False)
    assert (missing.returncode, page.exists()) == (1, False)
    assert "out of date" in missing.stderr
    subprocess.run(call, env=environment, check=True)
    assert page.read_text() == (ROOT / "docs" / "api.md").read_text()
    assert subprocess.run([*call, "--check"], env=environment, check=False).returncode == 0


def test_the_picture_is_drawn() -> None:
    assert "<svg" in (ROOT / "docs" / "picture.svg").read_text()
