"""A Prometheus: where it is, how to get in, and what it tells."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from .fragment import Fragment
from .object_store import SecretKey, SecretReference


class Tls(Fragment):
    """How the server's certificate is verified."""

    ca: SecretKey
    """The authority that signed it, in PEM."""


class Auth(Fragment):
    """How the operator proves itself."""

    secret_ref: SecretReference
    """Secret with the key token (sent as a bearer token), or the keys username and password. It may change at any
    time."""


class PrometheusServer(Fragment):
    """A Prometheus, or what answers to its queries, that scrapes the store's pods."""

    url: str = Field(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?$", max_length=512)
    """Where it is, such as http://prometheus.monitoring.svc:9090."""
    tls: Tls | None = None
    """For a certificate that no public authority signed."""
    auth: Auth | None = None
    """Nothing is sent when absent."""

    def secrets(self) -> frozenset[str]:
        """The names of the Secrets that it needs."""
        used = (self.tls and self.tls.ca.name, self.auth and self.auth.secret_ref.name)
        return frozenset(name for name in used if name)


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: (seconds since 1970, value), oldest first."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing can be told, and why: one word for machines, a sentence for people."""

    reason: str
    message: str
