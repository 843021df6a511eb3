"""Where the database is, and the Secret about blobs: what is named, or what the environment says."""

import os
from collections.abc import Mapping
from pathlib import Path

SCHEMES = ("postgresql://", "postgres://")
VARIABLE = "DATABASE_URI"
ROOT = "SERVICE_BINDING_ROOT"
PROVIDER = "checkpointstore"
BLOBS = "CHECKPOINTSTORE_BLOBS"


class BindingNotFound(LookupError):
    """Nothing says where the database is, or the blobs are, or more than one thing does."""


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
    folders = _folders(root, ("postgresql", ""))
    if len(folders) != 1:
        raise BindingNotFound(
            f"{root} has to hold one binding of a CheckpointStore, and holds {_names(folders)}: name its folder"
        )
    return _read(folders[0])


def blobs_folder(source: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder that a Secret `<name>-blobs` is mounted at: `source` itself, what CHECKPOINTSTORE_BLOBS names, or the
    one below SERVICE_BINDING_ROOT; None where there is none. Raises BindingNotFound where there are more.
    """
    if said := source or environ.get(BLOBS):
        return Path(said)
    if not (root := environ.get(ROOT)):
        return None
    folders = _folders(root, ("s3",))
    if len(folders) > 1:
        raise BindingNotFound(f"{root} holds the blobs of more than one CheckpointStore, {_names(folders)}: name one")
    return folders[0] if folders else None


def _folders(root: str, types: tuple[str, ...]) -> list[Path]:
    """Where Secrets of ours of these types are mounted."""
    return sorted(
        folder
        for folder in Path(root).glob("*")
        if _said(folder, "provider") == PROVIDER and _said(folder, "type") in types
    )


def _said(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text().strip()
    except OSError:
        return ""


def _names(folders: list[Path]) -> str:
    return ", ".join(folder.name for folder in folders) or "none"


def _read(folder: Path) -> str:
    try:
        return (folder / "uri").read_text().strip()
    except OSError as error:
        raise BindingNotFound(f"{folder} is not a mounted binding Secret: {error.strerror} reading uri") from None
