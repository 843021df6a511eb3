"""How a build reaches package registries: this machine's settings, lent to it and kept out of the image."""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
# Inside the build, and only while a step runs.
BUNDLE = "/run/secrets/ca"
TRUST = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class Lent:
    """The files that a build step finds as /run/secrets/network and /run/secrets/ca."""

    settings: Path
    bundle: Path | None


def settings(environ: Mapping[str, str], bundle: bool) -> dict[str, str]:
    """What pip, apt and curl need to know in a build; paths of this machine mean nothing there."""
    lent = {name: value for name, value in environ.items() if _wanted(name) and not value.startswith(("/", "~", "."))}
    return lent | (dict.fromkeys(TRUST, BUNDLE) if bundle else {})


def _wanted(name: str) -> bool:
    lower = name.lower()
    return lower in PROXIES or (lower.startswith("pip_") and name not in TRUST)


def shell(variables: Mapping[str, str]) -> str:
    """The variables as a file for a shell's `.`."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))


def bundle() -> Path | None:
    """This machine's file of trusted authorities, a company's own among them."""
    named = os.environ.get("SSL_CERT_FILE", "")
    return next((Path(path) for path in (named, *BUNDLES) if path and Path(path).is_file()), None)


@contextmanager
def lend(environ: Mapping[str, str]) -> Iterator[Lent]:
    """Files for one build, readable by nobody else and gone with it: a proxy's URL may hold a password."""
    trusted = bundle()
    with TemporaryDirectory(prefix="checkpointstore-network-") as folder:
        path = Path(folder) / "network"
        path.write_text(shell(settings(environ, trusted is not None)))
        yield Lent(path, trusted)
