"""The folder of a bucket that a store's large values are in: each is an object, whose name tells its content."""

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from . import place, tag
from .binding import BLOBS, ROOT, BindingNotFound, blobs_folder
from .cache import Cache

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential, S3Store

MEMORY = 64 * 1024 * 1024
"""Bytes of what was fetched or written last that are kept."""
KNOWN = 10_000
"""Keys of which is remembered that they are there."""
WRITING = 64
"""Values that may be written side by side."""
PATIENCE = 20.0
"""Seconds that a request is tried again."""
WHOLE = 300.0
"""Seconds that one try takes at most."""
IDLE = 60.0
"""Seconds that an answer, or the next part of one, is waited for."""
LONG = 16 * 1024 * 1024
"""Bytes of a value whose upload may take longer than IDLE."""
GLANCE = 10.0
"""Seconds for which the files are not read again where no request is made."""
REFUSALS = {"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
"""Codes of answers to credentials. Some come with status 400, as other mistakes do."""
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
    """What a mounted Secret `<name>-blobs` leads to. It is read again before requests, so it may change.

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
        self._bucket = _Bucket(place.read(self._folder), self._patience)
        self._looked = time.monotonic()
        self._cache = Cache[str, bytes](memory)
        self._lengths = Cache[int, str](KNOWN)
        """The key of the last content of a length."""

    @property
    def above(self) -> int:
        """How many bytes a value has at most that stays in its row."""
        return self._glance().place.above

    def is_known(self, key: str) -> bool:
        """Whether a key is there for certain, and may be referred to anew."""
        return self._is_known(self._glance(), key)

    def put(self, content: bytes) -> str:
        """The key of an object with this content, which is there then."""
        at, length = self._glance(), len(content)
        # To compare takes a fifth of the time of a hash.
        if (last := self._lengths.get(length)) and self._is_known(at, last) and self._cache.get(last) == content:
            return last
        digest = hashlib.sha256(content).hexdigest()
        key = f"{self._now(at)}/{digest}"
        if not at.known.get(key):
            key = self._with_credentials(lambda at: self._bring(at, digest, content))
        self._lengths.put(length, key)
        self._cache.put(key, content, length)
        return key

    def get(self, key: str) -> bytes:
        if (kept := self._cache.get(key)) is not None:
            return kept
        content = self._with_credentials(lambda at: self._fetch(at, key))
        self._cache.put(key, content, len(content))
        return content

    def _is_known(self, at: "_Bucket", key: str) -> bool:
        return key.startswith(f"{self._now(at)}/") and at.known.get(key) is not None

    def _now(self, at: "_Bucket") -> str:
        """What keys begin with that are written now."""
        return f"{at.place.folder}/{tag.until(self._clock(), at.place.grace)}"

    def _bring(self, at: "_Bucket", digest: str, content: bytes) -> str:
        key = f"{self._now(at)}/{digest}"
        # A graph saves a value and what was written to it at the same time.
        with self._writing[hash(key) % len(self._writing)]:
            if not at.known.get(key):
                if self._size(at, key) != len(content):
                    self._write(at, key, content)
                at.known.put(key, True)
        return key

    def _fetch(self, at: "_Bucket", key: str) -> bytes:
        content = _ask(at, key, lambda path: bytes(self._obstore.get(at.store, path).bytes()))
        if hashlib.sha256(content).hexdigest() != key.rpartition("/")[2]:
            raise BlobDamaged(f"{at.where(key)} is damaged: it has another content")
        at.known.put(key, True)
        return content

    def _size(self, at: "_Bucket", key: str) -> int | None:
        """None where it is not known to be there."""
        try:
            return _ask(at, key, lambda path: int(self._obstore.head(at.store, path)["size"]))
        except BlobNotFound:
            return None
        except BlobStoreRefused:
            # Nothing is uploaded with credentials that are not those of the files any more.
            if self._look() is not at:
                raise
            return None

    def _write(self, at: "_Bucket", key: str, content: bytes) -> None:
        """In one request, so that there is all of it or nothing."""

        def request(path: str) -> None:
            store = at.uploads if len(content) > LONG else at.store
            self._obstore.put(store, path, content, use_multipart=False)

        try:
            _ask(at, key, request)
        except BlobNotFound:
            raise BlobStoreUnavailable(f"there is no bucket {at.place.bucket}") from None

    def _with_credentials(self, work: Callable[["_Bucket"], T]) -> T:
        """A second time where they are refused and the files say others now."""
        at = self._look()
        try:
            return work(at)
        except BlobStoreRefused:
            # The files may have changed while they were read, or since.
            if (other := self._look()) is at:
                raise
        return work(other)

    def _look(self) -> "_Bucket":
        """As the files say now."""
        with self._lock:
            self._looked = time.monotonic()
            if (found := place.read(self._folder)) != self._bucket.place:
                self._bucket = _Bucket(found, self._patience)
            return self._bucket

    def _glance(self) -> "_Bucket":
        """As the files said at most GLANCE seconds ago."""
        if time.monotonic() - self._looked >= GLANCE:
            # A value that needs no request does not fail with a Secret that is gone.
            with suppress(BindingNotFound):
                return self._look()
        return self._bucket


class _Bucket:
    """How a place is asked, and what is known to be there. All that one put or get does goes by the same."""

    def __init__(self, at: place.Place, patience: timedelta) -> None:
        self.place, self._patience = at, patience
        self.known = Cache[str, bool](KNOWN)

    @cached_property
    def store(self) -> "S3Store":
        # It ends an upload too: the answer to that is the first byte.
        return _store(self.place, self._patience, {"read_timeout": timedelta(seconds=IDLE)})

    @cached_property
    def uploads(self) -> "S3Store":
        """For those that may take longer."""
        return _store(self.place, self._patience, {})

    def path(self, key: str) -> str:
        return f"{self.place.root}/{key}"

    def where(self, key: str) -> str:
        return f"{self.path(key)} in bucket {self.place.bucket}"


def _ask(at: _Bucket, key: str, request: Callable[[str], T]) -> T:
    from obstore import exceptions

    try:
        return request(at.path(key))
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise BlobNotFound(f"{at.where(key)} is not there: {_said(error)}") from None
    except (exceptions.BaseError, ValueError) as error:
        if _is_refusal(error):
            raise BlobStoreRefused(f"the credentials are refused for {at.where(key)}: {_said(error)}") from None
        raise BlobStoreUnavailable(f"no answer as it should be about {at.where(key)}: {_said(error)}") from None


def open_blobs(source: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ) -> BlobStore:
    """Those of the Secret that is mounted at `source`, or where the environment says. Raises BindingNotFound."""
    if not (folder := blobs_folder(source, environ)):
        raise BindingNotFound(f"no blobs of a CheckpointStore are bound: set {BLOBS} or {ROOT}, or name a folder")
    return BlobStore(folder)


def _store(at: place.Place, patience: timedelta, options: "ClientConfig") -> "S3Store":
    """Obstore takes what is not said here from the environment, which may be about another bucket."""
    from obstore.store import S3Store

    credentials: S3Credential = {
        "access_key_id": at.access_key,
        "secret_access_key": at.secret_key,
        "token": at.token or None,
        "expires_at": None,
    }
    config: S3Config = {
        "region": at.region,
        # This one is before all other endpoints, also those of the environment.
        "aws_endpoint_url_s3": place.address(at),
        "virtual_hosted_style_request": not at.path_style,
        "skip_signature": False,
        "unsigned_payload": False,
        "s3_express": False,
        "request_payer": False,
        "conditional_put": "etag",
    }
    client: ClientConfig = {"timeout": timedelta(seconds=WHOLE), "connect_timeout": timedelta(seconds=5), **options}
    if at.authority:
        client["root_certificate"] = at.authority
    return S3Store(
        at.bucket,
        config=config,
        client_options=client,
        retry_config={"retry_timeout": patience},
        credential_provider=lambda: credentials,
    )


def _is_refusal(error: Exception) -> bool:
    from obstore import exceptions

    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
        return True
    # The answer to HEAD has no code.
    return _said(error) in REFUSALS or bool(re.search(r"performing HEAD .* status code: 400\b", str(error)))


def _said(error: Exception) -> str:
    """One word of it: all of it would tell requests with their keys."""
    text = str(error)
    found = [re.findall(pattern, text) for pattern in (r"<Code>(\w+)</Code>", r"kind: (\w+)")]
    return next((words[-1] for words in found if words), type(error).__name__)
