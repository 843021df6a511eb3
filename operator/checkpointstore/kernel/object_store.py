"""`objectStore`: where things are kept outside the cluster, in the words that every room uses for it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from .fragment import Fragment
from .job import SECRETS
from .observed import Observed

ACCESS_KEY = "AWS_ACCESS_KEY_ID"
SECRET_KEY = "AWS_SECRET_ACCESS_KEY"
TOKEN = "AWS_SESSION_TOKEN"


class SecretReference(Fragment):
    """A Secret of the store's namespace."""

    name: str = Field(min_length=1, max_length=253)
    """Its name."""


class SecretKey(Fragment):
    """One key of a Secret of the store's namespace."""

    name: str = Field(min_length=1, max_length=253)
    """The Secret's name."""
    key: str = Field(min_length=1, max_length=253)
    """The key in it."""


class UriStyle(StrEnum):
    PATH = "Path"
    HOST = "Host"


class ObjectStore(Fragment):
    """A bucket of an S3-compatible object store, reached over TLS."""

    url: str = Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?$", max_length=512)
    """s3://BUCKET, or s3://BUCKET/FOLDER to keep everything below a folder."""
    endpoint: str | None = Field(default=None, pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$", max_length=512)
    """The server, such as https://s3.eu.example:9000. Amazon's of the region when absent."""
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9-]+$", max_length=64)
    """The region that requests are signed for."""
    uri_style: UriStyle | None = None
    """Path puts the bucket into the path, Host into the host's name. Path when endpoint is set, Host otherwise."""
    credentials: SecretReference
    """Secret with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where there is one. It
    may change at any time."""
    ca: SecretKey | None = None
    """The authority that signed the server's certificate, in PEM. The public ones when absent."""

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that it needs."""
        return frozenset(item.name for item in (self.credentials, self.ca) if item)

    def needs(self) -> dict[str, tuple[str, ...]]:
        """The keys that each of these Secrets must have."""
        needed: dict[str, tuple[str, ...]] = {self.credentials.name: (ACCESS_KEY, SECRET_KEY)}
        return with_key(needed, self.ca)

    @property
    def bucket(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def folder(self) -> str:
        """Begins with / and does not end with it; "" for the whole bucket."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def host(self) -> str:
        """HOST or HOST:PORT."""
        return urlsplit(self.endpoint).netloc if self.endpoint else f"s3.{self.region}.amazonaws.com"

    @property
    def style(self) -> UriStyle:
        return self.uri_style or (UriStyle.PATH if self.endpoint else UriStyle.HOST)


class Where(Fragment):
    """The part of a Job's request that says where the objects are."""

    model_config = ConfigDict(extra="ignore")
    bucket: str = Field(min_length=1)
    endpoint: str | None = None
    """Amazon's of the region when absent."""
    region: str = "us-east-1"
    path_style: bool = False
    authority: str = ""
    """The file with the authority of the object store's certificate; the public ones when empty."""


def where(store: ObjectStore) -> dict[str, Any]:
    """The fields of Where, for a pod that has `mounts`."""
    return {
        "bucket": store.bucket,
        "endpoint": store.endpoint,
        "region": store.region,
        "path_style": store.style is UriStyle.PATH,
        "authority": f"{SECRETS}/bucket-ca/{store.ca.key}" if store.ca else "",
    }


def mounts(store: ObjectStore) -> dict[str, str]:
    """The Secrets that a Job reads to reach it, by the name that each is mounted at."""
    return {"bucket": store.credentials.name, **({"bucket-ca": store.ca.name} if store.ca else {})}


def with_key(needed: Mapping[str, tuple[str, ...]], key: SecretKey | None) -> dict[str, tuple[str, ...]]:
    """Keys by Secret, and one more."""
    return {**needed, key.name: (*needed.get(key.name, ()), key.key)} if key else dict(needed)


def missing(needed: Mapping[str, tuple[str, ...]], observed: Observed) -> tuple[str, str] | None:
    """Reason and message for a Secret that is not there or lacks a key; None when all are there."""
    for name, keys in sorted(needed.items()):
        given = observed.given.get(name)
        if given is None:
            return "SecretMissing", f"Secret {name} is not in this namespace: create it with {', '.join(keys)}"
        if lacking := [key for key in keys if key not in given.keys]:
            return "SecretIncomplete", f"Secret {name} lacks {', '.join(lacking)}"
    return None


class Place(Fragment):
    """A part of a spec that says where a repository is, and how it is encrypted."""

    object_store: ObjectStore
    encryption: SecretKey | None = None

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that it needs."""
        return self.object_store.secrets() | ({self.encryption.name} if self.encryption else set())
