"""Where the database is: a connection string, the folder of a mounted binding Secret, or what the environment says."""

import os
from collections.abc import Mapping
from pathlib import Path

SCHEMES = ("postgresql://", "postgres://")
VARIABLE = "DATABASE_URI"
ROOT = "SERVICE_BINDING_ROOT"
PROVIDER = "checkpointstore"


class BindingNotFound(LookupError):
    """Nothing says where the database is, or more than one thing does."""


def connection_string(source: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> str:
    """libpq's connection string of `source`: one itself, or a folder with the file `uri`.

    Without a source, DATABASE_URI, then the one folder below SERVICE_BINDING_ROOT that a CheckpointStore's Secret is
    mounted at (servicebinding.io). Raises BindingNotFound.
    """
    if isinstance(source, str) and source.startswith(SCHEMES):
        return source
    if source is not None:
        return _read(Path(source))
    if said := environ.get(VARIABLE):
        return said
    if not (root := environ.get(ROOT)):
        raise BindingNotFound(f"neither {VARIABLE} nor {ROOT} is set: name a folder or a connection string")
    folders = sorted(folder for folder in Path(root).glob("*") if _is_ours(folder))
    if len(folders) != 1:
        names = ", ".join(folder.name for folder in folders) or "none"
        raise BindingNotFound(
            f"{root} has to hold one binding of a CheckpointStore, and holds {names}: name its folder"
        )
    return _read(folders[0])


def _is_ours(folder: Path) -> bool:
    try:
        return (folder / "provider").read_text().strip() == PROVIDER
    except OSError:
        return False


def _read(folder: Path) -> str:
    try:
        return (folder / "uri").read_text().strip()
    except OSError as error:
        raise BindingNotFound(f"{folder} is not a mounted binding Secret: {error.strerror} reading uri") from None
