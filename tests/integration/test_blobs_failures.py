"""Large values outside where that fails, hangs or changes: what is written and told, and what goes on meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from checkpointstore.client import (
    BlobDamaged,
    BlobNotFound,
    BlobSerializer,
    BlobStore,
    BlobStoreRefused,
    BlobStoreUnavailable,
    open_async_saver,
    open_saver,
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


WRITES = pytest.mark.parametrize(
    ("call", "given"),
    [
        ("put", lambda: (config("one"), whole_checkpoint(pages=PAGES), {}, {"pages": "1"})),
        ("put", lambda: (config("one"), whole_checkpoint(text=TEXT[:100_000]), {}, {})),
        ("put", lambda: (config("one"), whole_checkpoint(delta=_DeltaSnapshot(PAGES)), {}, {"delta": "1"})),
        ("put_writes", lambda: (belonging_to("one"), [("pages", PAGES)], "task")),
    ],
    ids=["value", "text", "delta", "write"],
)


@WRITES
def test_no_connection_is_held_while_the_bucket_is_slow(
    store: Store, uri: str, blobs: Path, call: str, given: Callable[[], Any]
) -> None:
    asked, goes = threading.Event(), threading.Event()
    store.bucket.fault = _holding(asked, goes)
    found: list[Any] = []
    with open_saver(uri, max_size=1, serde=serializer(blobs)) as made:
        writing = threading.Thread(target=getattr(made, call), args=given())
        reading = threading.Thread(target=lambda: found.append(made.get_tuple(config("other"))))
        writing.start()
        assert asked.wait(10)
        reading.start()
        reading.join(5)
        late = reading.is_alive()
        goes.set()
        writing.join()
        reading.join()
    assert (found, late) == ([None], False)
    assert len(objects(store.bucket)) == 1


@WRITES
def test_neither_is_one_where_it_is_awaited(
    store: Store, uri: str, blobs: Path, call: str, given: Callable[[], Any]
) -> None:
    async def both() -> None:
        asked, goes = threading.Event(), threading.Event()
        store.bucket.fault = _holding(asked, goes)
        async with open_async_saver(uri, max_size=1, serde=serializer(blobs)) as made:
            writing = asyncio.create_task(getattr(made, f"a{call}")(*given()))
            try:
                assert await asyncio.to_thread(asked.wait, 10)
                assert await asyncio.wait_for(made.aget_tuple(config("other")), 5) is None
            finally:
                goes.set()
                await writing

    asyncio.run(both())
    assert len(objects(store.bucket)) == 1


READS = pytest.mark.parametrize("call", ["get_tuple", "list"])


def _stored(uri: str, blobs: Path) -> Any:
    with open_saver(uri, serde=serializer(blobs)) as made:
        return made.put(config("one"), whole_checkpoint(pages=PAGES), {}, {"pages": "1"})


@READS
def test_a_read_holds_none_while_it_fetches(store: Store, uri: str, blobs: Path, call: str) -> None:
    head = _stored(uri, blobs)
    with open_saver(uri, max_size=1, serde=serializer(blobs)) as made:
        found: list[Any] = []

        def other(method: str, path: str) -> str:
            found.append(made.get_tuple(config("other")))
            return ""

        store.bucket.fault = other
        got = made.get_tuple(head) if call == "get_tuple" else next(made.list(head))
    assert got
    assert got.checkpoint["channel_values"]["pages"] == PAGES
    assert found == [None], "fetched once, and another call had the only connection meanwhile"


@READS
def test_neither_does_one_that_is_awaited(store: Store, uri: str, blobs: Path, call: str) -> None:
    head = _stored(uri, blobs)

    async def both() -> None:
        asked, goes = threading.Event(), threading.Event()
        store.bucket.fault = _holding(asked, goes)
        async with open_async_saver(uri, max_size=1, serde=serializer(blobs)) as made:
            reading = asyncio.create_task((_got if call == "get_tuple" else _listed)(made, head))
            try:
                assert await asyncio.to_thread(asked.wait, 10)
                assert await asyncio.wait_for(made.aget_tuple(config("other")), 5) is None
            finally:
                goes.set()
                assert await reading == PAGES

    asyncio.run(both())


async def _got(saver: AsyncPostgresSaver, head: Any) -> Any:
    found = await saver.aget_tuple(head)
    assert found
    return found.checkpoint["channel_values"]["pages"]


async def _listed(saver: AsyncPostgresSaver, head: Any) -> Any:
    (found,) = [item async for item in saver.alist(head)]
    return found.checkpoint["channel_values"]["pages"]


async def _seed(saver: AsyncPostgresSaver, head: Any) -> Any:
    return (await saver.aget_delta_channel_history(config=head, channels=["delta"]))["delta"]["seed"].value


async def _writes(saver: AsyncPostgresSaver, head: Any) -> Any:
    ((_, _, value),) = (await saver.aget_delta_channel_history(config=head, channels=["pages"]))["pages"]["writes"]
    return value


@pytest.mark.parametrize("read", [_got, _listed, _seed, _writes])
def test_the_event_loop_goes_on_while_a_value_is_fetched(
    store: Store, uri: str, blobs: Path, read: Callable[..., Any]
) -> None:
    asked, goes, held = threading.Event(), threading.Event(), []

    def fault(method: str, path: str) -> str:
        asked.set()
        held.append(goes.wait(5))
        return ""

    async def both() -> None:
        async with open_async_saver(uri, serde=serializer(blobs)) as made:
            first = await made.aput(config("one"), whole_checkpoint(delta=_DeltaSnapshot(PAGES)), {}, {"delta": "1"})
            await made.aput_writes(first, [("pages", PAGES)], "task")
            head = await made.aput(first, whole_checkpoint(pages=PAGES), {}, {"pages": "1"})
        async with open_async_saver(uri, serde=serializer(blobs)) as made:
            store.bucket.fault = fault
            reading = asyncio.create_task(read(made, head))
            while not asked.is_set():
                await asyncio.sleep(0.01)
            for _ in range(5):
                await asyncio.sleep(0.01)
            goes.set()
            assert await reading == PAGES

    asyncio.run(both())
    assert held
    assert all(held), "the loop let the bucket go on"


def _holding(asked: threading.Event, goes: threading.Event) -> Callable[[str, str], str]:
    """The bucket answers nothing until it may."""

    def held(method: str, path: str) -> str:
        asked.set()
        goes.wait(20)
        return ""

    return held


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
            store.put(b"other content")
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
    monkeypatch.setattr(inner, "IDLE", 1.0)
    monkeypatch.setattr(inner, "LONG", 1_000_000)
    goes = threading.Event()

    def fault(method: str, path: str) -> str:
        if method != "HEAD":
            goes.wait(3)
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
