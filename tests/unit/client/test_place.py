"""A mounted Secret about blobs is found and read."""

from pathlib import Path

import pytest

from checkpointstore.client import BindingNotFound, open_blobs, place
from checkpointstore.client.binding import blobs_folder, connection_string

KEYS = {
    "type": "s3",
    "provider": "checkpointstore",
    "bucket": "things",
    "root": "blobs",
    "folder": "shop/agents/uid",
    "endpoint": "",
    "region": "eu-central-1",
    "uri-style": "Host",
    "above": "65536",
    "grace": "86400",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "hidden",
}


def mounted(folder: Path, **keys: str | None) -> Path:
    """A folder as Kubernetes mounts the Secret."""
    folder.mkdir(parents=True)
    for name, value in {**KEYS, **{name.replace("_", "-"): value for name, value in keys.items()}}.items():
        if value is not None:
            (folder / name).write_text(value + "\n")
    return folder


def test_it_is_read(tmp_path: Path) -> None:
    found = place.read(mounted(tmp_path / "blobs"))
    assert found == place.Place(
        "things", "blobs", "shop/agents/uid", "", "eu-central-1", False, 65536, 86400, "id", "hidden", "", ""
    )
    assert "hidden" not in repr(found)


def test_what_may_be_left_out(tmp_path: Path) -> None:
    folder = mounted(tmp_path / "blobs", endpoint=None, uri_style=None)
    assert place.read(folder).path_style
    (folder / "AWS_SESSION_TOKEN").write_text("token")
    (folder / "ca.crt").write_text("pem\n")
    found = place.read(folder)
    assert (found.endpoint, found.token, found.authority) == ("", "token", "pem")


@pytest.mark.parametrize(
    ("endpoint", "style", "address"),
    [
        ("", "Path", "https://s3.eu-central-1.amazonaws.com"),
        ("", "Host", "https://things.s3.eu-central-1.amazonaws.com"),
        ("https://s3.example:9000", "Path", "https://s3.example:9000"),
        ("https://s3.example:9000", "Host", "https://things.s3.example:9000"),
        ("https://s3.example/", "Host", "https://things.s3.example"),
    ],
)
def test_the_bucket_is_in_the_path_or_in_the_host_s_name(
    tmp_path: Path, endpoint: str, style: str, address: str
) -> None:
    assert place.address(place.read(mounted(tmp_path / "blobs", endpoint=endpoint, uri_style=style))) == address


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"bucket": None}, "is not a mounted Secret of a store's blobs: No such file or directory reading bucket"),
        ({"above": "64kB"}, "above has to be a number above 0, and is '64kB'"),
        ({"grace": "0"}, "grace has to be a number above 0, and is '0'"),
    ],
)
def test_what_is_missing_or_wrong_is_told(tmp_path: Path, keys: dict[str, str | None], told: str) -> None:
    with pytest.raises(BindingNotFound, match=told):
        place.read(mounted(tmp_path / "blobs", **keys))


def test_where_it_is_found(tmp_path: Path) -> None:
    folder = mounted(tmp_path / "root" / "blobs")
    root = {"SERVICE_BINDING_ROOT": str(tmp_path / "root")}
    assert blobs_folder(None, {}) is None
    assert blobs_folder(None, root) == folder
    assert blobs_folder(None, {**root, "CHECKPOINTSTORE_BLOBS": "/named"}) == Path("/named")
    assert blobs_folder("/given", {**root, "CHECKPOINTSTORE_BLOBS": "/named"}) == Path("/given")
    mounted(tmp_path / "root" / "foreign", provider="another")
    mounted(tmp_path / "root" / "database", type="postgresql")
    assert blobs_folder(None, root) == folder
    mounted(tmp_path / "root" / "more")
    with pytest.raises(BindingNotFound, match="the blobs of more than one CheckpointStore, blobs, more: name one"):
        blobs_folder(None, root)


def test_the_database_is_looked_for_elsewhere(tmp_path: Path) -> None:
    mounted(tmp_path / "agents-blobs")
    database = mounted(tmp_path / "agents", type="postgresql")
    (database / "uri").write_text("postgresql://here")
    assert connection_string(None, {"SERVICE_BINDING_ROOT": str(tmp_path)}) == "postgresql://here"


def test_blobs_that_are_not_bound_are_told() -> None:
    with pytest.raises(BindingNotFound, match="no blobs of a CheckpointStore are bound: set CHECKPOINTSTORE_BLOBS or"):
        open_blobs(None, {})
