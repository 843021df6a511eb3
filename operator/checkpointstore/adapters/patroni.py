"""Patroni's REST API of one member: which certificate it serves, whether it leads, and the calls that it obeys."""

import asyncio
import hashlib
import ssl
from collections.abc import Mapping

import aiohttp

from ..kernel.action import Peer
from ..kernel.errors import Unavailable
from . import certificate

PORT = 8008
TIMEOUT = 3.0
RESTART_TIMEOUT = 60.0
SWITCHOVER_TIMEOUT = 25.0
NOT_PENDING = 503


async def served(address: str) -> str:
    """SHA-256 fingerprint, in hex, of the certificate that the member serves; "" when it does not answer.

    Nothing is trusted or sent here, so nothing is verified.
    """
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(address, PORT, ssl=_unverified())
    except (OSError, TimeoutError):
        return ""
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return hashlib.sha256(certificate or b"").hexdigest()


async def leads(address: str) -> bool:
    """Whether the member runs as primary and holds the leader lock. It may ask anybody, so nobody is verified."""
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            aiohttp.ClientSession() as session,
            session.get(f"https://{address}:{PORT}/primary", ssl=_unverified()) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def reload(at: Peer, secret: Mapping[str, bytes]) -> None:
    """Let the member read its files again, PostgreSQL's included.

    `secret` is a client certificate's (tls.crt, tls.key, ca.crt). Raises Unavailable.
    """
    status, _ = await _post(at, secret, "reload", {}, TIMEOUT)
    if status >= 300:
        raise Unavailable(f"{at.host} answers {status} to a reload")


async def restart(at: Peer, secret: Mapping[str, bytes]) -> bool:
    """Restart the member's server where it is, and return when it is back; False when no restart was pending.

    Raises Unavailable.
    """
    status, _ = await _post(at, secret, "restart", {"restart_pending": True}, RESTART_TIMEOUT)
    if status >= 300 and status != NOT_PENDING:
        raise Unavailable(f"{at.host} answers {status} to a restart")
    return status < 300


async def switchover(at: Peer, leader: str, target: str, secret: Mapping[str, bytes]) -> None:
    """Let the leader at `at` hand over to `target`; returns up to a second after it has. Raises Unavailable."""
    names = {"leader": leader, "candidate": target}
    status, text = await _post(at, secret, "switchover", names, SWITCHOVER_TIMEOUT)
    if status >= 300:
        raise Unavailable(f"{at.host} does not hand over to {target}: {text}")


async def _post(
    at: Peer, secret: Mapping[str, bytes], path: str, body: Mapping[str, bool | str], timeout: float
) -> tuple[int, str]:
    try:
        async with asyncio.timeout(timeout), aiohttp.ClientSession() as session:
            url = f"https://{at.address}:{PORT}/{path}"
            async with session.post(url, json=body, ssl=_context(secret), server_hostname=at.host) as answer:
                return answer.status, await answer.text()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"{at.host} does not answer to a {path}: {type(error).__name__}") from None


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context(secret: Mapping[str, bytes]) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=secret["ca.crt"].decode())
    with certificate.files(secret) as folder:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context
