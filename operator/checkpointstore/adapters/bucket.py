"""One bucket of an S3-compatible object store, one function a request; whatever goes wrong is a StoreError."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import S3Store

from ..kernel.errors import Refused, StoreError, Unavailable

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, S3Config

PATIENCE = timedelta(seconds=20)
"""How long one request is tried again."""
PAGE = 1000
"""Keys that one request lists."""
TIMEOUT = timedelta(minutes=5)
"""How long one try may take, with all that it carries."""
CHUNK = 4 * 1024 * 1024
GAP = 64 * 1024
"""Bytes between two ranges that are read too, and spare a request; more take longer than a request beside the first."""
DENIED = frozenset({"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"})


@dataclass(frozen=True, slots=True)
class Account:
    """Where a bucket is and how to log in; `authority` is PEM, the public ones when empty."""

    bucket: str
    endpoint: str | None
    region: str
    path_style: bool
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    authority: str = ""


class Bucket:
    """Keys are whole: they begin at the bucket's root."""

    def __init__(self, account: Account) -> None:
        config: S3Config = {
            "region": account.region,
            "virtual_hosted_style_request": not account.path_style,
            "access_key_id": account.access_key,
            "secret_access_key": account.secret_key,
        }
        if at := endpoint(account):
            config["endpoint"] = at
        if account.token:
            config["session_token"] = account.token
        client: ClientConfig = {"timeout": TIMEOUT, "connect_timeout": timedelta(seconds=5)}
        if account.authority:
            client["root_certificate"] = account.authority
        with _translated(account.bucket):
            self._store = S3Store(
                account.bucket, config=config, client_options=client, retry_config={"retry_timeout": PATIENCE}
            )
        self._name = account.bucket
        self.writes = self.reads = 0
        """Requests that it has made, as they are paid for: those that write or list, and those that read."""

    def put(self, key: str, content: bytes, storage_class: str | None = None) -> None:
        """One request, so that there is all of it or nothing; a lost answer is asked for by writing the same again."""
        self.writes += 1
        with _translated(self._name):
            attributes = {"Storage-Class": storage_class} if storage_class else None
            obstore.put(self._store, key, content, attributes=attributes, use_multipart=False)

    def digest(self, key: str) -> str:
        """SHA-256 of the object as the store gives it back, in hex digits."""
        self.reads += 1
        whole = hashlib.sha256()
        with _translated(self._name):
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=CHUNK):
                whole.update(chunk)
        return whole.hexdigest()

    def get(self, key: str) -> bytes:
        self.reads += 1
        with _translated(self._name):
            return bytes(obstore.get(self._store, key).bytes())

    def parts(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each range (start, end), end excluded."""
        self.reads += len(ranges)
        with _translated(self._name):
            starts, ends = ([place[part] for place in ranges] for part in (0, 1))
            parts = obstore.get_ranges(self._store, key, starts=starts, ends=ends, coalesce=GAP)
            return [bytes(part) for part in parts]

    def keys(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Every key below the prefix, with the time of its last write."""
        return ((item["path"], item["last_modified"]) for item in self._below(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Every key below the prefix, with how many bytes it has."""
        return ((item["path"], item["size"]) for item in self._below(prefix))

    def _below(self, prefix: str) -> Iterator["ObjectMeta"]:
        with _translated(self._name):
            self.writes += 1
            for number, page in enumerate(obstore.list(self._store, prefix, chunk_size=PAGE)):
                self.writes += number > 0
                yield from page

    def delete(self, keys: Sequence[str]) -> None:
        """Those that are not there are no error."""
        with _translated(self._name):
            obstore.delete(self._store, list(keys))


def endpoint(account: Account) -> str | None:
    """Where requests go; None for Amazon's. The library takes the host of the bucket where the path has none."""
    if not account.endpoint or account.path_style:
        return account.endpoint
    there = urlsplit(account.endpoint)
    return f"{there.scheme}://{account.bucket}.{there.netloc}"


@contextmanager
def _translated(bucket: str) -> Iterator[None]:
    try:
        yield
    except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
        raise _meaning(error, bucket) from None


def _meaning(error: Exception, bucket: str) -> StoreError:
    """One word of what the other side said: all of it would tell requests with their keys."""
    text = str(error)
    found = [re.findall(pattern, text) for pattern in (r"<Code>(\w+)</Code>", r'message: "([^"]*)"', r"kind: (\w+)")]
    said = next((words[-1] for words in found if words), type(error).__name__)
    if said == "NoSuchBucket":
        return Refused("BucketMissing", f"there is no bucket {bucket}: make it, or correct objectStore.url")
    if said in DENIED or isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        return Refused("AccessDenied", f"the object store refuses the credentials for bucket {bucket}: {said}")
    if isinstance(error, FileNotFoundError):
        return Unavailable(f"an object that the catalog knows is not in bucket {bucket}: {said}")
    if "InvalidCertificate" in text:
        told = "the object store's certificate is not signed by an authority that is trusted, or is of another name"
        return Refused("CertificateRefused", f"{told}: set objectStore.ca")
    return Unavailable(f"the object store does not answer as it should: {said}")
