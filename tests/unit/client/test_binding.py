"""Where an application finds its database."""

from pathlib import Path

import pytest

from checkpointstore.client.binding import BindingNotFound, connection_string

URI = "postgresql://app_a:secret@agents-pooler:5432/app"


def mounted(folder: Path, provider: str = "checkpointstore", uri: str | None = URI) -> Path:
    """A folder as Kubernetes mounts a binding Secret."""
    folder.mkdir(parents=True)
    (folder / "provider").write_text(provider)
    if uri is not None:
        (folder / "uri").write_text(uri + "\n")
    return folder


@pytest.mark.parametrize("given", [URI, "postgres://localhost/app"])
def test_a_connection_string_is_one(given: str) -> None:
    assert connection_string(given, {"DATABASE_URI": "another"}) == given


def test_a_folder_is_read(tmp_path: Path) -> None:
    folder = mounted(tmp_path / "store")
    assert connection_string(folder, {}) == connection_string(str(folder), {}) == URI


def test_the_variable_comes_before_folders(tmp_path: Path) -> None:
    mounted(tmp_path / "store", uri="of the folder")
    environ = {"SERVICE_BINDING_ROOT": str(tmp_path)}
    assert connection_string(None, {**environ, "DATABASE_URI": URI}) == URI
    assert connection_string(None, environ) == "of the folder"


def test_bindings_of_others_are_passed_over(tmp_path: Path) -> None:
    mounted(tmp_path / "kafka", provider="strimzi", uri=None)
    (tmp_path / "empty").mkdir()
    mounted(tmp_path / "store")
    assert connection_string(None, {"SERVICE_BINDING_ROOT": str(tmp_path)}) == URI


def test_what_is_said_where_there_is_none_or_more_than_one(tmp_path: Path) -> None:
    with pytest.raises(BindingNotFound, match="neither DATABASE_URI nor SERVICE_BINDING_ROOT is set"):
        connection_string(None, {})
    root = {"SERVICE_BINDING_ROOT": str(tmp_path)}
    with pytest.raises(BindingNotFound, match="holds none"):
        connection_string(None, root)
    for name in ("one", "two"):
        mounted(tmp_path / name)
    with pytest.raises(BindingNotFound, match="holds one, two: name its folder"):
        connection_string(None, root)
    with pytest.raises(BindingNotFound, match="is not a mounted binding Secret: No such file or directory"):
        connection_string(tmp_path, {})
