"""Certificates and passwords on paper: quick, the same at every run, and worth nothing."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable

from checkpointstore.kernel.errors import Refused
from checkpointstore.kernel.observed import Certificate
from checkpointstore.kernel.pki import AUTHORITY_LIFETIME, LEAF_LIFETIME


class Paper:
    """Stands in for `adapters.certificate` and for `secrets`."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self._now = now
        self._made = 0

    def authority(self, common_name: str) -> tuple[bytes, bytes]:
        self._made += 1
        key = f"key-{self._made}"
        return self._signed(common_name, (), key, AUTHORITY_LIFETIME), key.encode()

    def leaf(self, ca: bytes, ca_key: bytes, common_name: str, dns_names: tuple[str, ...]) -> tuple[bytes, bytes]:
        issuer = self.facts(ca)
        if issuer is None or issuer.issuer_key != ca_key.decode():
            raise Refused("BrokenAuthority", "the authority's Secret holds no usable ca.crt and ca.key")
        self._made += 1
        return self._signed(common_name, dns_names, issuer.issuer_key, LEAF_LIFETIME), f"key-{self._made}".encode()

    def facts(self, pem: bytes) -> Certificate | None:
        try:
            text = json.loads(pem.splitlines()[0])
        except (ValueError, IndexError):
            return None
        return Certificate(
            common_name=text["cn"],
            dns_names=tuple(text["dns"]),
            not_after=dt.datetime.fromisoformat(text["until"]),
            fingerprint=self.fingerprints(pem)[0],
            issuer_key=text["issuer"],
        )

    def fingerprints(self, bundle: bytes) -> tuple[str, ...]:
        return tuple(hashlib.sha256(line).hexdigest() for line in bundle.splitlines())

    def token_urlsafe(self, size: int) -> str:
        self._made += 1
        return hashlib.sha256(f"password {self._made}".encode()).hexdigest()[:size]

    def _signed(self, common_name: str, dns_names: tuple[str, ...], issuer: str, lifetime: dt.timedelta) -> bytes:
        until = (self._now() + lifetime).isoformat()
        text = {"cn": common_name, "dns": dns_names, "until": until, "issuer": issuer, "number": self._made}
        return json.dumps(text).encode() + b"\n"
