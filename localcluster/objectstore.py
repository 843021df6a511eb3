"""The S3 server that comes with a cluster: where it is, its credentials, its command line, and its one bucket."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localcluster import daemon
from localcluster.command import run
from localcluster.errors import LocalClusterError, Unsupported
from localcluster.layout import PKI, S3, S3_FOLDER

PROGRAM = "versitygw"
REGION = "us-east-1"
BUCKET = "checkpointstore"
ACCESS_KEY = "ROOT_ACCESS_KEY_ID"
SECRET_KEY = "ROOT_SECRET_ACCESS_KEY"
SETTINGS = "CHECKPOINTSTORE_S3_"
CA_FILE = f"{SETTINGS}CA_FILE"


@dataclass(frozen=True)
class ObjectStore:
    """An S3 server with a bucket: what a client needs; `ca` is the text of its authority, or empty for a public one."""

    endpoint: str
    region: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    ca: str
    uri_style: str = "path"


@dataclass(frozen=True)
class Place:
    """The folder of an S3 server on the machine that it runs on, with all its data."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def credentials(self) -> Path:
        return self.folder / "credentials"


LOCAL = Place(S3_FOLDER)
LOCAL_CA = PKI / "ca.crt"


def local() -> ObjectStore:
    """The local cluster's server."""
    return known(S3, LOCAL.credentials, LOCAL_CA)


def describe() -> str:
    """What a person needs to use the local cluster's server, secrets left out."""
    facts = {
        "endpoint": f"https://{S3}",
        "region": REGION,
        "bucket": BUCKET,
        "uri style": ObjectStore.uri_style,
        "credentials": LOCAL.credentials,
        "ca": LOCAL_CA,
    }
    return "\n".join(f"{name:12} {value}" for name, value in facts.items())


def given(environ: Mapping[str, str]) -> ObjectStore:
    """The server that environment variables name."""
    asked = {name: f"{SETTINGS}{name.upper()}" for name in ("endpoint", "region", "bucket", "access_key", "secret_key")}
    missing = [variable for variable in asked.values() if not environ.get(variable)]
    if missing:
        raise Unsupported(
            f"no S3 server is known for a cluster that is not ours: set {', '.join(missing)}, "
            f"and {CA_FILE} if no public authority signed its certificate."
        )
    ca = environ.get(CA_FILE, "")
    if ca and not Path(ca).is_file():
        raise LocalClusterError(f"{CA_FILE} is {ca}, which is no file: correct it, or unset it.")
    values = {name: environ[variable] for name, variable in asked.items()}
    return ObjectStore(**values, ca=Path(ca).read_text() if ca else "")


def command(program: str | Path, place: Place, port: str, certificate: str | Path) -> list[str]:
    """The server's command line; `certificate` is the path of its certificate and key but for `.crt` and `.key`."""
    return [
        str(program),
        f"--port={port}",
        f"--cert={certificate}.crt",
        f"--key={certificate}.key",
        f"--region={REGION}",
        # What its own command does by default, extended attributes, fails on the tmpfs of kernels before 6.6, and holds
        # 4 KiB an object on ext4.
        f"--sidecar={place.metadata}",
        str(place.data),
    ]


def make_credentials(path: Path) -> None:
    """Write random credentials, once, as the server's environment, readable by root alone."""
    if path.exists():
        return
    partial = path.with_name(path.name + ".partial")
    partial.touch(mode=0o600)
    partial.write_text(f"{ACCESS_KEY}={secrets.token_hex(10)}\n{SECRET_KEY}={secrets.token_hex(20)}\n")
    partial.rename(path)


def make_folders(place: Place) -> None:
    """Make what the server wants to find when it starts."""
    for folder in (place.data, place.metadata):
        folder.mkdir(parents=True, exist_ok=True)
    place.folder.chmod(0o700)
    make_credentials(place.credentials)


def known(address: str, credentials: Path, authority: Path) -> ObjectStore:
    """The server at this address, by the files that it was made with."""
    if not credentials.exists():
        raise LocalClusterError(f"{credentials} is missing: bring the cluster up, which makes its S3 server too.")
    keys = daemon.variables(credentials)
    return ObjectStore(f"https://{address}", REGION, BUCKET, keys[ACCESS_KEY], keys[SECRET_KEY], authority.read_text())


def make_bucket(store: ObjectStore, authority: Path, seconds: int = 60) -> None:
    """Make the bucket, unless it is there; waits that long for a server that is just starting."""
    *page, status = run("curl", "--disable", "--config", "-", text=request(store, authority, seconds)).splitlines()
    error = re.search("<Code>(.*)</Code><Message>(.*)</Message>", "".join(page))
    if status != "200" and not (error and error[1] == "BucketAlreadyOwnedByYou"):
        said = f"{error[1]}: {error[2]}" if error else "nothing more"
        raise LocalClusterError(f"{store.endpoint} answers {status} to making bucket {store.bucket}, and {said}")


def request(store: ObjectStore, authority: Path, seconds: int) -> str:
    """What curl reads to make the bucket: on its command line everybody could see the secret."""
    options = {
        "url": f"{store.endpoint}/{store.bucket}",
        "request": "PUT",
        "user": f"{store.access_key}:{store.secret_key}",
        "aws-sigv4": f"aws:amz:{store.region}:s3",
        # curl 8 says by itself that it sends nothing, Debian 12's curl 7 does not.
        "header": f"x-amz-content-sha256: {hashlib.sha256().hexdigest()}",
        "cacert": authority,
        "noproxy": "*",
        "write-out": r"\n%{http_code}",
        "retry": seconds,
        "retry-delay": 1,
        "max-time": 10,
    }
    switches = ["silent", "show-error", "retry-connrefused"]
    return "\n".join([*(f'{name} = "{value}"' for name, value in options.items()), *switches]) + "\n"
