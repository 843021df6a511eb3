"""Large values outside where that fails, hangs or changes: what is written, and what is told."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from checkpointstore.client import (
    BlobDamaged,
    BlobNotFound,
    BlobSerializer,
    BlobStore,
    BlobStoreRefused,
    BlobStoreUnavailable,
    place,
)
from checkpointstore.client import blobs as inner
from tests.integration import objectstore
from tests.integration.graphs import config
from tests.integration.outside import DAY, FOLDER, ROOT, document, objects
from tests.integration.outside_savers import (
    ASYNC,
    PAGES,
    SYNC,
    TEXT,
    belonging_to,
    serializer,
    whole_checkpoint,
)
from tests.integration.tiering import Store


@pytest.mark.parametrize("fate", ["refuse", "500", "403"])
@SYNC
def test_nothing_is_written_that_refers_to_what_is_not_there(
    store: Store, uri: str, blobs: Path, saver: Any, fate: str
) -> None:
    with saver(uri, serializer(blobs)) as made:
        head: Any = made.put(config("one"), whole_checkpoint(pages=["short"]), {}, {"pages": "1"})
        before = store.rows()
        store.bucket.fault = lambda method, path: fate
        error = BlobStoreRefused if fate == "403" else BlobStoreUnavailable
        with pytest.raises(error, match=f"{FOLDER}/"):
            made.put(head, whole_checkpoint(pages=PAGES), {}, {"pages": "1"})
        with pytest.raises(error):
            made.put_writes(head, [("short", 1), ("pages", PAGES)], "task")
        assert store.rows() == before
        store.bucket.fault = lambda method, path: ""
        made.put(head, whole_checkpoint(pages=PAGES), {}, {"pages": "1"})
        made.put_writes(head, [("short", 1), ("pages", PAGES)], "task")
    assert len(objects(store.bucket)) == 1


@ASYNC
def test_the_same_failure_where_it_is_awaited(store: Store, uri: str, blobs: Path, saver: Any) -> None:
    async def put() -> None:
        async with saver(uri, serializer(blobs)) as made:
            store.bucket.fault = lambda method, path: "refuse"
            with pytest.raises(BlobStoreUnavailable):
                await made.aput(config("one"), whole_checkpoint(pages=PAGES), {}, {"pages": "1"})
            with pytest.raises(BlobStoreUnavailable):
                await made.aput_writes(belonging_to("one"), [("pages", PAGES)], "task")

    asyncio.run(put())
    assert not any(store.rows().values())


def test_an_object_that_cannot_be_had_is_told(bucket: objectstore.Bucket, blobs: Path) -> None:
    wrote = serializer(blobs)
    typed = wrote.dumps_typed(PAGES)
    (key,) = objects(bucket)
    there = bucket.data / ROOT / key
    bucket.fault = lambda method, path: "refuse"
    assert wrote.loads_typed(typed) == PAGES, "what was written or fetched last is at hand"
    with pytest.raises(BlobStoreUnavailable, match=f"about {ROOT}/{key} in bucket"):
        serializer(blobs).loads_typed(typed)
    bucket.fault = lambda method, path: ""
    assert serializer(blobs).loads_typed(typed) == PAGES
    content = there.read_bytes()
    there.write_bytes(content[:-1] + b"\0")
    with pytest.raises(BlobDamaged, match=f"{ROOT}/{key} in bucket .* is damaged"):
        serializer(blobs).loads_typed(typed)
    there.write_bytes(content[:-1])
    serializer(blobs).dumps_typed(PAGES)
    assert there.read_bytes() == content, "half an object is none"
    there.unlink()
    with pytest.raises(BlobNotFound, match=f"{ROOT}/{key} in bucket .* is not there"):
        serializer(blobs).loads_typed(typed)


def test_each_interval_has_keys_of_its_own(bucket: objectstore.Bucket, blobs: Path) -> None:
    now = [1795910400.0]
    serde = BlobSerializer(BlobStore(blobs, clock=lambda: now[0]))
    first = [serde.dumps_typed(value) for value in (TEXT, PAGES)]
    bucket.seen.clear()
    now[0] += DAY - 1
    assert [serde.dumps_typed(value) for value in (TEXT, PAGES)] == first
    assert bucket.seen == [], "what is known to be there is not asked for"
    now[0] += 1
    second = [serde.dumps_typed(value) for value in (TEXT, PAGES)]
    assert [method for method, *_ in bucket.seen] == ["HEAD", "PUT"] * 2
    assert [typed[0].replace("/20261130T", "/20261201T") for typed in first] == [typed[0] for typed in second]
    assert len(objects(bucket)) == 4
    bucket.seen.clear()
    other = BlobSerializer(BlobStore(blobs, clock=lambda: now[0]))
    assert [other.dumps_typed(value) for value in (TEXT, PAGES)] == second
    assert [method for method, *_ in bucket.seen] == ["HEAD"] * 2, "another process asks once"
    assert [serde.loads_typed(typed) for typed in first] == [TEXT, PAGES]
    assert [serde.dumps_typed(serde.loads_typed(typed)) for typed in first] == second


def test_credentials_of_one_folder_that_change(bucket: objectstore.Bucket, blobs: Path) -> None:
    """Neither may list, delete, or reach what is beside the folder."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        (blobs / name).write_text("before")
    bucket.allow(before=f"{ROOT}/{FOLDER}")
    serde = serializer(blobs)
    typed = serde.dumps_typed(PAGES)
    assert serializer(blobs).loads_typed(typed) == PAGES
    bucket.allow(after=f"{ROOT}/{FOLDER}")
    with pytest.raises(BlobStoreRefused, match="the credentials are refused for"):
        serde.dumps_typed(PAGES[:100])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        (blobs / name).write_text("after")
    assert serde.loads_typed(serde.dumps_typed(TEXT)) == TEXT
    assert serializer(blobs).loads_typed(typed) == PAGES
    (blobs / "folder").write_text("shop/other/uid")
    with pytest.raises(BlobStoreRefused):
        serializer(blobs).dumps_typed(PAGES)
    assert serializer(blobs).loads_typed(typed) == PAGES
    with pytest.raises(BlobStoreRefused):
        serializer(blobs).loads_typed((typed[0].replace(FOLDER, "shop/other/uid"), typed[1]))


