"""The rules that every Containerfile keeps: base, user, labels, pins, lent network, no shell to start."""

import json
import re
import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement

from images.recipe import RECIPES, ROOT, Recipe

BASE = "docker.io/library/debian:trixie-slim"
LABELS = ("title", "description", "licenses", "base.name")
every_image = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


def instructions(recipe: Recipe) -> list[tuple[str, str]]:
    """Keyword and rest of each instruction, continued lines joined and comments dropped."""
    text = "\n".join(
        line for line in (ROOT / recipe.containerfile).read_text().splitlines() if not line.startswith("#")
    )
    joined = re.sub(r"\\\n", " ", text)
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def last_stage(recipe: Recipe) -> dict[str, str]:
    """The last value of each instruction in the stage that becomes the image."""
    stage: dict[str, str] = {}
    for keyword, rest in instructions(recipe):
        stage = {} if keyword == "FROM" else {**stage, keyword: rest}
    return stage


@every_image
def test_every_stage_starts_from_debian_or_from_another_stage(recipe: Recipe) -> None:
    named: set[str] = set()
    for keyword, rest in instructions(recipe):
        if keyword == "FROM":
            words = rest.split()
            assert words[0] == BASE or words[0] in named
            named.update(words[2:])


@every_image
def test_it_runs_as_a_numeric_user_that_is_made_before_any_package(recipe: Recipe) -> None:
    text = (ROOT / recipe.containerfile).read_text()
    assert last_stage(recipe)["USER"] == "10001:10001"
    assert "--gid 10001" in text
    assert text.index("useradd --uid 10001 --gid 10001") < text.index("apt-get install")
    assert "-perm /6000" in text


@every_image
def test_labels(recipe: Recipe) -> None:
    labels = last_stage(recipe)["LABEL"]
    for name in LABELS:
        assert f"org.opencontainers.image.{name}=" in labels
    assert "image.source" not in labels
    assert f'base.name="{BASE}"' in labels


@every_image
def test_what_starts_is_a_program_and_no_shell(recipe: Recipe) -> None:
    stage = last_stage(recipe)
    start = json.loads(stage.get("ENTRYPOINT") or stage["CMD"])
    assert len(start) == 1
    assert start[0] in ("patroni", "pgbouncer", "checkpointstore", "python3", "prometheus")


def test_pgbouncers_stop_signal_is_the_draining_one() -> None:
    assert last_stage(next(recipe for recipe in RECIPES if recipe.name == "pgbouncer"))["STOPSIGNAL"] == "SIGINT"


@every_image
def test_each_step_that_uses_the_network_is_lent_it_and_drops_what_it_fetched(recipe: Recipe) -> None:
    for keyword, rest in instructions(recipe):
        if keyword == "RUN" and re.search(r"apt-get update|--requirement", rest):
            assert "--mount=type=secret,id=network --mount=type=secret,id=ca" in rest
            assert ". /run/secrets/network" in rest
    assert not [rest for keyword, rest in instructions(recipe) if keyword == "ARG"]
    assert "rm -rf" in (text := (ROOT / recipe.containerfile).read_text())
    assert "/var/lib/apt/lists/*" in text


@every_image
def test_debian_packages_are_pinned(recipe: Recipe) -> None:
    for _, rest in instructions(recipe):
        for listed in re.findall(r"apt-get install --yes --no-install-recommends(.*?)(?:&&|$)", rest):
            assert [word for word in listed.split() if "=" not in word] == []


@pytest.mark.parametrize("name", ["constraints.txt", "images/agent/requirements.txt"])
def test_python_packages_are_pinned(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[\w.-]+(\[\w+\])?==(\d+!)?[\w.]+", line) for line in lines)


def pinned(lines: Iterable[str]) -> dict[str, str]:
    """Version by normalised name; extras left out."""
    pairs = (re.sub(r"\[.*?\]", "", line).split("==") for line in lines if "==" in line)
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_the_images_have_the_versions_that_the_project_is_tested_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    agent = pinned((ROOT / "images/agent/requirements.txt").read_text().splitlines())
    constraints = pinned((ROOT / "constraints.txt").read_text().splitlines())
    wanted = pinned([*project["dependencies"], *extras["operator"], *extras["dev"]])
    assert {name: constraints.get(name) for name in wanted} == wanted
    ranges = [Requirement(line) for line in (*project["dependencies"], *extras["client"], *extras["blobs"])]
    assert all(item.specifier.contains(constraints[item.name.lower()]) for item in ranges)
    assert {name: constraints.get(name, version) for name, version in agent.items()} == agent
