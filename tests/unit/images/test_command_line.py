"""What `python3 -m images` builds, skips, prints and refuses."""

import sys
from pathlib import Path

import pytest

from images import __main__ as command
from images import engine
from images.engine import Order
from images.network import Lent
from images.recipe import RECIPES, Recipe

NAMES = ["postgres", "pgbouncer", "operator", "agent", "prometheus"]


class Storage:
    """An engine that remembers what it was told to build."""

    def __init__(self, *has: str, size: int = 10**6) -> None:
        self.images = set(has)
        self.bytes = size
        self.prepared = 0
        self.built: list[str] = []

    def has(self, reference: str) -> bool:
        return reference in self.images

    def size(self, reference: str) -> int:
        return self.bytes

    def prepare(self) -> None:
        self.prepared += 1

    def build(self, order: Order, lent: Lent) -> None:
        assert (order.context / order.containerfile).is_file()
        assert lent.settings.is_file()
        assert order.reference.endswith(f":{order.version}")
        self.built.append(order.reference)
        self.images.add(order.reference)


def call(monkeypatch: pytest.MonkeyPatch, storage: Storage, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["images", *arguments])
    monkeypatch.setattr(engine, "find", lambda: storage)
    return command.main()


def test_build_makes_what_is_missing_and_prints_the_references(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = Storage(RECIPES[0].reference())
    assert call(monkeypatch, storage, "build", "postgres", "pgbouncer") == 0
    wanted = [RECIPES[0].reference(), RECIPES[1].reference()]
    assert capsys.readouterr().out.splitlines() == wanted
    assert storage.built == wanted[1:]
    assert call(monkeypatch, storage, "build", "postgres", "pgbouncer") == 0
    assert storage.built == wanted[1:]
    assert storage.prepared == 1


def test_a_file_saved_during_the_build_cannot_get_under_a_wrong_tag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "images/web").mkdir(parents=True)
    (tmp_path / "images/web/Containerfile").write_text("FROM scratch\n")
    recipe = Recipe("web")
    before = recipe.reference(tmp_path)
    stage = Recipe.stage

    def save_after(self: Recipe, folder: Path) -> None:
        stage(self, folder, tmp_path)
        (tmp_path / "images/web/Containerfile").write_text("FROM scratch\nUSER 1\n")

    monkeypatch.setattr(Recipe, "stage", save_after)
    storage = Storage()
    command.build([recipe], storage)
    assert storage.built == [before]
    assert capsys.readouterr().out.strip() == before


def test_ref_asks_no_engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["images", "ref"])
    monkeypatch.setattr(engine, "find", lambda: pytest.fail("an engine was asked"))
    assert command.main() == 0
    assert [line.rsplit("/")[-1].split(":")[0] for line in capsys.readouterr().out.splitlines()] == NAMES


@pytest.mark.parametrize(("size", "code", "word"), [(399 * 10**6, 0, "kept"), (400 * 10**6, 1, "EXCEEDED")])
def test_sizes_checks_the_operators_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], size: int, code: int, word: str
) -> None:
    # Not the real digest: somebody may be saving sources of the operator right now.
    monkeypatch.setattr(Recipe, "digest", lambda self, root=None: "0" * 12)
    storage = Storage(RECIPES[2].reference(), size=size)
    assert call(monkeypatch, storage, "sizes", "operator") == code
    assert capsys.readouterr().out.split() == [
        "operator",
        str(size // 10**6),
        "MB,",
        "limit",
        "400",
        "MB:",
        word,
    ]


def test_sizes_says_what_is_not_built(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, Storage(), "sizes", "agent") == 1
    assert capsys.readouterr().out.split() == ["agent", "not", "built"]


def test_an_unknown_name_gets_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, Storage(), "build", "mysql") == 1
    said = capsys.readouterr()
    assert (
        said.err == "images: there is no image 'mysql': name one of postgres, pgbouncer, operator, agent, prometheus.\n"
    )
    assert said.out == ""
