"""A reference names exactly what an image is made of, and a build sees exactly that."""

import os
from pathlib import Path

import pytest

from images.recipe import RECIPES, ROOT, Recipe
from localcluster.errors import LocalClusterError

RECIPE = Recipe("web", ("setup.toml", "source"))
FILES = {
    "images/web/Containerfile": "FROM scratch\n",
    "setup.toml": "[x]\n",
    "source/app/main.py": "print(1)\n",
    "source/app/data.sql": "select 1;\n",
    "other/ignored.txt": "x\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        write(tmp_path, name, content)
    return tmp_path


def write(root: Path, name: str, content: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_the_reference_has_repository_name_and_twelve_digits(root: Path) -> None:
    repository, _, tag = RECIPE.reference(root).partition(":")
    assert repository == "docker.io/checkpointstore/web"
    prefix, _, digest = tag.partition("-")
    assert prefix == "dev"
    assert len(digest) == 12
    int(digest, 16)


@pytest.mark.parametrize("name", ["images/web/Containerfile", "setup.toml", "source/app/data.sql"])
def test_every_input_changes_the_reference(root: Path, name: str) -> None:
    before = RECIPE.reference(root)
    write(root, name, "changed\n")
    assert RECIPE.reference(root) != before


def test_a_new_a_renamed_and_an_executable_file_change_the_reference(root: Path) -> None:
    seen = {RECIPE.reference(root)}
    write(root, "source/new.py", "")
    seen.add(RECIPE.reference(root))
    (root / "source/new.py").rename(root / "source/newer.py")
    seen.add(RECIPE.reference(root))
    (root / "source/newer.py").chmod(0o755)
    seen.add(RECIPE.reference(root))
    assert len(seen) == 4


def test_no_content_can_pass_for_another_file(root: Path) -> None:
    write(root, "source/a", "x")
    write(root, "source/a1", "z")
    two = RECIPE.digest(root)
    (root / "source/a1").unlink()
    write(root, "source/a", "xsource/a1\0" + "0\0" + "z")
    assert RECIPE.digest(root) != two


@pytest.mark.parametrize(
    "name",
    [
        "other/ignored.txt",
        "source/app/__pycache__/main.cpython-313.pyc",
        "source/app/__pycache__/notes.txt",
        "source/app/old.pyc",
        "source/web.egg-info/PKG-INFO",
        "source/.mypy_cache/x.json",
        "source/app/.main.py.swp",
    ],
)
def test_what_tools_leave_behind_is_no_input(root: Path, name: str) -> None:
    before = RECIPE.reference(root)
    write(root, name, "noise\n")
    assert RECIPE.reference(root) == before
    assert name not in RECIPE.files(root)


def test_times_are_no_input(root: Path) -> None:
    before = RECIPE.reference(root)
    os.utime(root / "setup.toml", (1, 1))
    assert RECIPE.reference(root) == before


def test_a_build_sees_the_inputs_and_nothing_else(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (root / "source/app/main.py").chmod(0o700)
    (root / "setup.toml").chmod(0o600)
    context = tmp_path_factory.mktemp("context")
    RECIPE.stage(context, root)
    staged = sorted(path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file())
    assert staged == RECIPE.files(root)
    assert (context / "source/app/main.py").stat().st_mode & 0o777 == 0o755
    assert (context / "setup.toml").stat().st_mode & 0o777 == 0o644
    assert len({path.stat().st_mtime for path in context.rglob("*")}) == 1
    assert RECIPE.reference(context) == RECIPE.reference(root)


def test_a_missing_input_is_named(root: Path) -> None:
    (root / "setup.toml").unlink()
    with pytest.raises(LocalClusterError, match=r"setup\.toml is missing: the image web"):
        RECIPE.reference(root)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_project_has_every_input(recipe: Recipe) -> None:
    assert recipe.containerfile in recipe.files()
    assert all((ROOT / name).is_file() for name in recipe.files())
