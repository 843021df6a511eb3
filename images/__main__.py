"""The command line: `python3 -m images build|ref|sizes [NAME...]`."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from images import engine, network
from images.recipe import RECIPES, Recipe
from localcluster.errors import LocalClusterError
from localcluster.progress import step


def parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    top = argparse.ArgumentParser(prog="python3 -m images", description=sys.modules["images"].__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_ in (
        ("build", "build what is missing and print the references"),
        ("ref", "print the references; builds nothing"),
        ("sizes", "print the sizes of what is built; 1 when one is above its limit"),
    ):
        command = commands.add_parser(name, help=help_)
        command.add_argument("names", nargs="*", metavar="NAME", help="all images if none is named")
    return top


def chosen(names: list[str]) -> list[Recipe]:
    """The recipes of those names, or all."""
    known = {recipe.name: recipe for recipe in RECIPES}
    for name in names:
        if name not in known:
            raise LocalClusterError(f"there is no image {name!r}: name one of {', '.join(known)}.")
    return [known[name] for name in names] or list(RECIPES)


def build(recipes: list[Recipe], tool: engine.Engine) -> None:
    """Build each image that the engine lacks, and print every reference as soon as it can be used."""
    for recipe in recipes:
        with tempfile.TemporaryDirectory(prefix="checkpointstore-image-") as folder:
            # The reference is that of the copy: a source saved while this runs cannot get under a wrong tag.
            context = Path(folder)
            recipe.stage(context)
            reference = recipe.reference(context)
            if not tool.has(reference):
                tool.prepare()
                order = engine.Order(reference, recipe.tag(context), recipe.containerfile, context)
                with step(f"build {reference}"), network.lend(os.environ) as lent:
                    tool.build(order, lent)
        print(reference, flush=True)


def sizes(recipes: list[Recipe], tool: engine.Engine) -> int:
    """Print a table of sizes in MB; 1 when an image is missing or above its limit."""
    worst = 0
    for recipe in recipes:
        reference = recipe.reference()
        if not tool.has(reference):
            print(f"{recipe.name:10} not built")
            worst = 1
            continue
        size = tool.size(reference) / 10**6
        over = bool(recipe.most) and size >= recipe.most
        limit = f", limit {recipe.most} MB: {'EXCEEDED' if over else 'kept'}" if recipe.most else ""
        print(f"{recipe.name:10} {size:5.0f} MB{limit}")
        worst = max(worst, int(over))
    return worst


def main() -> int:
    """Do what the command line says; a failure is one message without a traceback."""
    arguments = parser().parse_args()
    try:
        recipes = chosen(arguments.names)
        match arguments.command:
            case "ref":
                print("\n".join(recipe.reference() for recipe in recipes))
            case "build":
                build(recipes, engine.find())
            case "sizes":
                return sizes(recipes, engine.find())
    except LocalClusterError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