def test_rows_of_a_recovered_store_find_what_is_in_the_lost_one_s_folder(blobs: Path) -> None:
    old = serializer(blobs).dumps_typed(PAGES)
    (blobs / "folder").write_text("shop/recovered/uid")
    serde = serializer(blobs)
    assert serde.loads_typed(old) == PAGES
    new = serde.dumps_typed(serde.loads_typed(old))
    assert new[0].startswith("blob:shop/recovered/uid/"), "what is written is its own"


def test_credentials_that_change_while_they_are_read(blobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, typed = place.read(blobs), serializer(blobs).dumps_typed(PAGES)
    (blobs / "AWS_SECRET_ACCESS_KEY").write_text("of another key")
    wrong = place.read(blobs)
    serde = serializer(blobs)
    read = iter([wrong])
    monkeypatch.setattr(place, "read", lambda folder: next(read, right))
    assert serde.loads_typed(typed) == PAGES
    with pytest.raises(StopIteration):
        next(read)


@pytest.mark.parametrize("status", ["403", "400"])
def test_where_credentials_may_not_list_what_is_not_there_is_forbidden(
    bucket: objectstore.Bucket, blobs: Path, status: str
) -> None:
    """Amazon's answer; 400 is that to a token that has ended, and tells nothing more to HEAD."""
    bucket.fault = lambda method, path: status if method == "HEAD" else ""
    serde = serializer(blobs)
    assert serde.loads_typed(serde.dumps_typed(PAGES)) == PAGES
    assert len(objects(bucket)) == 1


def test_a_bucket_that_is_not_there_is_told(bucket: objectstore.Bucket, blobs: Path) -> None:
    (blobs / "bucket").write_text("elsewhere")
    with pytest.raises(BlobStoreUnavailable, match="there is no bucket elsewhere"):
        serializer(blobs).dumps_typed(PAGES)


def test_the_environment_changes_no_request(
    bucket: objectstore.Bucket, blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be about another bucket, of the application's own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_TOKEN": "other",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_UNSIGNED_PAYLOAD": "true",
        "AWS_REQUEST_PAYER": "true",
        "AWS_S3_EXPRESS": "true",
        "AWS_CONDITIONAL_PUT": "other",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_REGION": "other",
        "AWS_ENDPOINT_URL": "https://localhost:1",
        "AWS_ENDPOINT_URL_S3": "https://localhost:1",
    }.items():
        monkeypatch.setenv(name, value)
    typed = serializer(blobs).dumps_typed(PAGES)
    assert serializer(blobs).loads_typed(typed) == PAGES
    assert [method for method, *_ in bucket.seen] == ["HEAD", "PUT", "GET"]
    for _, _, headers in bucket.seen:
        assert f"Credential={place.read(blobs).access_key}/" in headers["authorization"]
        assert not headers.keys() & {"x-amz-security-token", "x-amz-request-payer"}
        assert headers["x-amz-content-sha256"] != "UNSIGNED-PAYLOAD"


def test_a_put_stays_where_it_began(bucket: objectstore.Bucket, blobs: Path) -> None:
    """While another thread's request finds that the Secret leads elsewhere."""
    store, content = BlobStore(blobs, patience=1), b"x" * 100_000
    moved: list[str] = []

    def fault(method: str, path: str) -> str:
        if not moved:
            moved.append(path)
            (blobs / "root").write_text("elsewhere")
            # Not one that writes: it might wait for the put that waits for it here.
            with suppress(BlobNotFound):
                store.get(f"{FOLDER}/nothing")
        return ""

    bucket.fault = fault
    key = store.put(content)
    assert objects(bucket) == {key: content}
    bucket.fault = lambda method, path: ""
    assert store.put(content) == key
    assert (bucket.data / "elsewhere" / key).read_bytes() == content, "what is there was asked of the other place"


def test_what_hangs_is_told_but_for_long_uploads(
    bucket: objectstore.Bucket, blobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner, "IDLE", 4.0)
    monkeypatch.setattr(inner, "LONG", 1_000_000)
    goes = threading.Event()

    def fault(method: str, path: str) -> str:
        if method != "HEAD":
            goes.wait(8)
        return ""

    bucket.fault = fault
    with pytest.raises(BlobStoreUnavailable):
        BlobStore(blobs, patience=0.1).put(b"x" * 1_000_000)
    key = BlobStore(blobs, patience=0.1).put(b"x" * 1_000_001)
    with pytest.raises(BlobStoreUnavailable):
        BlobStore(blobs, patience=0.1).get(key)
    goes.set()
    assert len(BlobStore(blobs).get(key)) == 1_000_001


def test_an_authority_that_is_none_is_told(blobs: Path) -> None:
    (blobs / "ca.crt").write_text("no certificate")
    with pytest.raises(BlobStoreUnavailable, match="no answer as it should be"):
        serializer(blobs).dumps_typed(PAGES)


def test_threads_of_a_process_write_the_same_side_by_side(bucket: objectstore.Bucket, blobs: Path) -> None:
    serde = serializer(blobs)
    values = [[document(100_000, seed)] for seed in range(4)]
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for value in values * 3:
                assert serde.loads_typed(serde.dumps_typed(value)) == value
        except BaseException as error:
            failed.append(error)
            raise

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    assert len(objects(bucket)) == 4
