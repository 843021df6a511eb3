"""Where a store's blobs are: a folder of a bucket, as the files of its mounted Secret `<name>-blobs` say."""

from dataclasses import dataclass, field
from pathlib import Path

from .binding import BindingNotFound


@dataclass(frozen=True, slots=True)
class Place:
    """`above` is in bytes, `grace` in seconds; `authority` is PEM, the public ones when empty."""

    bucket: str
    root: str
    """What all keys are below."""
    folder: str
    """Which part of that is this store's, to write to."""
    endpoint: str
    region: str
    path_style: bool
    above: int
    grace: int
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    authority: str = ""


def address(at: Place) -> str:
    """What requests go to: with the bucket in the host's name, unless that is in the path. Amazon's without an
    endpoint.
    """
    server = at.endpoint.rstrip("/") or f"https://s3.{at.region}.amazonaws.com"
    return server if at.path_style else server.replace("://", f"://{at.bucket}.", 1)


def read(folder: Path) -> Place:
    """Raises BindingNotFound."""
    return Place(
        bucket=_text(folder, "bucket"),
        root=_text(folder, "root"),
        folder=_text(folder, "folder"),
        endpoint=_text(folder, "endpoint", ""),
        region=_text(folder, "region"),
        path_style=_text(folder, "uri-style", "Path") == "Path",
        above=_number(folder, "above"),
        grace=_number(folder, "grace"),
        access_key=_text(folder, "AWS_ACCESS_KEY_ID"),
        secret_key=_text(folder, "AWS_SECRET_ACCESS_KEY"),
        token=_text(folder, "AWS_SESSION_TOKEN", ""),
        authority=_text(folder, "ca.crt", ""),
    )


def _text(folder: Path, name: str, default: str | None = None) -> str:
    try:
        return (folder / name).read_text().strip()
    except OSError as error:
        if default is not None and isinstance(error, FileNotFoundError):
            return default
        told = f"{folder} is not a mounted Secret of a store's blobs: {error.strerror} reading {name}"
        raise BindingNotFound(told) from None


def _number(folder: Path, name: str) -> int:
    said = _text(folder, name)
    if not said.isdecimal() or int(said) == 0:
        raise BindingNotFound(f"{folder / name} has to be a number above 0, and is {said!r}")
    return int(said)
