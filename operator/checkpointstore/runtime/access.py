"""The way into each store's Prometheus, by the Secrets that its spec names, which are read again each minute."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..adapters.kube import Kube
from ..adapters.prometheus import Access
from ..kernel.errors import Refused, StoreError
from ..kernel.prometheus import Gap, PrometheusServer

KEPT = 60.0
"""Seconds for which a Secret's values are not read again."""


@dataclass(frozen=True, slots=True)
class _Known:
    access: Access
    server: PrometheusServer
    until: float


class Accesses:
    """By store."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[str, _Known] = {}

    def forget(self, who: str) -> None:
        self._known.pop(who, None)

    async def get(self, who: str, namespace: str, server: PrometheusServer) -> Access:
        """Raises Refused("SecretIncomplete") naming what a Secret lacks, or what reading it raises."""
        known = self._known.get(who)
        if known and known.server == server and known.until > time.monotonic():
            return known.access
        secrets = {}
        for name in server.secrets():
            secret = await self._kube.get("Secret", namespace, name)
            if secret is None:
                raise Refused("SecretMissing", f"Secret {name} is not in this namespace")
            secrets[name] = {
                key: base64.b64decode(value).decode(errors="replace")
                for key, value in (secret.get("data") or {}).items()
            }
        access = _opened(server, secrets)
        self._known[who] = _Known(access, server, time.monotonic() + KEPT)
        return access


def gap(error: StoreError) -> Gap:
    """Why a Prometheus could not be asked."""
    return Gap(error.reason if isinstance(error, Refused) else "PrometheusUnreachable", error.message)


def _opened(server: PrometheusServer, secrets: Mapping[str, Mapping[str, str]]) -> Access:
    access = Access(server.url)
    if server.tls:
        ca = secrets[server.tls.ca.name].get(server.tls.ca.key, "")
        if not ca:
            raise Refused("SecretIncomplete", f"Secret {server.tls.ca.name} lacks {server.tls.ca.key}")
        access = replace(access, ca=ca)
    if server.auth:
        name = server.auth.secret_ref.name
        keys = {key: text.rstrip("\r\n") for key, text in secrets[name].items()}
        if token := keys.get("token"):
            return replace(access, token=token)
        if not keys.get("username") or not keys.get("password"):
            raise Refused("SecretIncomplete", f"Secret {name} lacks token, or username and password")
        access = replace(access, login=(keys["username"], keys["password"]))
    return access
