"""The Secrets a Job finds mounted, a file a key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ..adapters.bucket import Account
from ..adapters.postgres import Target
from ..features.schema.request import Provider
from ..kernel.errors import Refused
from ..kernel.object_store import ACCESS_KEY, SECRET_KEY, TOKEN, Where
from ..kernel.scheduled import Whose

ADMIN = "CHECKPOINTSTORE_ADMIN_DIR"
APPLICATION = "CHECKPOINTSTORE_APPLICATION_DIR"
BUCKET = "CHECKPOINTSTORE_BUCKET_DIR"


class Address(Protocol):
    """The part of a request that says whose server it is, and where our own is."""

    @property
    def provider(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


def admin(environ: Mapping[str, str], request: Address) -> Target:
    """How the Job logs in: by certificate to our own server, by the user's Secret to an external one."""
    folder = Path(environ.get(ADMIN, "/etc/checkpointstore/admin"))
    if request.provider == Provider.PATRONI:
        return Target(
            {
                "host": request.host,
                "port": str(request.port),
                "user": "postgres",
                "sslmode": "verify-full",
                "sslrootcert": str(_existing(folder / "ca.crt")),
                "sslcert": str(_existing(folder / "tls.crt")),
                "sslkey": str(_existing(folder / "tls.key")),
            },
            superuser=True,
        )
    authority = folder / "ca.crt"
    options = {
        "host": _read(folder / "host"),
        "port": _read(folder / "port"),
        "dbname": _read(folder / "database"),
        "user": _read(folder / "username"),
        "password": _read(folder / "password"),
        "sslmode": "verify-full" if authority.exists() else "require",
    }
    if authority.exists():
        options["sslrootcert"] = str(authority)
    if (folder / "sslmode").exists():
        options["sslmode"] = _read(folder / "sslmode")
    return Target(options)


def tables(environ: Mapping[str, str], whose: Whose) -> Target:
    """How a program logs in to the database with a store's tables."""
    target = admin(environ, whose)
    return target.database(whose.database) if whose.provider == Provider.PATRONI else target


def application(environ: Mapping[str, str]) -> tuple[str, str]:
    """The login's name and password."""
    folder = Path(environ.get(APPLICATION, "/etc/checkpointstore/application"))
    return _read(folder / "username"), _read(folder / "password")


def account(environ: Mapping[str, str], place: Where) -> Account:
    """The bucket, with the credentials as they are now."""
    folder = Path(environ.get(BUCKET, "/etc/checkpointstore/bucket"))
    return Account(
        bucket=place.bucket,
        endpoint=place.endpoint,
        region=place.region,
        path_style=place.path_style,
        access_key=_read(folder / ACCESS_KEY),
        secret_key=_read(folder / SECRET_KEY),
        token=_read(folder / TOKEN) if (folder / TOKEN).exists() else "",
        authority=_read(Path(place.authority)) if place.authority else "",
    )


def _read(path: Path) -> str:
    """The file's text without the newline that `kubectl create secret --from-file` brings along."""
    text = _existing(path).read_text("utf-8").rstrip("\r\n")
    if not text:
        raise Refused("SecretIncomplete", f"key {path.name} of the Secret is empty")
    return text


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise Refused("SecretIncomplete", f"key {path.name} of the Secret is missing")
    return path
