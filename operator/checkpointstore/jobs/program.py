"""Brings the programs of `repository` into a pod whose image has nothing of ours."""

import shutil
from pathlib import Path

from .. import repository

SOURCE = Path(next(iter(repository.__path__)))


def run(folder: Path) -> None:
    """Copy the package below `folder`; one that a killed container left there is replaced."""
    shutil.copytree(SOURCE, folder / SOURCE.name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
