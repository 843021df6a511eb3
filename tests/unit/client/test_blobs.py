"""What a BlobStore makes of its folder and of answers; tests/integration/test_blobs.py asks a server."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore import exceptions

from checkpointstore.client import BlobStore, BlobStoreRefused, BlobStoreUnavailable, blobs
from tests.unit.client.test_place import mounted

KEY = f"shop/agents/uid/20261129T000000Z/{'a' * 64}"
ANSWER = "Generic S3 error: Error performing {} https://s3.example/things/blobs/key in 2ms - {}\n\nDebug source:\n"
STATUS = "Server returned non-2xx status code: 400 Bad Request: {}"


def test_a_changed_limit_is_noticed_without_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mounted(tmp_path / "blobs")
    store = BlobStore(folder)
    (folder / "above").write_text("100")
    assert store.above == 65536, "not each time"
    monkeypatch.setattr(blobs, "GLANCE", 0)
    assert store.above == 100
    (folder / "bucket").unlink()
    (folder / "above").write_text("10")
    assert store.above == 100, "what is small is saved also while the Secret is gone"


def test_what_is_known_of_another_place_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, now = mounted(tmp_path / "blobs"), 1795910400.0
    monkeypatch.setattr(obstore, "head", lambda store, path: {"size": 7})
    store = BlobStore(folder, clock=lambda: now)
    key = store.put(b"content")
    assert store.is_known(key)
    (folder / "bucket").write_text("elsewhere")
    monkeypatch.setattr(blobs, "GLANCE", 0)
    assert not store.is_known(key)


@pytest.mark.parametrize(
    ("style", "address"),
    [
        ("Path", "https://s3.eu-central-1.amazonaws.com/things/blobs/"),
        ("Host", "https://things.s3.eu-central-1.amazonaws.com/blobs/"),
    ],
)
def test_the_environment_does_not_lead_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str, address: str
) -> None:
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "https://elsewhere.example")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other")
    asked: list[str] = []

    def head(store: Any, path: str) -> Any:
        asked.append(obstore.sign(store, "HEAD", path, timedelta(minutes=1)))
        return {"size": 7}

    monkeypatch.setattr(obstore, "head", head)
    BlobStore(mounted(tmp_path / "blobs", uri_style=style)).put(b"content")
    assert asked[0].startswith(address)
    assert "Security-Token" not in asked[0]


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken"])
@pytest.mark.parametrize("changes", [False, True])
def test_credentials_that_are_refused_as_a_bad_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, changes: bool
) -> None:
    folder = mounted(tmp_path / "blobs")
    store, asked = BlobStore(folder), []

    def get(at: Any, path: str) -> Any:
        asked.append(path)
        if changes:
            (folder / "AWS_SESSION_TOKEN").write_text("new")
        raise exceptions.GenericError(ANSWER.format("GET", STATUS.format(f"<Error><Code>{code}</Code></Error>")))

    monkeypatch.setattr(obstore, "get", get)
    with pytest.raises(BlobStoreRefused, match=f"refused for .*: {code}"):
        store.get(KEY)
    assert len(asked) == 1 + changes, "again where the files say others"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", STATUS.format("<Error><Code>InvalidRequest</Code></Error>")),
        ("GET", STATUS.format("")),
        ("HEAD", "Server returned non-2xx status code: 405 Method Not Allowed: "),
    ],
)
def test_other_answers_are_none_to_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, answer: str
) -> None:
    def get(store: Any, path: str) -> Any:
        raise exceptions.GenericError(ANSWER.format(method, answer))

    monkeypatch.setattr(obstore, "get", get)
    with pytest.raises(BlobStoreUnavailable) as told:
        BlobStore(mounted(tmp_path / "blobs")).get(KEY)
    assert not isinstance(told.value, BlobStoreRefused)


def test_nothing_is_uploaded_with_credentials_that_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As HEAD tells no more than that they may be refused."""
    folder = mounted(tmp_path / "blobs")
    puts: list[Any] = []

    def head(store: Any, path: str) -> Any:
        (folder / "AWS_SESSION_TOKEN").write_text("new")
        raise exceptions.GenericError(ANSWER.format("HEAD", STATUS.format("")))

    monkeypatch.setattr(obstore, "head", head)
    monkeypatch.setattr(obstore, "put", lambda store, *args, **given: puts.append(store.credential_provider()["token"]))
    BlobStore(folder).put(b"content")
    assert puts == ["new"]
