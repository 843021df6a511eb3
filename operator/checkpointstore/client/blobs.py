"""The folder of a bucket that a store's large values are in: each is an object, whose name tells its content."""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from . import place, tag
from .binding import BLOBS, ROOT, BindingNotFound, blobs_folder
from .cache import Cache

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

MEMORY = 64 * 1024 * 1024
"""Bytes of what was fetched or written last that are kept."""
KNOWN = 10_000
"""Keys of which is remembered that they are there."""
WRITING = 64
"""Values that may be written side by side."""
PATIENCE = 20.0
"""Seconds that a request is tried again."""
T = TypeVar("T")


class BlobError(Exception):
    """A value that is in the object store cannot be had, or cannot be brought there."""


class BlobNotFound(BlobError, LookupError):
    """A row refers to an object that is not there."""


class BlobDamaged(BlobError, ValueError):
    """An object has not the content that its name tells."""


class BlobStoreUnavailable(BlobError, ConnectionError):
    """The object store does not answer, or not as it should."""


class BlobStoreRefused(BlobStoreUnavailable):
    """The object store refuses the credentials, also for what is not there where they may not list."""


class BlobStore:
    """What a mounted Secret `<name>-blobs` leads to. It is looked at before each request, so credentials may change.

    Raises BindingNotFound for a folder without one, and ImportError without obstore. Requests block, and may be made
    from any thread.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        memory: int = MEMORY,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        try:
            import obstore
        except ImportError:
            raise ImportError("blobs need obstore: pip install 'checkpointstore[client,blobs]'") from None
        self._obstore = obstore
        self.memory = memory
        self._folder, self._patience, self._clock = Path(folder), timedelta(seconds=patience), clock
        self._lock = threading.Lock()
        self._writing = [threading.Lock() for _ in range(WRITING)]
        self._place = place.read(self._folder)
        self._store: S3Store | None = None
        self._cache = Cache[str, bytes](memory)
        self._known = Cache[str, bool](KNOWN)
        self._lengths = Cache[int, str](KNOWN)
        """The key of the last content of a length."""

    @property
    def above(self) -> int:
        """How many bytes a value has at most that stays in its row."""
        return self._place.above

    def is_known(self, key: str) -> bool:
        """Whether a key is there for certain, and may be referred to anew."""
        return key.startswith(f"{self._now()}/") and self._known.get(key) is not None

    def put(self, content: bytes) -> str:
        """The key of an object with this content, which is there then."""
        # To compare takes a fifth of the time of a hash.
        if (last := self._lengths.get(len(content))) and self.is_known(last) and self._cache.get(last) == content:
            return last
        key = f"{self._now()}/{hashlib.sha256(content).hexdigest()}"
        # A graph saves a value and what was written to it at the same time.
        with self._writing[hash(key) % len(self._writing)]:
            if not self._known.get(key):
                if self._size(key) != len(content):
                    self._write(key, content)
                self._known.put(key, True)
        self._lengths.put(len(content), key)
        self._cache.put(key, content, len(content))
        return key

    def get(self, key: str) -> bytes:
        if (kept := self._cache.get(key)) is not None:
            return kept
        content = self._ask(lambda store, path: bytes(self._obstore.get(store, path).bytes()), key)
        if hashlib.sha256(content).hexdigest() != key.rpartition("/")[2]:
            raise BlobDamaged(f"{self._path(key)} in bucket {self._place.bucket} is damaged: it has another content")
        self._known.put(key, True)
        self._cache.put(key, content, len(content))
        return content

    def _now(self) -> str:
        """What keys begin with that are written now."""
        return f"{self._place.folder}/{tag.until(self._clock(), self._place.grace)}"

    def _path(self, key: str) -> str:
        return f"{self._place.root}/{key}"

    def _size(self, key: str) -> int | None:
        """None where it is not known to be there."""
        try:
            return self._ask(lambda store, path: int(self._obstore.head(store, path)["size"]), key)
        except (BlobNotFound, BlobStoreRefused):
            return None

    def _write(self, key: str, content: bytes) -> None:
        """In one request, so that there is all of it or nothing."""
        try:
            self._ask(lambda store, path: self._obstore.put(store, path, content, use_multipart=False), key)
        except BlobNotFound:
            raise BlobStoreUnavailable(f"there is no bucket {self._place.bucket}") from None

    def _ask(self, request: Callable[["S3Store", str], T], key: str) -> T:
        from obstore import exceptions

        refused = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
        where = f"{self._path(key)} in bucket {self._place.bucket}"
        try:
            store = self._current()
            try:
                return request(store, self._path(key))
            except refused:
                # The files may have changed while they were read, or since.
                if (other := self._current()) is store:
                    raise
                return request(other, self._path(key))
        except (FileNotFoundError, exceptions.NotFoundError) as error:
            raise BlobNotFound(f"{where} is not there: {_said(error)}") from None
        except refused as error:
            raise BlobStoreRefused(f"the credentials are refused for {where}: {_said(error)}") from None
        except (exceptions.BaseError, ValueError) as error:
            raise BlobStoreUnavailable(f"no answer as it should be about {where}: {_said(error)}") from None

    def _current(self) -> "S3Store":
        """With what the files say now."""
        found = place.read(self._folder)
        with self._lock:
            if self._store is None or found != self._place:
                self._store = _store(found, self._patience)
                # It may be another bucket.
                self._place, self._known = found, Cache(KNOWN)
            return self._store


def open_blobs(source: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ) -> BlobStore:
    """Those of the Secret that is mounted at `source`, or where the environment says. Raises BindingNotFound."""
    if not (folder := blobs_folder(source, environ)):
        raise BindingNotFound(f"no blobs of a CheckpointStore are bound: set {BLOBS} or {ROOT}, or name a folder")
    return BlobStore(folder)


def _store(at: place.Place, patience: timedelta) -> "S3Store":
    from obstore.store import S3Store

    config: S3Config = {
        "region": at.region,
        "virtual_hosted_style_request": not at.path_style,
        "access_key_id": at.access_key,
        "secret_access_key": at.secret_key,
    }
    if at.endpoint:
        config["endpoint"] = at.endpoint
    if at.token:
        config["session_token"] = at.token
    client: ClientConfig = {"timeout": timedelta(minutes=1), "connect_timeout": timedelta(seconds=5)}
    if at.authority:
        client["root_certificate"] = at.authority
    return S3Store(at.bucket, config=config, client_options=client, retry_config={"retry_timeout": patience})


def _said(error: Exception) -> str:
    """One word of it: all of it would tell requests with their keys."""
    text = str(error)
    found = [re.findall(pattern, text) for pattern in (r"<Code>(\w+)</Code>", r"kind: (\w+)")]
    return next((words[-1] for words in found if words), type(error).__name__)
